"""Typed configuration: which source wins, what is refused, where a value came from."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import msgspec
import pytest
from msgspec import Meta

from edge_sdk.config import Configuration, PathText, read_configuration
from edge_sdk.errors import UsageError


class Camera(msgspec.Struct, frozen=True, kw_only=True):
    path: PathText
    every_ms: Annotated[int, Meta(gt=0)] = 50
    delegates: tuple[str, ...] = ()


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    name: str
    state: PathText = "state"
    window_s: Annotated[float, Meta(gt=0)] = 10.0
    colour: str | None = None
    cameras: dict[str, Camera] = {}


FILE = """
name = "pi"
window_s = 2.5
[cameras.front]
path = "pictures"
"""


def read(
    folder: Path, text: str = FILE, environment: dict[str, str] | None = None, **flags: object
) -> Configuration[Settings]:
    file = folder / "agent.toml"
    file.write_text(text)
    return read_configuration(
        Settings, file, prefix="X_", environment=environment or {}, flags=flags
    )


def test_each_source_wins_over_the_ones_before(tmp_path: Path) -> None:
    environment = {
        "X_WINDOW_S": "3",
        "X_NAME": "env",
        "HOME": "/",
        "X_CAMERAS__FRONT__EVERY_MS": "7",
    }
    found = read(tmp_path, environment=environment, name="flag")
    assert found.value == Settings(
        name="flag",
        state=str(tmp_path / "state"),
        window_s=3.0,
        cameras={"front": Camera(path=str(tmp_path / "pictures"), every_ms=7)},
    )
    rows = {key: (text, origin) for key, text, origin in found.rows()}
    assert rows == {
        "name": ("flag", "--name"),
        "state": (str(tmp_path / "state"), "default"),
        "window_s": ("3.0", "X_WINDOW_S"),
        "colour": ("null", "default"),
        "cameras.front.path": (str(tmp_path / "pictures"), str(tmp_path / "agent.toml")),
        "cameras.front.every_ms": ("7", "X_CAMERAS__FRONT__EVERY_MS"),
        "cameras.front.delegates": ("[]", "default"),
    }
    assert "X_WINDOW_S" in found.text()


def test_paths_are_relative_to_where_they_were_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    assert read(tmp_path, FILE + "", {"X_STATE": "s"}).value.state == str(here / "s")
    assert read(tmp_path, 'name = "a"\nstate = "s"').value.state == str(tmp_path / "s")
    assert read(tmp_path, 'name = "a"\nstate = "/s"').value.state == "/s"


def test_without_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    found = read_configuration(
        Settings, None, prefix="X_", environment={"X_NAME": "5", "X_COLOUR": "red"}, flags={}
    )
    assert (found.value.name, found.value.colour) == ("5", "red"), "text stays text"
    assert found.value.state == str(tmp_path / "state")


def test_a_list_from_the_environment(tmp_path: Path) -> None:
    environment = {"X_CAMERAS__FRONT__DELEGATES": '["gpu", "cpu"]'}
    assert read(tmp_path, environment=environment).value.cameras["front"].delegates == (
        "gpu",
        "cpu",
    )


@pytest.mark.parametrize(
    ("text", "environment", "said", "hint"),
    [
        ('nam = "pi"', {}, "unknown key 'nam'", "Did you mean 'name'?"),
        (FILE + "every_sm = 3", {}, "unknown key 'every_sm' in [cameras.front]", "'every_ms'"),
        (FILE, {"X_WINDOWS": "3"}, "X_WINDOWS has an unknown key 'windows'", "'window_s'"),
        ('name = "pi"\nwindow_s = 0', {}, "window_s: expected `float` > 0", "Correct"),
        ('name = "pi"\nwindow_s = "a"', {}, "window_s: expected `float`, got `str`", "Correct"),
        ("window_s = 1", {}, "lacks 'name'", "name = …"),
        ('name = "pi"\n[cameras.front]', {}, "lacks 'cameras.front.path'", "path = …"),
        (FILE + "every_ms = 0", {}, "cameras.front.every_ms: expected `int` >= 1", "Correct"),
        (FILE, {"X_CAMERAS__BACK__PATH": "1", "X_CAMERAS__BACK__EVERY_MS": "0"}, "back", "Correct"),
        (FILE, {"X_WINDOW_S": "a b"}, "X_WINDOW_S='a b' cannot be read", "TOML"),
        (FILE, {"X_WINDOW_S": "-1"}, "X_WINDOW_S: window_s: expected `float` > 0", "Correct"),
        ('name = "pi"\n[window_s]\na = 1', {}, "window_s is a single value", "window_s = …"),
        ("name = ", {}, "is not TOML", "toml.io"),
    ],
)
def test_a_mistake_is_named_with_its_remedy(
    tmp_path: Path, text: str, environment: dict[str, str], said: str, hint: str
) -> None:
    with pytest.raises(UsageError) as caught:
        read(tmp_path, text, environment)
    assert said in caught.value.message
    assert hint in caught.value.hint


def test_a_value_and_a_table_of_one_name(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"cameras"):
        read(tmp_path, 'name = "pi"\ncameras = 3', {"X_CAMERAS__FRONT__PATH": "a"})


def test_a_missing_file(tmp_path: Path) -> None:
    nothing: dict[str, Any] = {}
    with pytest.raises(UsageError, match="cannot be read"):
        read_configuration(
            Settings, tmp_path / "no.toml", prefix="X_", environment=nothing, flags=nothing
        )

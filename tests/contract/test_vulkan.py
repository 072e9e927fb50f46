"""Which build of a graphics driver there is: what an update changes, and what it does not."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from edge_sdk.backends.vulkan import drivers

DESCRIBED = "usr/share/vulkan/icd.d/driver.json"


@pytest.fixture(autouse=True)
def unset(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("VK_DRIVER_FILES", "VK_ICD_FILENAMES"):
        monkeypatch.delenv(name, raising=False)


def described(root: Path, where: str = DESCRIBED, library: str = "./libdriver.so") -> Path:
    path = root / where
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"ICD": {"library_path": library}}), encoding="utf-8")
    return path


def test_another_build_is_another_driver(tmp_path: Path) -> None:
    library = described(tmp_path).with_name("libdriver.so")
    library.write_bytes(b"one")
    first = drivers(tmp_path)
    assert first.startswith("libdriver.so ")
    assert drivers(tmp_path) == first
    library.write_bytes(b"another")
    assert drivers(tmp_path) != first


def test_a_link_to_a_new_version_is_another_driver(tmp_path: Path) -> None:
    library = described(tmp_path).with_name("libdriver.so")
    found = []
    for version in ("1", "2"):
        real = library.with_name(f"libdriver.so.{version}")
        real.write_bytes(b"as long as the other")
        library.unlink(missing_ok=True)
        library.symlink_to(real.name)
        found.append(drivers(tmp_path))
    assert found[0] != found[1]


def test_the_environment_chooses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    described(tmp_path)
    chosen = described(tmp_path, "chosen/other.json", "./libother.so")
    monkeypatch.setenv("VK_ICD_FILENAMES", str(chosen))
    assert drivers(tmp_path) == "libother.so"
    monkeypatch.setenv("VK_DRIVER_FILES", f"{chosen.parent}:/nowhere.json")
    assert drivers(tmp_path) == "libother.so"


def test_a_library_by_name_is_looked_for_where_the_loader_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    described(tmp_path, library="libdriver.so")
    assert drivers(tmp_path) == ""
    (tmp_path / "libdriver.so").write_bytes(b"one")
    monkeypatch.setenv("LD_LIBRARY_PATH", str(tmp_path))
    assert drivers(tmp_path).startswith("libdriver.so ")


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"ICD": 1}', '{"ICD": {}}'])
def test_what_describes_nothing_is_none(tmp_path: Path, text: str) -> None:
    described(tmp_path).write_text(text, encoding="utf-8")
    assert drivers(tmp_path) == ""
    assert drivers(tmp_path / "empty") == ""

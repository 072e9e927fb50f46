"""``agent.toml`` and the enrolment: what is refused, and what is said about it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from device_agent.config import AgentSettings, read_enrolment, read_settings
from edge_sdk.cli.main import main
from edge_sdk.errors import ArtifactError, EdgeError, UsageError
from edge_sdk.spec import InputLimits, encode
from edge_sdk.spec.enrolment import BrokerLogin, Enrolment

CONFIG = """
enrolment = "pi-1.enrolment.json"
[apps.look]
source = "folder"
path = "pictures"
"""
ENROLMENT = Enrolment(device="pi-1", broker="mqtt://127.0.0.1:1", root=b"{}", director=b"\1" * 32)


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "agent.toml"
    path.write_text(CONFIG)
    enrolment = tmp_path / "pi-1.enrolment.json"
    enrolment.touch(mode=0o600)
    enrolment.write_bytes(encode(ENROLMENT))
    return path


def settings(config: Path, **environment: str) -> AgentSettings:
    return read_settings(config, environment, {}).value


def test_what_it_says(config: Path) -> None:
    found = settings(config, EDGELOOP_AGENT_PROBATION_S="7")
    assert found.probation_s == 7.0
    assert found.state == str(config.parent / "state")
    assert found.apps["look"].path == str(config.parent / "pictures")
    assert read_enrolment(found) == ENROLMENT


def test_show_prints_each_value_and_its_origin(
    config: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EDGELOOP_AGENT_WINDOW_S", "3")
    words = ["agent", "config", "show", "--config", str(config), "--state", "elsewhere"]
    assert main([*words, "--json"]) == 0
    rows = {row["key"]: row for row in json.loads(capfd.readouterr().out)["config"]}
    assert rows["window_s"] == {
        "key": "window_s",
        "value": "3.0",
        "from": "EDGELOOP_AGENT_WINDOW_S",
    }
    assert rows["state"]["from"] == "--state"
    assert rows["probation_s"]["from"] == "default"
    assert rows["apps.look.source"]["from"] == str(config)
    assert main(words) == 0
    assert "EDGELOOP_AGENT_WINDOW_S" in capfd.readouterr().out


@pytest.mark.parametrize(
    ("words", "said", "hint"),
    [
        (["rollbak", "look"], "does not know 'rollbak look'", "rollback APP"),
        (["rollback"], "Which application?", "edge agent rollback APP"),
        (["status"], "No agent runs on the state folder", "edge agent run --config FILE"),
    ],
)
def test_wrong_words(
    config: Path, capfd: pytest.CaptureFixture[str], words: list[str], said: str, hint: str
) -> None:
    assert main(["agent", *words, "--config", str(config)]) in (2, 3)
    complaint = capfd.readouterr().err
    assert said in complaint
    assert hint in complaint


def test_a_probation_that_none_could_pass(config: Path) -> None:
    with pytest.raises(UsageError, match="no version could pass"):
        settings(config, EDGELOOP_AGENT_PROBATION_DEADLINE_S="1")


def test_whose_limits_inputs_are_held_to(config: Path) -> None:
    look = settings(config).apps["look"]
    assert (look.guarding, look.guarding_text) == (True, "")
    look = settings(config, EDGELOOP_AGENT_APPS__LOOK__GUARD="false").apps["look"]
    assert (look.guarding, look.guarding_text) == (False, "limits are off on the device")
    config.write_text(CONFIG + "limits = { min_luma = 20, ranges = { x = [-5, 5] } }\n")
    look = settings(config).apps["look"]
    assert look.guarding == InputLimits(min_luma=20, ranges={"x": (-5, 5)})
    assert look.guarding_text == (
        "limits of the device's own: min_luma 20, min_contrast 2, ranges x -5 to 5, finite"
    )


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ("limits = { min_luma = 20 }\nguard = false", "guard = false, which is none"),
        ("limits = { min_luma = 300 }", r"apps\.look\.limits: No picture can pass"),
        ("limits = { lumma = 300 }", r"unknown key 'lumma' in \[apps\.look\.limits\]"),
        ("limits = { min_luma = 'low' }", "expected `float`"),
        ("guard = 'none'", "expected `bool`"),
    ],
    ids=["both", "nothing-passes", "key", "type", "word"],
)
def test_limits_that_will_not_do(config: Path, lines: str, said: str) -> None:
    config.write_text(CONFIG + lines + "\n")
    with pytest.raises(UsageError, match=said):
        settings(config)


def test_a_wrong_key(config: Path) -> None:
    config.write_text(CONFIG.replace("source", "sorce"))
    with pytest.raises(UsageError) as caught:
        settings(config)
    assert caught.value.hint == "Did you mean 'source'?"


@pytest.mark.parametrize(
    ("content", "mode", "device", "error", "said"),
    [
        (None, 0o600, "", UsageError, "cannot be read"),
        (encode(ENROLMENT), 0o644, "", UsageError, "others on this machine may read it"),
        (encode(ENROLMENT), 0o600, "pi-2", UsageError, "is of 'pi-1'; this device is 'pi-2'"),
        (b"{}", 0o600, "", ArtifactError, "cannot be read"),
    ],
)
def test_an_enrolment_that_will_not_do(
    config: Path,
    content: bytes | None,
    mode: int,
    device: str,
    error: type[EdgeError],
    said: str,
) -> None:
    path = config.parent / "pi-1.enrolment.json"
    path.unlink()
    if content is not None:
        path.write_bytes(content)
        path.chmod(mode)
    with pytest.raises(error, match=said) as caught:
        read_enrolment(settings(config, EDGELOOP_AGENT_DEVICE=device))
    assert "edge fleet enroll" in caught.value.hint or "chmod 600" in caught.value.hint


def test_a_password_does_not_end_up_in_a_log() -> None:
    login = BrokerLogin(username="pi-1", password="s3cret")
    assert "s3cret" not in repr(login)


def test_without_a_file_flags_will_do(
    config: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(config.parent)
    (config.parent / "street.mp4").touch()
    words = ["--enrolment", "pi-1.enrolment.json", "--app", "look=pictures"]
    words += ["--app", "cars=street.mp4", "--state", "pi-1"]
    assert main(["agent", "config", "show", *words, "--json"]) == 0
    shown = json.loads(capfd.readouterr().out)["config"]
    rows = {row["key"]: row["value"] for row in shown}
    origins = {row["key"]: row["from"] for row in shown}
    assert origins["apps.look.path"] == "--app look=pictures"  # as typed: there is no --apps…
    assert origins["apps.cars.source"] == "--app cars=street.mp4"
    assert origins["state"] == "--state"
    assert (rows["apps.look.source"], rows["apps.cars.source"]) == ("folder", "video")
    assert rows["apps.look.path"] == str(config.parent / "pictures")
    assert rows["state"] == str(config.parent / "pi-1")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["run"], "--enrolment FILE --app NAME=PATH"),
        (["status"], "--state FOLDER"),
        (["run", "--enrolment", "e.json", "--app", "look"], "is not NAME=PATH"),
        (["run", "--enrolment", "e.json", "--app", "lo.ok=x"], "is not NAME=PATH"),
    ],
)
def test_without_a_file_something_must_say_which_agent(
    words: list[str], said: str, capfd: pytest.CaptureFixture[str]
) -> None:
    assert main(["agent", *words]) == 2
    assert said in capfd.readouterr().err


def test_to_ask_an_agent_its_folder_will_do(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert main(["agent", "status", "--state", str(tmp_path / "gone")]) == 3
    assert "gone" in capfd.readouterr().err

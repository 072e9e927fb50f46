"""A real Home Assistant adds our wake-word service, wakes by it, and outlives its absence.

Home Assistant is the released one, a process out of its own venv (``scripts/homeassistant``), and
is used as people do: by the interfaces of its web page (``assist_client.py``). Without that venv
these tests are skipped; ``make test-homeassistant`` installs it first.
"""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge_sdk.voice.wake import WakeWord
from examples.assets import asset
from tests.patience import ended, turns
from tests.spoken import heard, speak

ROOT = Path(__file__).resolve().parents[2]
PATIENCE_S = 180
QUIET_S = 3  # how long a microphone stays open after a sound that wakes nobody
WORDS = {"okay_nabu": "Okay Nabu", "alexa": "Alexa"}
CONFIGURATION = """\
homeassistant:
  name: test
http:
  server_host: 127.0.0.1
  server_port: {port}
frontend:
config:
assist_pipeline:
"""


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def answers(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True


class Service:
    """``edge voice serve`` at a port that stays the same, as Home Assistant's setting does."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.port = folder, free_port()
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        models = [str(asset("wake-words") / f"{word}.tflite") for word in WORDS]
        command = [sys.executable, "-m", "edge_sdk", "voice", "serve", *models]
        with (self.folder / "edge.log").open("ab") as log:
            self.process = subprocess.Popen(
                [*command, "--listen", f"tcp://127.0.0.1:{self.port}"], stdout=log, stderr=log
            )
        assert any(answers(self.port) for _ in turns(PATIENCE_S)), self.log()

    def end(self) -> None:
        if self.process is not None:
            self.process.terminate()
            assert ended(self.process, PATIENCE_S) == 0
            self.process = None

    def log(self) -> str:
        return (self.folder / "edge.log").read_text()


class HomeAssistant:
    """Home Assistant itself, and its owner at a browser."""

    def __init__(self, python: str, folder: Path) -> None:
        self.port = free_port()
        (folder / "configuration.yaml").write_text(CONFIGURATION.format(port=self.port))
        command = [python, "-m", "homeassistant", "--config", str(folder), "--skip-pip"]
        self.said = folder / "said.log"
        with self.said.open("wb") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log)
        self.python = python
        self.owner: subprocess.Popen[str] | None = None

    def move_in(self) -> None:
        """Once it answers, its owner sits down at the browser."""
        assert any(answers(self.port) or self.process.poll() for _ in turns(PATIENCE_S)), self.log()
        client = [self.python, str(Path(__file__).with_name("assist_client.py"))]
        self.owner = subprocess.Popen(
            [*client, f"http://127.0.0.1:{self.port}"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def __call__(self, job: str, **wanted: object) -> Any:
        assert self.owner is not None
        assert self.owner.stdin is not None
        assert self.owner.stdout is not None
        print(json.dumps({"job": job, **wanted}), file=self.owner.stdin, flush=True)
        line = self.owner.stdout.readline()
        assert line, self.log()
        return json.loads(line)["answer"]

    def log(self) -> str:
        return self.said.read_text()

    def end(self) -> None:
        if self.owner is not None:
            self.owner.communicate()
        self.process.terminate()
        assert ended(self.process, PATIENCE_S, self.log) == 0


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    service = Service(tmp_path_factory.mktemp("service"))
    service.start()
    yield service
    service.end()


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory, service: Service) -> Iterator[HomeAssistant]:
    """Home Assistant, which has added the service."""
    done = subprocess.run(
        [ROOT / "scripts" / "homeassistant", "--path"], capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        pytest.skip(done.stderr.strip())
    home = HomeAssistant(done.stdout.strip(), tmp_path_factory.mktemp("home"))
    try:
        home.move_in()
        assert home("add", host="127.0.0.1", port=service.port) == {
            "type": "create_entry",
            "title": "edgeloop",
            "errors": None,
        }
        yield home
    finally:
        home.end()


@pytest.fixture(scope="module")
def sounds(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Each wake word between two half seconds of silence, and a read sentence."""
    folder = tmp_path_factory.mktemp("sounds")
    gap = np.zeros(8_000, np.int16)
    found = {}
    for word, phrase in WORDS.items():
        spoken = heard(speak(phrase, folder / f"{word}.wav"))
        found[word] = np.concatenate([gap, spoken, gap, gap])
    found["read"] = heard(sorted(asset("speech").glob("*.wav"))[0])
    for name, sound in found.items():
        (folder / name).write_bytes(sound.tobytes())
    return {name: folder / name for name in found}


def known_ms(word: str, sound: Path) -> int:
    """When our own ears know it."""
    with WakeWord(asset("wake-words") / f"{word}.tflite") as ears:
        (wake,) = ears.hear(np.frombuffer(sound.read_bytes(), np.int16))
    return int(wake.time_s * 1000)


def hear(home: HomeAssistant, sound: Path, word: str | None, pause_s: float = 0.0) -> Any:
    """The word that Home Assistant's wake-word stage takes a sound for."""
    return stage(home, sound, word, pause_s, open_s=PATIENCE_S)


def nobody_hears(home: HomeAssistant, sound: Path, word: str) -> bool:
    return stage(home, sound, word, pause_s=0.0, open_s=QUIET_S) == {}


def stage(
    home: HomeAssistant, sound: Path, word: str | None, pause_s: float, open_s: float
) -> dict[str, Any]:
    """What the stage finds; it must end without an error."""
    events = home("hear", pcm=str(sound), word=word, pause_s=pause_s, open_s=open_s)
    assert set(events) == {"run-start", "wake_word-start", "wake_word-end", "run-end"}
    (end,) = events["wake_word-end"]
    found: dict[str, Any] = end["wake_word_output"]
    return found


def test_it_reads_what_we_are(home: HomeAssistant) -> None:
    assert home("entry") == "loaded"
    assert home("words") == [
        {"id": word, "name": phrase, "phrase": phrase} for word, phrase in WORDS.items()
    ]
    (program,) = home("service")["wake"]
    assert (program["name"], program["installed"]) == ("edgeloop", True)
    okay_nabu, alexa = program["models"]
    assert alexa["languages"] == ["en"]
    assert set(okay_nabu["languages"]) >= {"en", "de", "fr"}
    for model in (okay_nabu, alexa):
        assert model["attribution"]["name"] == "Kevin Ahrendt"
        assert model["installed"]


@pytest.mark.parametrize("pause_s", [0.0, 0.064], ids=["at once", "in real time"])
@pytest.mark.parametrize("word", WORDS)
def test_it_wakes_by_the_word(
    home: HomeAssistant, sounds: dict[str, Path], word: str, pause_s: float
) -> None:
    wait_out_its_cooldown()
    assert hear(home, sounds[word], word, pause_s) == {
        "wake_word_id": word,
        "wake_word_phrase": WORDS[word],
        "timestamp": known_ms(word, sounds[word]),
    }


def test_it_asks_for_any_word(home: HomeAssistant, sounds: dict[str, Path]) -> None:
    wait_out_its_cooldown()
    assert hear(home, sounds["alexa"], None)["wake_word_id"] == "alexa"


def test_another_word_and_a_sentence_wake_nobody(
    home: HomeAssistant, sounds: dict[str, Path]
) -> None:
    assert nobody_hears(home, sounds["alexa"], "okay_nabu")
    assert nobody_hears(home, sounds["read"], "okay_nabu")


def test_a_service_that_is_gone_and_comes_back(
    home: HomeAssistant, service: Service, sounds: dict[str, Path]
) -> None:
    wait_out_its_cooldown()
    service.end()
    assert nobody_hears(home, sounds["okay_nabu"], "okay_nabu")
    assert [each["id"] for each in home("words")] == list(WORDS)  # as it last knew them
    service.start()
    assert hear(home, sounds["okay_nabu"], "okay_nabu")["wake_word_id"] == "okay_nabu"
    service.end()
    home("reload")
    assert home("entry") == "setup_retry"
    service.start()
    assert any(home("entry") == "loaded" for _ in turns(PATIENCE_S))  # by itself
    wait_out_its_cooldown()
    assert hear(home, sounds["okay_nabu"], "okay_nabu")["wake_word_id"] == "okay_nabu"


def test_nobody_is_there(home: HomeAssistant) -> None:
    found = home("add", host="127.0.0.1", port=free_port())
    assert (found["type"], found["errors"]) == ("form", {"base": "cannot_connect"})


def test_nothing_of_it_was_an_error_of_ours(service: Service, home: HomeAssistant) -> None:
    assert "Traceback" not in service.log()
    assert "cannot be used" not in service.log()
    lines = [each for each in home.log().splitlines() if " ERROR " in each and "wyoming" in each]
    assert len(lines) <= 1, lines
    assert all("Error processing audio stream" in each for each in lines)  # while we were gone


def wait_out_its_cooldown() -> None:
    """For two seconds Home Assistant takes a phrase for an echo of itself in another room."""
    for _ in turns(2.2):
        pass

"""``edge demo voice --microphone`` on a sound card: what is said to it, Ctrl-C, pulled out."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.patience import ended, turns
from tests.sound_card import SoundCard, missing
from tests.spoken import speak

PATIENCE_S = 60


@pytest.fixture
def card(tmp_path: Path) -> Iterator[SoundCard]:
    if why := missing():
        pytest.skip(why)
    folder = tmp_path / "card"
    folder.mkdir()
    card = SoundCard(folder)
    yield card
    card.close()


class Listening:
    """The demo at its microphone, once it listens."""

    def __init__(self, card: SoundCard, folder: Path, *options: str) -> None:
        self.out, self.log = folder / "out", folder / "err"
        command = [sys.executable, "-m", "edge_sdk", "demo", "voice", "--microphone", *options]
        with self.out.open("wb") as out, self.log.open("wb") as log:
            self.process = subprocess.Popen(command, env=card.environment, stdout=out, stderr=log)
        assert self.says("Listening to the microphone"), self.said()

    def said(self) -> str:
        return self.log.read_text()

    def says(self, what: str) -> bool:
        return any(
            what in self.said() or self.process.poll() is not None for _ in turns(PATIENCE_S)
        ) and (what in self.said())

    def end(self) -> int:
        return ended(self.process, PATIENCE_S, self.said)


def test_what_is_said_to_it_is_heard_until_ctrl_c(card: SoundCard, tmp_path: Path) -> None:
    listening = Listening(card, tmp_path, "--json")
    card.play(speak("okay nabu, turn on the light", tmp_path / "light.wav"))
    assert listening.says("heard: 'turn on the light'"), listening.said()
    listening.process.send_signal(signal.SIGINT)
    assert listening.end() == 0, listening.said()
    found = json.loads(listening.out.read_text())
    assert [wake["word"] for wake in found["wakes"]] == ["okay_nabu"]
    assert found["intent"] == {"name": "switch", "slots": {"to": "on", "thing": "light"}}


def test_it_listens_as_long_as_told(card: SoundCard, tmp_path: Path) -> None:
    listening = Listening(card, tmp_path, "--seconds", "1")
    assert listening.end() == 0, listening.said()
    assert listening.out.read_text().strip() == "No wake word was heard."


def test_one_that_is_pulled_out_is_missed(card: SoundCard, tmp_path: Path) -> None:
    listening = Listening(card, tmp_path)
    card.pull_out()
    assert listening.end() == 3
    assert re.search(r"The microphone has given nothing for (5|15) s\.", listening.said())
    assert "Traceback" not in listening.said()

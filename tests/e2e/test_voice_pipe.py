"""``edge demo voice`` at a pipe that gives nothing, or is left; and wavs of other programs."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.conftest import Edge
from tests.patience import ended, turns
from tests.spoken import heard, provide, speak

PATIENCE_S = 60
SENTENCE = "okay nabu, turn on the light"


class AtAPipe:
    """The demo at the end of a pipe that stays open, once it listens."""

    def __init__(self, folder: Path, *options: str) -> None:
        self.out, self.log = folder / "out", folder / "err"
        command = [sys.executable, "-m", "edge_sdk", "demo", "voice", "--input", "-", *options]
        with self.out.open("wb") as out, self.log.open("wb") as log:
            self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=out, stderr=log)
        self.wait_for("Listening to")

    def wait_for(self, what: str) -> None:
        for _ in turns(PATIENCE_S):
            if what in self.log.read_text() or self.process.poll() is not None:
                break
        assert what in self.log.read_text()

    def say(self, sound: bytes) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(sound)
        self.process.stdin.flush()

    def end(self) -> int:
        return ended(self.process, PATIENCE_S, self.log.read_text)

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        if self.process.stdin is not None:
            self.process.stdin.close()


@pytest.fixture
def silent(tmp_path: Path) -> Iterator[AtAPipe]:
    demo = AtAPipe(tmp_path)
    yield demo
    demo.close()


def test_a_pipe_that_gives_nothing_is_read_for_so_long(tmp_path: Path) -> None:
    demo = AtAPipe(tmp_path, "--seconds", "0.5")
    try:
        assert demo.end() == 2
        assert "Nothing came through the pipe in 0.5 s." in demo.log.read_text()
    finally:
        demo.close()


def test_a_pipe_that_falls_silent_is_read_for_so_long(tmp_path: Path) -> None:
    demo = AtAPipe(tmp_path, "--seconds", "4")
    try:
        demo.say(heard(speak(SENTENCE, tmp_path / "light.wav")).tobytes())  # 2.6 s, then nothing
        assert demo.end() == 0
        assert "transcript: turn on the light" in demo.out.read_text()
    finally:
        demo.close()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["ctrl-c", "kill"])
def test_a_silent_pipe_is_left_when_told(silent: AtAPipe, number: int) -> None:
    silent.say(b"\0\0" * 3200)
    silent.process.send_signal(number)
    assert silent.end() in (0, 130)  # 130 where its models were still being loaded
    assert "Traceback" not in silent.log.read_text()


def test_what_was_heard_before_a_kill_counts(silent: AtAPipe, tmp_path: Path) -> None:
    silent.say(heard(speak(SENTENCE, tmp_path / "light.wav")).tobytes())
    silent.wait_for("woken by okay_nabu")
    for _ in turns(1):  # it has come to wait for more
        pass
    silent.process.send_signal(signal.SIGTERM)
    assert silent.end() == 0
    assert "woken at" in silent.out.read_text()


def test_what_espeak_pipes_is_understood(edge: Edge, tmp_path: Path) -> None:
    provide()
    words = ["espeak-ng", "-v", "en-us", "-s", "140", "--stdout", SENTENCE]
    made = subprocess.run(words, capture_output=True, check=True).stdout
    (tmp_path / "e.wav").write_bytes(made)
    done = edge("demo", "voice", "--input", tmp_path / "e.wav")
    assert done.code == 0, done.err
    assert "transcript: turn on the light" in done.out
    command = [sys.executable, "-m", "edge_sdk", "demo", "voice", "--input"]
    piped = subprocess.run([*command, "-"], input=made, capture_output=True, check=False)
    assert piped.returncode == 0, piped.stderr
    assert b"transcript: turn on the light" in piped.stdout


def test_a_pipe_with_a_name(tmp_path: Path) -> None:
    named = tmp_path / "named"
    os.mkfifo(named)
    command = [sys.executable, "-m", "edge_sdk", "demo", "voice", "--input", str(named)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as demo:
        named.write_bytes(speak(SENTENCE, tmp_path / "light.wav").read_bytes())
        out, _ = demo.communicate()
    assert b"transcript: turn on the light" in out

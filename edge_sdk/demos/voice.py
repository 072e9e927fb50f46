"""``edge demo voice``: what a device makes of a sound, from the wake word to the intent."""

from __future__ import annotations

import math
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from edge_sdk.demos.assets import checkout
from edge_sdk.errors import UnavailableError, UsageError
from edge_sdk.interrupt import until_interrupted
from edge_sdk.voice.activity import Activity
from edge_sdk.voice.audio import PIPED, RATE_HZ, Samples, piped_blocks, wav_blocks
from edge_sdk.voice.commands import Commands
from edge_sdk.voice.listener import Command, Listener
from edge_sdk.voice.pipe import Pipe, TimeIsOver
from edge_sdk.voice.vocabulary import HOUSE, read_vocabulary
from edge_sdk.voice.wake import Wake, WakeWord

STANDARD_INPUT = "-"


def listen(
    blocks: Iterable[Samples],
    wake_word: Path,
    activity: Path,
    vocabulary: Path | None = None,
    say: Callable[[str], None] = lambda _: None,
) -> dict[str, Any]:
    """Hear a sound to its end.

    Args:
        blocks: 16 kHz mono.
        wake_word, activity: the models.
        vocabulary: what may be said; None is a house's few commands.
        say: is told each event as it happens.

    Returns:
        ``wakes`` (time_s, word, score), the last command's ``transcript`` and ``intent``, and
        ``commands``, all of them.
    """
    spoken = HOUSE if vocabulary is None else read_vocabulary(vocabulary)
    wakes: list[Wake] = []
    commands: list[Command] = []
    with ExitStack() as stack:
        word = stack.enter_context(WakeWord(wake_word))
        ears = Listener([word], stack.enter_context(Activity(activity)), Commands(spoken))
        for event in _events(ears, blocks):
            say(describe(event))
            if isinstance(event, Wake):
                wakes.append(event)
            else:
                commands.append(event)
    last = commands[-1] if commands else None
    return {
        "wakes": [asdict(wake) for wake in wakes],
        "transcript": last.transcript if last else "",
        "intent": asdict(last.intent) if last and last.intent else None,
        "commands": [asdict(command) for command in commands],
    }


def _events(ears: Listener, blocks: Iterable[Samples]) -> Iterator[Wake | Command]:
    for block in blocks:
        yield from ears.hear(block)
    yield from ears.finish()


def describe(event: Wake | Command) -> str:
    """One line about an event."""
    if isinstance(event, Wake):
        return f"{event.time_s:6.2f} s  woken by {event.word}, score {event.score:.2f}"
    if not event.transcript:
        return f"{event.time_s:6.2f} s  no command was heard"
    meant = "which is no command"
    if event.intent is not None:
        slots = "".join(f" {name}={word}" for name, word in event.intent.slots.items())
        meant = f"intent {event.intent.name}{slots}"
    return f"{event.time_s:6.2f} s  heard: {event.transcript!r}, {meant}"


def speech(sentence: str, folder: Path) -> Path:
    """A wav of a sentence spoken by espeak-ng, with a second of silence after it.

    Raises:
        UsageError: there is nothing in it to say.
        UnavailableError: espeak-ng is not installed.
    """
    if not any(map(str.isalnum, sentence)):
        raise UsageError(f"There is nothing to say in {sentence!r}.", "--say 'okay nabu, stop'")
    program = shutil.which("espeak-ng") or _install_espeak()
    path = folder / "spoken.wav"
    done = subprocess.run(
        [program, "-v", "en-us", "-s", "140", "-w", str(path), "--", sentence],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode or not path.exists():
        raise UnavailableError(f"espeak-ng spoke nothing: {done.stderr.strip()}.")
    return path


def _install_espeak() -> str:
    done = subprocess.run([checkout() / "scripts" / "apt", "espeak-ng"], stdout=2, check=False)
    program = shutil.which("espeak-ng")
    if done.returncode or program is None:
        raise UnavailableError(
            "The demo's sentence is spoken by espeak-ng, which is not installed.",
            "sudo apt-get install espeak-ng   # or bring a sound: --input FILE.wav",
        )
    return program


@contextmanager
def sound(
    path: str | None, microphone: bool, sentence: str, folder: Path, seconds: float | None = None
) -> Iterator[tuple[str, Iterable[Samples]]]:
    """What is listened to: its name for a person, and its blocks.

    Args:
        path: a wav, ``-`` for a wav or raw 16 kHz mono PCM from the standard input, or None.
        microphone: listen to that.
        sentence: what is spoken if neither is asked for.
        folder: where the spoken wav goes.
        seconds: of sound, and of waiting for what does not come; None is to the end.
    """
    if microphone:
        from edge_sdk.voice.microphone import Microphone

        with Microphone() as ears, until_interrupted(ears.blocks(seconds)) as blocks:
            yield "the microphone; Ctrl-C ends it", _first_seconds(blocks, seconds)
    elif path is None:
        spoken = wav_blocks(speech(sentence, folder))
        yield f"espeak-ng saying {sentence!r}", _first_seconds(spoken, seconds)
    elif path != STANDARD_INPUT and not Path(path).is_fifo():
        yield path, _first_seconds(wav_blocks(path), seconds)
    elif path != STANDARD_INPUT:
        with (
            Path(path).open("rb", buffering=0) as pipe,
            _through_a_pipe(pipe.fileno(), seconds) as blocks,
        ):
            yield path, blocks
    elif sys.stdin is None:
        raise UsageError("The standard input is closed.", PIPED)
    elif sys.stdin.isatty():
        raise UsageError("The standard input is a terminal, not a sound.", PIPED)
    else:
        with _through_a_pipe(sys.stdin.fileno(), seconds) as blocks:
            yield "the standard input", blocks


@contextmanager
def _through_a_pipe(descriptor: int, seconds: float | None) -> Iterator[Iterator[Samples]]:
    def blocks() -> Iterator[Samples]:
        pipe = Pipe(descriptor, seconds)
        try:
            yield from _first_seconds(piped_blocks(pipe), seconds)
        except TimeIsOver:
            if not pipe.came:
                raise UsageError(
                    f"Nothing came through the pipe in {seconds:g} s.", PIPED
                ) from None

    with until_interrupted(blocks()) as until_then:
        yield until_then


def _first_seconds(blocks: Iterable[Samples], seconds: float | None) -> Iterator[Samples]:
    """The beginning of a sound; all of it for None."""
    left = math.inf if seconds is None else int(seconds * RATE_HZ)
    for block in blocks:
        yield block
        left -= len(block)
        if left <= 0:  # before the next one is waited for
            return


def conclusion(found: dict[str, Any]) -> str:
    """One line about each wake word and the last command."""
    lines = [f"woken at {wake['time_s']:.2f} s by {wake['word']}" for wake in found["wakes"]]
    if not lines:
        return "No wake word was heard."
    lines.append(f"transcript: {found['transcript'] or '(nothing)'}")
    meant = found["intent"]
    slots = "".join(f" {name}={word}" for name, word in meant["slots"].items()) if meant else ""
    return "\n".join([*lines, f"intent: {meant['name'] + slots if meant else 'none'}"])

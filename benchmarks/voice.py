"""What listening costs, what it wrongly takes for a wake word, whether commands are understood.

False alarms are counted on read English; commands, and sentences that are none, are said by
espeak-ng in a few voices: alone, and behind "okay nabu" with and without a pause. Those are heard
twice, the second time without what was said before the wake word was known (``late_s=0``). Cost is
processor time a second of sound, one thread. How soon a wake word is heard: ``wake_word.py``.

    python benchmarks/voice.py [--quick]
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks._wake_words import SPEEDS, VOICES, WORDS, spoken
from edge_sdk.voice.activity import Activity
from edge_sdk.voice.audio import RATE_HZ, Samples, wav_blocks
from edge_sdk.voice.commands import Commands
from edge_sdk.voice.listener import AFTER_S, LATE_S, Command, Listener
from edge_sdk.voice.vocabulary import HOUSE
from edge_sdk.voice.wake import WakeWord
from examples.assets import asset

ROOT = Path(__file__).parents[1]
SAID = ("turn on the light", "turn the fan off", "what time is it", "turn off the heating", "stop")
OTHERS = (
    *("can you hear me", "the train was late again", "i forgot to buy milk", "who is at the door"),
    *("let us go home", "that was a good movie", "turn left at the next street", "good morning"),
    *("stop talking so loud", "it is raining outside", "the light is very bright", "banana"),
    *(
        "set a timer for ten minutes",
        "we turned on to the main road",
        "tell me a joke",
        "thank you",
    ),
    *("where did you put the keys", "what a nice day", "what day is it", "play some music"),
)
PAUSES: dict[str, str | float] = {
    "in one breath with": " ",
    "a comma after": ", ",
    "1 s after": 1.0,
}
"""What is written between wake word and command, or how many seconds of silence are there."""
FAST = (140, 170, 200)
REAL_TIME = 0.05


def main() -> None:
    parser = argparse.ArgumentParser(prog="voice")
    parser.add_argument("--quick", action="store_true", help="one voice alone")
    voices = VOICES[:1] if parser.parse_args().quick else VOICES
    subprocess.run([ROOT / "scripts" / "apt", "espeak-ng"], check=True, stdout=sys.stderr)
    ratios = {
        "false alarms, read English": float(false_alarms()),
        "commands misunderstood": misunderstood(voices),
        "other sentences taken for commands": taken_for_commands(voices),
    }
    limits = {"false alarms, read English": 0.0}
    for pause, between in PAUSES.items():
        wrong, before = misunderstood_behind_the_word(voices, between)
        ratios[f"commands {pause} the wake word: misunderstood"] = wrong
        ratios[f"commands {pause} the wake word: misunderstood, late_s = 0"] = before
        limits[f"commands {pause} the wake word: misunderstood"] = before
    others = others_behind_the_word(voices)
    ratios["other sentences in one breath with the wake word: taken for commands"] = others
    for what, share in costs().items():
        ratios[f"{what}, of {REAL_TIME} of a core"] = round(share / REAL_TIME, 3)
        limits[f"{what}, of {REAL_TIME} of a core"] = 1.0
    result = {
        "about": "false alarms, commands in a few voices, and the cost of listening",
        "peer": "every command, or what was promised",
        "ratios": ratios,
        "limits": limits,
    }
    print(json.dumps(result))


def read_english() -> Samples:
    return np.concatenate(
        [block for path in sorted(asset("speech").glob("*.wav")) for block in wav_blocks(path)]
    )


def false_alarms() -> int:
    """All words together, on LibriVox."""
    sound, found = read_english(), 0
    for word in WORDS:
        with WakeWord(asset("wake-words") / f"{word}.tflite") as ears:
            found += len(list(ears.hear(sound)))
    print(f"{found} false alarms in {len(sound) / RATE_HZ:.1f} s", file=sys.stderr)
    return found


def misunderstood(voices: tuple[str, ...]) -> float:
    """Share of commands whose intent was not what was said."""
    commands, wrong, said = Commands(), 0, 0
    for voice in voices[:2]:
        for speed in SPEEDS:
            for sentence in SAID:
                sound, _ = spoken(sentence, voice, speed)
                heard = HOUSE.intent(commands.recognize(sound))
                wrong += heard != HOUSE.intent(sentence)
                said += 1
    print(f"{said - wrong} of {said} commands understood", file=sys.stderr)
    return round(wrong / said, 3)


def taken_for_commands(voices: tuple[str, ...]) -> float:
    """Share of sentences that are none of the vocabulary's in which one was heard all the same."""
    commands, wrong, said = Commands(), 0, 0
    for voice in voices[:2]:
        for sentence in OTHERS:
            sound, end = spoken(sentence, voice, SPEEDS[1])
            heard = commands.recognize(sound[: end + int(AFTER_S * RATE_HZ)])
            if heard:
                print(f"{sentence!r} is taken for {heard!r}", file=sys.stderr)
            wrong += bool(heard)
            said += 1
    print(f"{wrong} of {said} other sentences taken for commands", file=sys.stderr)
    return round(wrong / said, 3)


def misunderstood_behind_the_word(
    voices: tuple[str, ...], between: str | float
) -> tuple[float, float]:
    """Shares of commands misunderstood where the word was heard, and that without ``late_s``."""
    commands, woken, wrong, before = Commands(), 0, 0, 0
    for voice in voices:
        for speed in FAST:
            for sentence in SAID:
                sound = behind_the_word(sentence, between, voice, speed)
                heard = after_the_word(commands, sound, LATE_S)
                if heard is None:
                    continue
                woken += 1
                wrong += heard != [sentence]
                before += after_the_word(commands, sound, 0.0) != [sentence]
    clips = len(voices) * len(FAST) * len(SAID)
    print(
        f"'okay nabu', {between!r}: {woken} of {clips} wake; {woken - wrong} commands understood, "
        f"{woken - before} without what came before",
        file=sys.stderr,
    )
    return round(wrong / max(1, woken), 3), round(before / max(1, woken), 3)


def others_behind_the_word(voices: tuple[str, ...]) -> float:
    """Share of other sentences, said in one breath with the wake word, that are taken for one."""
    commands, woken, wrong = Commands(), 0, 0
    for voice in voices:
        for sentence in OTHERS:
            sound = behind_the_word(sentence, " ", voice, FAST[1])
            heard = after_the_word(commands, sound, LATE_S)
            woken += heard is not None
            if heard and any(heard):
                print(f"'okay nabu {sentence}' is taken for {heard}", file=sys.stderr)
                wrong += 1
    print(f"{wrong} of {woken} behind the wake word taken for commands", file=sys.stderr)
    return round(wrong / max(1, woken), 3)


def behind_the_word(sentence: str, between: str | float, voice: str, speed: int) -> Samples:
    if isinstance(between, str):
        return spoken(f"okay nabu{between}{sentence}", voice, speed)[0]
    word, end = spoken("okay nabu", voice, speed)
    said, _ = spoken(sentence, voice, speed)  # half a second of silence comes before
    silence = np.zeros(int((between - 0.5) * RATE_HZ), np.int16)
    return np.concatenate([word[:end], silence, said])


def after_the_word(commands: Commands, sound: Samples, late_s: float) -> list[str] | None:
    """The transcripts of what was said after okay_nabu; None if that was not heard."""
    word, network = asset("wake-words") / "okay_nabu.tflite", asset("silero-vad")
    activity = Activity(network / "silero_vad_16k_op15.onnx")
    with Listener([WakeWord(word)], activity, commands, late_s=late_s) as ears:
        events = [*ears.hear(sound), *ears.finish()]
    if not events:
        return None
    return [event.transcript for event in events if isinstance(event, Command)]


def costs() -> dict[str, float]:
    """Processor seconds a second of sound."""
    sound = read_english()
    word, voice = asset("wake-words") / "okay_nabu.tflite", asset("silero-vad")
    network = voice / "silero_vad_16k_op15.onnx"
    parts: dict[str, tuple[Any, Callable[[Any, Samples], Any]]] = {
        "wake word": (WakeWord(word), lambda each, block: list(each.hear(block))),
        "voice activity": (Activity(network), lambda each, block: each.hear(block)),
        "all of it": (
            Listener([WakeWord(word)], Activity(network), Commands()),
            lambda each, block: list(each.hear(block)),
        ),
    }
    found = {}
    for name, (part, hear) in parts.items():
        hear(part, sound[:RATE_HZ])
        began = time.process_time()
        for at in range(RATE_HZ, len(sound), 1280):
            hear(part, sound[at : at + 1280])
        found[name] = (time.process_time() - began) / (len(sound) / RATE_HZ - 1)
        print(f"{name}: {found[name]:.4f} of a core", file=sys.stderr)
        part.close()
    return found


if __name__ == "__main__":
    main()

"""The wake words that are listened for, who says them, and the two that listen."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
from pymicro_wakeword import MicroWakeWord, Model

from edge_sdk.voice.audio import RATE_HZ, Samples, wav_blocks
from edge_sdk.voice.wake import WakeWord
from examples.assets import asset

WORDS = {"alexa": 10, "hey_jarvis": 1, "hey_mycroft": 6, "okay_nabu": 9}
"""How many of the twelve clips were heard when this was first tried: no fewer will do."""
VOICES, SPEEDS = ("en-us", "en-gb", "en-gb-scotland", "en-us+f3"), (120, 140, 160)
STEP = RATE_HZ // 100
Hear = Callable[[Samples], bool]
"""Takes the next sound; answers whether the word was known by its end."""


def spoken(text: str, voice: str, speed: int) -> tuple[Samples, int]:
    """A clip with silence around it, and the sample at which its speech ends."""
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / "clip.wav"
        command = ["espeak-ng", "-v", voice, "-s", str(speed), "-w", str(path), text]
        subprocess.run(command, check=True)
        sound = np.concatenate(list(wav_blocks(path)))
    before = np.zeros(RATE_HZ // 2, np.int16)
    end = len(before) + int(np.flatnonzero(np.abs(sound) > 200)[-1])
    return np.concatenate([before, sound, np.zeros(2 * RATE_HZ, np.int16)]), end


def our_ears(word: str) -> Hear:
    """Ours, in steps of 10 ms."""
    ears = WakeWord(asset("wake-words") / f"{word}.tflite")
    return lambda step: bool(list(ears.hear(step)))


def peer_s_ears(word: str) -> Hear:
    """pymicro-wakeword's ``process_streaming`` on its own features, as its page shows."""
    from pymicro_wakeword import MicroWakeWordFeatures

    ears, features = MicroWakeWord.from_builtin(Model(word)), MicroWakeWordFeatures()

    def hear(step: Samples) -> bool:
        found = [
            ears.process_streaming(each) for each in features.process_streaming(step.tobytes())
        ]
        return any(found)

    return hear


EARS: dict[str, Callable[[str], Hear]] = {"ours": our_ears, "peer": peer_s_ears}

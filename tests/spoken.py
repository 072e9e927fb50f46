"""Speech to test with, made by espeak-ng, which is installed if it is missing."""

from __future__ import annotations

import shutil
import subprocess
from functools import cache
from pathlib import Path

import numpy as np

from edge_sdk.voice.audio import Samples, wav_blocks

ROOT = Path(__file__).resolve().parents[1]


def speak(text: str, path: Path, voice: str = "en-us", words_a_minute: int = 140) -> Path:
    """Write a wav of a sentence, 22.05 kHz mono as espeak-ng gives it."""
    provide()
    options = ["-v", voice, "-s", str(words_a_minute), "-w", str(path)]
    subprocess.run(["espeak-ng", *options, text], check=True)
    return path


def heard(path: Path) -> Samples:
    """A wav as one array of 16 kHz mono."""
    return np.concatenate(list(wav_blocks(path)))


@cache
def provide() -> None:
    """Install espeak-ng where it is missing."""
    if shutil.which("espeak-ng") is None:
        subprocess.run([ROOT / "scripts" / "apt", "espeak-ng"], check=True)

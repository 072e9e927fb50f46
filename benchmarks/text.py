"""Keystrokes that suggestions save, and what they cost, on public-domain prose.

Three suggestions, one key to take one, every letter, space and mark counted
(``edge_sdk.keyboard.typist``). Two texts that no setting was chosen on: the proceedings of a
workshop and a novel of 1865. Three keyboards type the first stretch of each: the trigram alone,
with the network beside it, and both with a personal dictionary that is empty at first and learns
what is typed. The last, which is what a person has, types two more stretches of each from an empty
dictionary, for a text differs from place to place; the promise is for the first stretches and for
the mean of all, and the worst is told. Cost is this thread's processor time before each key, since
what was promised is a machine left alone.

    python benchmarks/text.py [--quick]
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Collection
from pathlib import Path

from edge_sdk.keyboard.keyboard import Keyboard
from edge_sdk.keyboard.letters import Letters
from edge_sdk.keyboard.personal import Personal
from edge_sdk.keyboard.typist import plain, type_text
from edge_sdk.keyboard.words import read_words
from examples.assets import asset
from examples.predictive_text.make import models

LETTERS, QUICK_LETTERS = 20_000, 2_000
LIMIT_MS = 20
PROMISED = 0.5
"""Keys a letter, at most."""
TEXTS = {
    "proceedings": ("proceedings", (200_000, 220_000, 300_000)),
    "novel": ("alice", (1_000, 21_000, 61_000)),
}
"""Each text's asset, and at which letters its stretches begin."""


class Timed(Keyboard):
    """A keyboard with a stopwatch that runs only while this thread does."""

    took: list[float]

    def suggest(self, text: str, count: int = 3, *, passed: Collection[str] = ()) -> list[str]:
        began = time.thread_time()
        found = super().suggest(text, count, passed=passed)
        self.took.append((time.thread_time() - began) * 1000)
        return found


def _keys(label: str, keyboard: Timed, text: str) -> int:
    """Have a stretch typed; answers the keys it took."""
    keyboard.took = []
    typed = type_text(keyboard, text)
    print(f"{label}: {typed.saved:.1%} saved", file=sys.stderr, flush=True)
    return typed.keys


def main() -> None:
    parser = argparse.ArgumentParser(prog="text")
    parser.add_argument("--quick", action="store_true", help="a rough answer in a few seconds")
    letters = QUICK_LETTERS if parser.parse_args().quick else LETTERS
    folder = models()
    words = read_words(folder / "words.npz")
    ratios: dict[str, float] = {}
    limits: dict[str, float] = {}
    learning = []
    with Letters(folder / "letters.edge", folder / "alphabet.json") as network:
        for name, (source, begins) in TEXTS.items():
            text = plain(Path(asset(source)).read_text(encoding="utf-8"))
            keyboards = {
                "trigram": Timed(words),
                "and network": Timed(words, network),
                "learning": Timed(words, network, Personal()),
            }
            keys = {}
            for kind, keyboard in keyboards.items():
                keys[kind] = _keys(f"{name}, {kind}", keyboard, text[begins[0] :][:letters])
                ratios[f"{name}: keys a letter, {kind}"] = round(keys[kind] / letters, 4)
            learning.append(keys["learning"])
            ratios[f"{name}: keys over the trigram's"] = round(
                keys["learning"] / keys["trigram"], 4
            )
            took = sorted(keyboards["learning"].took)
            p99 = took[int(len(took) * 0.99)]
            print(f"{name}: {took[len(took) // 2]:.2f} ms, p99 {p99:.2f} ms", file=sys.stderr)
            ratios[f"{name}: p99 of {LIMIT_MS} ms a key"] = round(p99 / LIMIT_MS, 4)
            limits[f"{name}: p99 of {LIMIT_MS} ms a key"] = 1.0
            if letters == LETTERS:
                limits[f"{name}: keys a letter, learning"] = PROMISED
            for begin in begins[1:]:
                elsewhere = f"{name} from letter {begin:,}: keys a letter, learning"
                keyboard = Timed(words, network, Personal())
                learning.append(_keys(elsewhere, keyboard, text[begin:][:letters]))
                ratios[elsewhere] = round(learning[-1] / letters, 4)
    mean = f"mean of {len(learning)} stretches: keys a letter, learning"
    ratios[mean] = round(statistics.fmean(learning) / letters, 4)
    ratios["worst of them"] = round(max(learning) / letters, 4)
    if letters == LETTERS:
        limits[mean] = PROMISED
    result = {
        "about": f"typing {letters:,} letters with three suggestions",
        "peer": "a key for every letter, the trigram alone, or the milliseconds promised",
        "ratios": ratios,
        "limits": limits,
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()

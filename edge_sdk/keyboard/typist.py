"""Types a text with the help of suggestions, and counts what it did not have to type.

The typist is a patient one: before every key it looks at the suggestions, and takes the word it
means as soon as it is among them. Taking it is one key, and everything else is typed letter by
letter: capitals, marks, spaces and the ends of lines too. It types into a ``Composer``, so the
space that comes with a word behaves for it as it does for a person; where that space is not wanted
and no mark does away with it, it is taken back with a key.

    saved = 1 - keys / letters of the text
"""

from __future__ import annotations

import re
import statistics
import time
from dataclasses import dataclass

from edge_sdk.keyboard.composer import Composer
from edge_sdk.keyboard.keyboard import SUGGESTIONS, Keyboard, begun


@dataclass(frozen=True, slots=True)
class Typed:
    """How it went.

    Attributes:
        letters: of the text, spaces and marks included.
        keys: that were pressed.
        saved: share of the letters that cost no key.
        p50_ms, p99_ms: how long a key took, with the suggestions after it.
    """

    letters: int
    keys: int
    saved: float
    p50_ms: float
    p99_ms: float


def type_text(keyboard: Keyboard, text: str, count: int = SUGGESTIONS) -> Typed:
    """Type a text whose white space is single spaces and newlines."""
    composer, took = Composer(keyboard, count), [0.0]
    for at, line in enumerate(text.split("\n")):
        if at:
            composer.end()
        while composer.text[: _settled(composer)] != line:
            began = time.perf_counter()
            press_next(composer, line)
            took.append((time.perf_counter() - began) * 1000)
    letters, keys = len(text), composer.keys
    return Typed(
        letters=letters,
        keys=keys,
        saved=1 - keys / letters if letters else 0.0,
        p50_ms=statistics.median(took),
        p99_ms=sorted(took)[min(len(took) - 1, int(len(took) * 0.99))],
    )


def press_next(composer: Composer, line: str) -> None:
    """Press the key that brings a line nearer to what it shall be."""
    standing = composer.text[: len(composer.text) - len(begun(composer.text))]
    meant = [
        (len(word), -place)
        for place, word in enumerate(composer.suggestions)
        if line.startswith(standing + word) and not line[len(standing) + len(word) :][:1].isalpha()
    ]
    rest = line[_settled(composer) :]
    if meant:
        composer.take(-max(meant)[1])
    elif not composer.space_given or composer.sticks(rest[0]):
        composer.write(rest[0])
    elif rest[0] != " ":
        composer.erase()
    elif rest == " " or composer.sticks(rest[1]):
        composer.write(" ")
    else:
        composer.write(rest[1])


def _settled(composer: Composer) -> int:
    """How many letters stand there, but for a space that came by itself."""
    return len(composer.text) - composer.space_given


def plain(text: str) -> str:
    """A text as one types it: lines of a paragraph joined, single spaces, straight quotes."""
    for curly, straight in {"\u2019": "'", "\u2018": "'", "\u201c": '"', "\u201d": '"'}.items():
        text = text.replace(curly, straight)
    paragraphs = re.split(r"\n\s*\n", text)
    return "\n".join(" ".join(each.split()) for each in paragraphs if each.strip())

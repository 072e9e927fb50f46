"""Types a text with the help of suggestions, and counts what it did not have to type.

The typist is a patient one: before every key it looks at the suggestions, and takes the word it
means as soon as it is among them. Taking it is one key, and brings the space after it; where the
text goes on with a mark instead, the mark replaces that space, as it does on telephones. Everything
else is typed, letter by letter: capitals, marks and spaces too.

    saved = 1 - keys / letters of the text
"""

from __future__ import annotations

import re
import statistics
import time
from dataclasses import dataclass

from edge_sdk.keyboard.keyboard import SUGGESTIONS, Keyboard

_PIECE = re.compile(r"[^\W\d_]+(?:['\u2019][^\W\d_]+)*|.", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Typed:
    """How it went.

    Attributes:
        letters: of the text, spaces and marks included.
        keys: that were pressed.
        saved: share of the letters that cost no key.
        p50_ms, p99_ms: how long suggestions took, before each key.
    """

    letters: int
    keys: int
    saved: float
    p50_ms: float
    p99_ms: float


def type_text(keyboard: Keyboard, text: str, count: int = SUGGESTIONS) -> Typed:
    """Type a text whose white space is single spaces and newlines."""
    typed, keys, took = "", 0, []
    pieces = _PIECE.findall(text)
    for at, piece in enumerate(pieces):
        if not piece[0].isalpha():
            is_given = piece == " " and typed.endswith(" ")
            keys += not is_given
            typed = typed if is_given else _without_space(typed, piece) + piece
            continue
        done, passed = 0, set[str]()
        while done < len(piece):
            began = time.perf_counter()
            suggested = keyboard.suggest(typed + piece[:done], count, passed=passed)
            took.append((time.perf_counter() - began) * 1000)
            keys += 1
            if piece in suggested:
                typed += piece + " "
                break
            passed.update(suggested)
            done += 1
        else:
            typed += piece
        following = pieces[at + 1] if at + 1 < len(pieces) else ""
        keyboard.learn(typed if following else typed.rstrip(" "))
    took = took or [0.0]
    letters = len(text)
    return Typed(
        letters=letters,
        keys=keys,
        saved=1 - keys / letters if letters else 0.0,
        p50_ms=statistics.median(took),
        p99_ms=sorted(took)[min(len(took) - 1, int(len(took) * 0.99))],
    )


def plain(text: str) -> str:
    """A text as one types it: lines of a paragraph joined, single spaces, straight quotes."""
    for curly, straight in {"\u2019": "'", "\u2018": "'", "\u201c": '"', "\u201d": '"'}.items():
        text = text.replace(curly, straight)
    paragraphs = re.split(r"\n\s*\n", text)
    return "\n".join(" ".join(each.split()) for each in paragraphs if each.strip())


def _without_space(typed: str, mark: str) -> str:
    """The space that came with a word gives way to a mark, which is typed in its place."""
    return typed[:-1] if typed.endswith(" ") and mark not in " " else typed

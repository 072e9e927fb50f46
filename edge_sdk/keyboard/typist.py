"""Types a text with the help of suggestions, and counts what it did not have to type.

The typist is a patient one: before every key it looks at the suggestions, and takes the word it
means as soon as it is among them. Taking it is one key, and everything else is typed letter by
letter: capitals, digits, marks, spaces and the ends of lines too. All it does is to press keys of
a ``Composer``, as a person does, so the space that comes with a word behaves for it as for them;
where that space is not wanted and no mark does away with it, it is taken back with a key.

    saved = 1 - keys / letters of the text
"""

from __future__ import annotations

import re
import statistics
import time
from dataclasses import dataclass

from edge_sdk.errors import UsageError
from edge_sdk.keyboard.composer import BACKSPACE, ENTER, TAKING, Composer
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
    """Type a text as ``plain`` makes it.

    Raises:
        UsageError: no key types some of it.
    """
    strange = next((each for each in text if not each.isprintable() and each != ENTER), None)
    if strange is not None:
        raise UsageError(f"No key types {strange!r}.", "plain(text)   # leaves such out")
    composer, took = Composer(keyboard, count), [0.0]
    for at, line in enumerate(text.split("\n")):
        if at:
            composer.press(ENTER)
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
        for place, word in enumerate(composer.suggestions[: len(TAKING)])
        if line.startswith(standing + word) and not line[len(standing) + len(word) :][:1].isalpha()
    ]
    rest = line[_settled(composer) :]
    if meant:
        composer.press(TAKING[-max(meant)[1]])
    elif not composer.space_given or composer.sticks(rest[0]):
        composer.press(rest[0])
    elif rest[0] != " ":
        composer.press(BACKSPACE)
    elif rest == " " or composer.sticks(rest[1]):
        composer.press(" ")
    else:
        composer.press(rest[1])


def _settled(composer: Composer) -> int:
    """How many letters stand there, but for a space that came by itself."""
    return len(composer.text) - composer.space_given


def plain(text: str) -> str:
    """A text as one types it: lines of a paragraph joined, single spaces, straight quotes.

    What no key types, as a soft hyphen, is left out.
    """
    for curly, straight in {"\u2019": "'", "\u2018": "'", "\u201c": '"', "\u201d": '"'}.items():
        text = text.replace(curly, straight)
    text = "".join(each for each in text if each.isprintable() or each.isspace())
    paragraphs = re.split(r"\n\s*\n", text)
    return "\n".join(" ".join(each.split()) for each in paragraphs if each.strip())

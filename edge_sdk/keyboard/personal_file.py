"""The file of a personal dictionary: JSON that its owner may read, and take words out of.

    {"words": {"zoë": 3, "saw": 9}, "written": {"zoë": "Zoë"}, "pairs": {"saw": {"zoë": 2}}}

What came from a disk may be damaged, and counts that are none, or letters that no terminal shows,
would be met much later, in the middle of a word. So all of it is looked at when it is read, and a
file that is not as it should be is left as it is. Of a word that somebody has taken out of
``words``, what else is said is no damage; it is forgotten.
"""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta

from edge_sdk.errors import UsageError
from edge_sdk.spec.codec import UNREADABLE
from edge_sdk.toml_file import read_text

MAX_LETTERS = 40
Count = Annotated[int, Meta(ge=1, le=1 << 53)]


class Kept(msgspec.Struct):
    """What is in it.

    Attributes:
        words: how often each was typed, in lower case.
        written: with which capitals, where it has some.
        pairs: how often a word followed one or two others, joined by a space.
    """

    words: dict[str, Count]
    written: dict[str, str]
    pairs: dict[str, dict[str, Count]]


def fits(word: str) -> bool:
    """Whether this may be a word: letters that can be shown and written down, not too many."""
    return 0 < len(word) <= MAX_LETTERS and word.isprintable()


def written_down(kept: Kept) -> bytes:
    """The file's content."""
    return msgspec.json.encode(kept)


def read_kept(path: Path) -> Kept:
    """Read a file.

    Raises:
        UsageError: it cannot be read, is another kind of file, or damaged.
    """
    text = read_text(path)
    try:
        kept = msgspec.json.decode(text, type=Kept)
        _check(kept)
    except (*UNREADABLE, ValueError) as error:
        name = shlex.quote(str(path))
        raise UsageError(
            f"{path} is no personal dictionary, or is damaged: {error}.",
            f"mv {name} {name}.damaged   # then a new one is begun; nothing was changed",
        ) from error
    known = kept.words.keys()
    kept.written = {word: as_ for word, as_ in kept.written.items() if word in known}
    pairs = {
        before: {word: count for word, count in followers.items() if word in known}
        for before, followers in kept.pairs.items()
    }
    kept.pairs = {before: followers for before, followers in pairs.items() if followers}
    return kept


def _check(kept: Kept) -> None:
    """What types do not say. Raises ValueError."""
    for word in kept.words:
        if not fits(word) or word != word.lower():
            raise ValueError(f"{word!r} is no word in lower case")
    for word, written in kept.written.items():
        if not fits(written) or written.lower() != word:
            raise ValueError(f"{written!r} is not {word!r} with capitals")

"""What one person types: words and pairs of words, counted, in a file of theirs and nowhere else.

A language model knows English, not the names of one's family. So every word that is typed counts,
also after the word before it, and a new one is suggested from its second use on, or at once after
the word it followed. When there are more than ``MAX_WORDS`` or ``MAX_PAIRS``, all counts are halved
and what comes to nothing is forgotten: old habits fade, and the file stays small.

The file is JSON, readable by its owner alone, and written whole or not at all.
"""

from __future__ import annotations

import json
from bisect import bisect_left, insort
from collections import defaultdict
from pathlib import Path

from edge_sdk.errors import UsageError
from edge_sdk.files import whole_file
from edge_sdk.keyboard.words import LAST
from edge_sdk.toml_file import read_text

MAX_WORDS = 20_000
MAX_PAIRS = 60_000
MAX_LETTERS = 40
PAIR_WEIGHT = 0.6
_OWNER_ALONE = 0o600


class Personal:
    """Counts of words and pairs. ``Personal()`` is empty; ``Personal.open`` reads a file."""

    def __init__(self) -> None:
        self._words: dict[str, int] = {}
        self._written: dict[str, str] = {}
        self._pairs: defaultdict[str, dict[str, int]] = defaultdict(dict)
        self._total = 0
        self._pair_count = 0
        self._in_order: list[str] = []

    def learn(self, word: str, before: str) -> None:
        """A word was typed, after another one in lower case; its capitals are remembered."""
        key = word.lower()
        if not key or len(key) > MAX_LETTERS:
            return
        if key not in self._words:
            insort(self._in_order, key)
        self._words[key] = self._words.get(key, 0) + 1
        self._total += 1
        if key == word:
            self._written.pop(key, None)
        else:
            self._written[key] = word
        followers = self._pairs[before]
        self._pair_count += key not in followers
        followers[key] = followers.get(key, 0) + 1
        if len(self._words) > MAX_WORDS or self._pair_count > MAX_PAIRS:
            self._fade()

    def written(self, word: str) -> str:
        """A word as this person last wrote it: with its capitals."""
        return self._written.get(word, word)

    def likely(self, prefix: str, before: str) -> dict[str, float]:
        """Words that begin so, with their probabilities after the word before them."""
        if not self._total:
            return {}
        first = bisect_left(self._in_order, prefix)
        last = bisect_left(self._in_order, prefix + LAST, lo=first)
        found = {
            word: (1 - PAIR_WEIGHT) * self._words[word] / self._total
            for word in self._in_order[first:last]
        }
        followers = self._pairs.get(before, {})
        after = sum(followers.values()) + 1  # one more, for what has not been seen yet
        for word, count in followers.items():
            if word.startswith(prefix):
                found[word] += PAIR_WEIGHT * count / after
        return found

    def save(self, path: Path) -> None:
        """Write the file. Raises UsageError or UnavailableError if it cannot be."""
        content = {"words": self._words, "written": self._written, "pairs": self._pairs}
        with whole_file(path, mode=_OWNER_ALONE) as file:
            file.write(json.dumps(content, ensure_ascii=False).encode())

    @classmethod
    def open(cls, path: Path) -> Personal:
        """Read a file; one that is not there yet is empty.

        Raises:
            UsageError: it is another kind of file.
        """
        personal = cls()
        if not path.exists():
            return personal
        try:
            content = json.loads(read_text(path))
            personal._words = {str(word): int(n) for word, n in content["words"].items()}
            personal._written = {str(word): str(as_) for word, as_ in content["written"].items()}
            for before, followers in content["pairs"].items():
                known = {str(w): int(n) for w, n in followers.items() if w in personal._words}
                personal._pairs[before] = known
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise UsageError(
                f"{path} is no personal dictionary.",
                "Name another file; this one is left as it is.",
            ) from error
        personal._count()
        return personal

    def __len__(self) -> int:
        return len(self._words)

    def _fade(self) -> None:
        self._words = {word: n // 2 for word, n in self._words.items() if n > 1}
        pairs: defaultdict[str, dict[str, int]] = defaultdict(dict)
        for before, followers in self._pairs.items():
            known = {w: n // 2 for w, n in followers.items() if n > 1 and w in self._words}
            if known:
                pairs[before] = known
        self._pairs = pairs
        self._written = {word: as_ for word, as_ in self._written.items() if word in self._words}
        self._count()

    def _count(self) -> None:
        self._in_order = sorted(self._words)
        self._total = sum(self._words.values())
        self._pair_count = sum(map(len, self._pairs.values()))

"""What one person types: words, and what they follow, counted in a file of theirs alone.

A language model knows English, not the names of one's family. So every word that is typed counts,
also after the word and the two words before it. Habit corrects the model in three steps, each the
more the more has been seen: what the model expects of a word is scaled by how much more often than
it thinks, or less, this person says it at all (Kneser, Peters and Klakow's marginals, 1997); then
come the words that followed (Witten and Bell's way, with Ney's discount)::

    habit = (1 - b) count / all + b recent / of late
    p1 = (1 - a) known (all habit + 1) / (all anywhere + 1) + a habit
    p2 = (count after one - DISCOUNT + escape p1) / (seen after one + trust)
    p3 = the same after two, beginning with p2

    a = SHARE all / (all + HALF_SHARE);  escape = trust + DISCOUNT (different words seen there)

*Anywhere* is the model's probability of a word after nothing; all that is scaled so weighs together
what it did before. *Recent* counts what was typed since the file was opened, a word that is
``FADES_AFTER`` words older one e-th as much, for a text keeps to its subject; b grows with it to
``RECENT_SHARE``. When there are more than ``MAX_WORDS`` or ``MAX_FOLLOWERS``, all counts are halved
and what comes to nothing is forgotten: old habits fade, and the file stays small.

The file (``personal_file``) is JSON, readable by its owner alone, and written whole or not at all.
"""

from __future__ import annotations

import math
from bisect import bisect_left, insort
from collections import defaultdict
from collections.abc import Mapping
from heapq import nlargest
from itertools import islice
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

from edge_sdk.files import whole_file
from edge_sdk.keyboard.personal_file import Kept, fits, read_kept, written_down
from edge_sdk.keyboard.words import LAST

MAX_WORDS = 20_000
MAX_FOLLOWERS = 80_000
SHARE, HALF_SHARE = 0.1, 100
RECENT_SHARE, FADES_AFTER = 0.6, 400
TRUST = (16, 4)
"""After one word, after two: so many words that were seen there weigh as much as the model."""
DISCOUNT = 0.6
_FAVOURITES, _LAST_USED = 60, 40
_FAVOURITES_EVERY = 16
_OWNER_ALONE = 0o600


class Learnt(NamedTuple):
    """A word that was learnt, and what was known of it before.

    Attributes:
        word: in lower case.
        contexts: what it followed.
        written: its capitals before; None if it had none.
        recent: its weight before, and when that was; None if it was not typed of late.
    """

    word: str
    contexts: list[str]
    written: str | None
    recent: tuple[float, int] | None


class Personal:
    """Counts of words. ``Personal()`` is empty; ``Personal.open`` reads a file."""

    def __init__(self) -> None:
        self._words: dict[str, int] = {}
        self._written: dict[str, str] = {}
        self._followers: defaultdict[str, dict[str, int]] = defaultdict(dict)
        self._total = 0
        self._follower_count = 0
        self._in_order: list[str] = []
        self._recent: dict[str, tuple[float, int]] = {}
        """The weight a word had when it was last typed, and when that was; the latest last."""
        self._typed = 0
        self._favourites: list[str] = []

    def learn(self, word: str, before: tuple[str, ...]) -> Learnt | None:
        """A word was typed, after others in lower case; its capitals are remembered.

        Answers what unlearns it; None if it is no word to learn.
        """
        key = word.lower()
        if not fits(key) or not fits(word):
            return None
        learnt = Learnt(key, _contexts(before), self._written.get(key), self._recent.get(key))
        if key not in self._words:
            insort(self._in_order, key)
        self._words[key] = self._words.get(key, 0) + 1
        self._total += 1
        if key == word:
            self._written.pop(key, None)
        else:
            self._written[key] = word
        for context in learnt.contexts:
            followers = self._followers[context]
            self._follower_count += key not in followers
            followers[key] = followers.get(key, 0) + 1
        self._typed += 1
        weight = self._weight(key) + 1
        self._recent.pop(key, None)
        self._recent[key] = weight, self._typed
        if len(self._words) > MAX_WORDS or self._follower_count > MAX_FOLLOWERS:
            self._fade()
        if self._typed % _FAVOURITES_EVERY == 1:
            self._choose_favourites()
        return learnt

    def unlearn(self, learnt: Learnt) -> None:
        """A word was not meant after all: it counts once less. Of several, the latest first."""
        word = learnt.word
        self._typed -= 1
        self._recent.pop(word, None)
        if word not in self._words:  # it has faded meanwhile
            return
        self._total -= 1
        for context in learnt.contexts:
            followers = self._followers.get(context, {})
            if word in followers and _one_less(followers, word):
                self._follower_count -= 1
                if not followers:
                    del self._followers[context]
        if _one_less(self._words, word):
            del self._in_order[bisect_left(self._in_order, word)]
            self._written.pop(word, None)
            self._choose_favourites()
            return
        if learnt.written is None:
            self._written.pop(word, None)
        else:
            self._written[word] = learnt.written
        if learnt.recent is not None:
            self._recent[word] = learnt.recent

    def knows(self, word: str) -> bool:
        """Whether this person has typed that word, in lower case, at all."""
        return word in self._words

    def written(self, word: str) -> str:
        """A word as this person last wrote it: with its capitals."""
        return self._written.get(word, word)

    def mixed(
        self,
        prefix: str,
        before: tuple[str, ...],
        known: Mapping[str, float],
        anywhere: Mapping[str, float] = MappingProxyType({}),
    ) -> dict[str, float]:
        """Probabilities of the words that begin so, known ones and this person's.

        Args:
            prefix: the letters that stand there.
            before: at most two words before them, in lower case, the nearest last.
            known: what a language model thinks of its likeliest words, here.
            anywhere: and what it thinks of them after nothing; the same where it is not said.
        """
        if not self._total:
            return dict(known)
        contexts = [self._followers.get(context, {}) for context in _contexts(before)]
        share = SHARE * self._total / (self._total + HALF_SHARE)
        lately = min(self._typed, FADES_AFTER)
        recent = RECENT_SHARE / FADES_AFTER
        habits = {
            word: (1 - recent * lately) * self._words.get(word, 0) / self._total
            + recent * self._weight(word)
            for word in {*known, *self._beginning_with(prefix, contexts)}
        }
        scaled = {
            word: chance
            * (self._total * habits[word] + 1)
            / (self._total * anywhere.get(word, chance) + 1)
            for word, chance in known.items()
        }
        kept = sum(known.values()) / (sum(scaled.values()) or 1.0)
        mixed = {
            word: (1 - share) * kept * scaled.get(word, 0.0) + share * habit
            for word, habit in habits.items()
        }
        for followers, trust in zip(contexts, TRUST, strict=False):
            seen = sum(followers.values()) + trust
            escape = (trust + DISCOUNT * len(followers)) / seen
            for word, chance in mixed.items():
                count = followers.get(word, DISCOUNT)
                mixed[word] = escape * chance + (count - DISCOUNT) / seen
        return mixed

    def _beginning_with(self, prefix: str, contexts: list[dict[str, int]]) -> list[str]:
        """Words of this person's; of all of them, when nothing is typed yet, the likely ones."""
        if not prefix:
            latest = islice(reversed(self._recent), _LAST_USED)
            return [*self._favourites, *latest, *(word for each in contexts for word in each)]
        first = bisect_left(self._in_order, prefix)
        return self._in_order[first : bisect_left(self._in_order, prefix + LAST, lo=first)]

    def _weight(self, word: str) -> float:
        weight, then = self._recent.get(word, (0.0, self._typed))
        return weight * math.exp((then - self._typed) / FADES_AFTER)

    def save(self, path: Path) -> None:
        """Write the file. Raises UsageError or UnavailableError if it cannot be."""
        content = written_down(Kept(self._words, self._written, self._followers))
        with whole_file(path, mode=_OWNER_ALONE) as file:
            file.write(content)

    @classmethod
    def open(cls, path: Path) -> Personal:
        """Read a file; one that is not there yet is empty.

        Raises:
            UsageError: it is another kind of file, or damaged. It is left as it is.
        """
        personal = cls()
        if path.exists():
            kept = read_kept(path)
            personal._words, personal._written = kept.words, kept.written
            personal._followers.update(kept.pairs)
            personal._count()
        return personal

    def __len__(self) -> int:
        return len(self._words)

    def _fade(self) -> None:
        self._words = {word: n // 2 for word, n in self._words.items() if n > 1}
        faded: defaultdict[str, dict[str, int]] = defaultdict(dict)
        for before, followers in self._followers.items():
            known = {w: n // 2 for w, n in followers.items() if n > 1 and w in self._words}
            if known:
                faded[before] = known
        self._followers = faded
        self._written = {word: as_ for word, as_ in self._written.items() if word in self._words}
        self._recent = {word: at for word, at in self._recent.items() if word in self._words}
        self._count()

    def _count(self) -> None:
        self._in_order = sorted(self._words)
        self._total = sum(self._words.values())
        self._follower_count = sum(map(len, self._followers.values()))
        self._choose_favourites()

    def _choose_favourites(self) -> None:
        self._favourites = nlargest(_FAVOURITES, self._words, key=self._words.__getitem__)


def _contexts(before: tuple[str, ...]) -> list[str]:
    """The word before, and the two words before."""
    return [" ".join(before[-count:]) for count in (1, 2) if len(before) >= count]


def _one_less(counts: dict[str, int], word: str) -> bool:
    """Count a word once less; answers whether that was the last."""
    counts[word] -= 1
    if counts[word] > 0:
        return False
    del counts[word]
    return True

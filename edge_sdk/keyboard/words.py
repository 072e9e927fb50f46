"""A trigram model of words, pruned, whose vocabulary is found by its beginnings.

Words are numbered in alphabetical order, so those that begin alike are a range of numbers, and so
are those that may follow a word: a prefix is two bisections, not a search. A word's probability is
the trigram's, or the bigram's times the first back-off, or the word's own times both (Katz); all
words of the range are scored at once, the few that have a bigram or a trigram are then overwritten.

The file is an ``.npz`` of plain arrays::

    words                    the vocabulary, in order, joined by newlines (bytes)
    unigrams, backoffs       natural logarithms of each word's probability and back-off
    bigram_at                where the followers of word i begin: bigram_at[i] to bigram_at[i + 1]
    bigram_words, bigrams, bigram_backoffs
    trigram_at               the same, of the pair that is the i-th bigram
    trigram_words, trigrams

Half precision is enough for a logarithm, and sixteen bits for a word's number: two million pairs
and a million and a half triples stand in 27 MB.
"""

from __future__ import annotations

import zipfile
from bisect import bisect_left
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from edge_sdk.errors import UsageError

Floats = npt.NDArray[np.floating[Any]]
Integers = npt.NDArray[np.integer[Any]]
Scores = npt.NDArray[np.float32]

START = "<s>"
"""Stands before a sentence's first word."""
LAST = "\U0010ffff"
"""Comes after every letter: the end of a range of beginnings."""


@dataclass(frozen=True, slots=True)
class Words:
    """The model. See the module for its arrays.

    Attributes:
        words: the vocabulary, in order.
    """

    words: list[str]
    unigrams: Floats
    backoffs: Floats
    bigram_at: Integers
    bigram_words: Integers
    bigrams: Floats
    bigram_backoffs: Floats
    trigram_at: Integers
    trigram_words: Integers
    trigrams: Floats

    def number(self, word: str) -> int | None:
        """The number of a word; None if it is not in the vocabulary."""
        at = bisect_left(self.words, word)
        return at if at < len(self.words) and self.words[at] == word else None

    def beginning_with(self, prefix: str) -> range:
        """The numbers of the words that begin so."""
        first = bisect_left(self.words, prefix)
        return range(first, bisect_left(self.words, prefix + LAST, lo=first))

    def scores(self, context: tuple[str, ...], among: range) -> Scores:
        """Natural logarithms of the probabilities of words, after at most two words before them.

        Args:
            context: the words before, nearest last; an unknown one ends the memory there.
            among: which words.
        """
        scores = self.unigrams[among.start : among.stop].astype(np.float32)
        known = [self.number(word) for word in context[-2:]]
        last = known[-1] if known else None
        if last is None:
            return scores
        scores += np.float32(self.backoffs[last])
        begin, end = int(self.bigram_at[last]), int(self.bigram_at[last + 1])
        self._overwrite(scores, among, self.bigram_words, self.bigrams, begin, end)
        before = known[0] if len(known) == 2 else None
        pair = None if before is None else self._pair(before, last)
        if pair is not None:
            scores += np.float32(self.bigram_backoffs[pair])
            begin, end = int(self.trigram_at[pair]), int(self.trigram_at[pair + 1])
            self._overwrite(scores, among, self.trigram_words, self.trigrams, begin, end)
        return scores

    def _pair(self, first: int, second: int) -> int | None:
        begin, end = int(self.bigram_at[first]), int(self.bigram_at[first + 1])
        at = begin + int(np.searchsorted(self.bigram_words[begin:end], second))
        return at if at < end and self.bigram_words[at] == second else None

    @staticmethod
    def _overwrite(
        scores: Scores, among: range, words: Integers, values: Floats, begin: int, end: int
    ) -> None:
        followers = words[begin:end]
        low, high = np.searchsorted(followers, (among.start, among.stop))
        scores[followers[low:high] - among.start] = values[begin + low : begin + high]


def read_words(path: Path | str) -> Words:
    """Read a model of words.

    Raises:
        UsageError: no such file, or another kind of file.
    """
    names = [name for name in Words.__dataclass_fields__ if name != "words"]
    try:
        with np.load(path, allow_pickle=False) as arrays:
            words = arrays["words"].tobytes().decode().split("\n")
            found = Words(words, **{name: arrays[name] for name in names})
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror or error}.") from error
    except (KeyError, ValueError, zipfile.BadZipFile, EOFError) as error:
        raise UsageError(
            f"{path} is no model of words: {error}.",
            "python -m examples.predictive_text.make   # makes one, in a clone",
        ) from error
    if not _fits(found):
        raise UsageError(f"{path} is damaged: its arrays do not fit each other.", "Make it again.")
    return found


def _fits(found: Words) -> bool:
    count, pairs, triples = len(found.words), len(found.bigrams), len(found.trigrams)
    return (
        len(found.unigrams) == len(found.backoffs) == count
        and len(found.bigram_at) == count + 1
        and found.bigram_at[-1] == len(found.bigram_words) == len(found.bigram_backoffs) == pairs
        and len(found.trigram_at) == pairs + 1
        and found.trigram_at[-1] == len(found.trigram_words) == triples
    )

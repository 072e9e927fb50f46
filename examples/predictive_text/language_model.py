"""PocketSphinx's English trigram, read out of its binary and pruned to what a device needs.

The file is a *reverse trie*, bit-packed: under a word are the words that may come before it, under
those the words before them. Each level is an array of records; a record holds a word's number, the
place of its probability (and back-off) in a table of 65,536 values, and where its own children
begin. Probabilities are logarithms to the base 1.0001.

    "Trie Language Model"  order:u8  counts:u32[order]  1:u32
    tables: float[65536] for bigram probabilities, their back-offs, and trigram probabilities
    unigrams: {probability:f32, back-off:f32, first child:u32}[count + 1]
    bigrams, trigrams: bit-packed
    length:u32, words, each ended by a zero
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

Numbers = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float32]

_MAGIC = b"Trie Language Model"
_TABLE = 65_536
_PLACE_BITS = 16
_NATURAL = float(np.log(1.0001))


@dataclass(frozen=True)
class Trigram:
    """All of it, unpacked: n-grams as rows of word numbers, logarithms natural.

    Attributes:
        words: by number.
        unigrams, backoffs: of each word.
        pairs: n x 2, first word and second; with ``pair_scores`` and ``pair_backoffs``.
        triples: n x 3, in the order they are said; with ``triple_scores``.
    """

    words: list[str]
    unigrams: Floats
    backoffs: Floats
    pairs: Numbers
    pair_scores: Floats
    pair_backoffs: Floats
    triples: Numbers
    triple_scores: Floats


def read_trigram(path: Path) -> Trigram:
    """Read the binary file. Raises ValueError if it is another."""
    content = path.read_bytes()
    if not content.startswith(_MAGIC) or content[len(_MAGIC)] != 3:
        raise ValueError(f"{path} is no binary trigram of PocketSphinx")
    at = len(_MAGIC) + 1
    count, pair_count, triple_count = (int(n) for n in np.frombuffer(content, "<u4", 3, at))
    at += 3 * 4 + 4
    tables = np.frombuffer(content, "<f4", 3 * _TABLE, at).reshape(3, _TABLE) * _NATURAL
    at += tables.size * 4
    record = np.dtype([("score", "<f4"), ("backoff", "<f4"), ("child", "<u4")])
    unigrams: Any = np.frombuffer(content, record, count + 1, at)
    at += unigrams.nbytes
    word_bits, child_bits = count.bit_length(), triple_count.bit_length()
    pairs = _Packed(content, at, word_bits + 2 * _PLACE_BITS + child_bits)
    at += pairs.size(pair_count)
    triples = _Packed(content, at, word_bits + _PLACE_BITS)
    at += triples.size(triple_count)
    words = content[at + 4 :].split(b"\0")[:-1]

    used = int(unigrams["child"][-1])
    before = pairs.column(used, 0, word_bits)
    parent = np.repeat(np.arange(count), np.diff(unigrams["child"].astype(np.int64)))
    child = pairs.column(used + 1, word_bits + 2 * _PLACE_BITS, child_bits)
    below = int(child[-1])
    upper = np.repeat(np.arange(used), np.diff(child))
    return Trigram(
        words=[word.decode() for word in words],
        unigrams=(unigrams["score"][:-1] * _NATURAL).astype(np.float32),
        backoffs=(unigrams["backoff"][:-1] * _NATURAL).astype(np.float32),
        pairs=np.stack([before, parent], axis=1),
        pair_scores=tables[0][pairs.column(used, word_bits + _PLACE_BITS, _PLACE_BITS)],
        pair_backoffs=tables[1][pairs.column(used, word_bits, _PLACE_BITS)],
        triples=np.stack(
            [triples.column(below, 0, word_bits), before[upper], parent[upper]], axis=1
        ),
        triple_scores=tables[2][triples.column(below, word_bits, _PLACE_BITS)],
    )


@dataclass(frozen=True)
class _Packed:
    """An array of records that are not whole bytes."""

    content: bytes
    start: int
    record_bits: int

    def size(self, records: int) -> int:
        """Bytes it takes, with the one more record and the eight bytes that it always has."""
        return ((1 + records) * self.record_bits + 7) // 8 + 8

    def column(self, records: int, first_bit: int, bits: int) -> Numbers:
        """One field of all records."""
        raw = np.frombuffer(self.content, np.uint8)
        bit = np.arange(records, dtype=np.int64) * self.record_bits + first_bit
        byte, shift = self.start + (bit >> 3), (bit & 7).astype(np.uint64)
        value = np.zeros(records, np.uint64)
        for each in range(5):
            value |= raw[byte + each].astype(np.uint64) << np.uint64(8 * each)
        return ((value >> shift) & np.uint64((1 << bits) - 1)).astype(np.int64)


def pruned(full: Trigram, vocabulary: int, pairs: int, triples: int) -> dict[str, Any]:
    """The arrays of ``edge_sdk.keyboard.words``: likely words, and n-grams that say something new.

    Args:
        full: all of it.
        vocabulary: how many words to keep, the likeliest.
        pairs, triples: how many of each to keep: those whose probability differs most from what
            the shorter context says, weighted by how often they are met.
    """
    letters = np.array(
        [word == "<s>" or word.replace("'", "").isalpha() for word in full.words]
    ) & ~np.isin(full.words, ["</s>"])
    likely = np.flatnonzero(letters)
    start = full.words.index("<s>")
    scores = full.unigrams.copy()
    scores[start] = 0.0  # it is in no text, but before every sentence
    likely = likely[np.argsort(-scores[likely], kind="stable")][:vocabulary]
    kept = np.array(sorted(likely, key=lambda number: full.words[number]))
    number = np.full(len(full.words), -1)
    number[kept] = np.arange(len(kept))

    pair_rows = np.flatnonzero((number[full.pairs] >= 0).all(axis=1) & (full.pairs[:, 1] != start))
    two = number[full.pairs[pair_rows]]
    shorter = full.backoffs[kept][two[:, 0]] + full.unigrams[kept][two[:, 1]]
    weight = scores[kept][two[:, 0]] + full.pair_scores[pair_rows]
    gain = np.exp(weight) * np.abs(full.pair_scores[pair_rows] - shorter)

    triple_rows = np.flatnonzero(
        (number[full.triples] >= 0).all(axis=1) & (full.triples[:, 2] != start)
    )
    three = number[full.triples[triple_rows]]
    size = len(kept)
    pair_key = two[:, 0] * size + two[:, 1]
    order = np.argsort(pair_key)
    pair_key, pair_rows, gain = pair_key[order], pair_rows[order], gain[order]

    def found(first: Numbers, second: Numbers) -> Numbers:
        wanted = first * size + second
        at = np.minimum(np.searchsorted(pair_key, wanted), len(pair_key) - 1)
        return np.where(pair_key[at] == wanted, at, -1)

    head, tail = found(three[:, 0], three[:, 1]), found(three[:, 1], three[:, 2])
    usable = head >= 0
    triple_rows, three, head, tail = (a[usable] for a in (triple_rows, three, head, tail))
    unigram_way = full.backoffs[kept][three[:, 1]] + full.unigrams[kept][three[:, 2]]
    pair_way = np.where(tail >= 0, full.pair_scores[pair_rows[tail]], unigram_way)
    shorter = full.pair_backoffs[pair_rows[head]] + pair_way
    history = scores[kept][three[:, 0]] + full.pair_scores[pair_rows[head]]
    triple_gain = np.exp(history + full.triple_scores[triple_rows]) * np.abs(
        full.triple_scores[triple_rows] - shorter
    )
    chosen = np.argsort(-triple_gain, kind="stable")[:triples]
    keep = np.zeros(len(pair_rows), bool)
    keep[np.argsort(-gain, kind="stable")[:pairs]] = True
    keep[head[chosen]] = True  # a trigram hangs below its first two words
    place = np.cumsum(keep) - 1
    pair_key, pair_rows = pair_key[keep], pair_rows[keep]
    chosen = chosen[np.lexsort((three[chosen, 2], place[head[chosen]]))]

    followers = np.searchsorted(pair_key, np.arange(size + 1) * size)
    below = np.searchsorted(place[head[chosen]], np.arange(len(pair_key) + 1))
    text = "\n".join(full.words[each] for each in kept)
    number_type = np.min_scalar_type(size)
    return {
        "words": np.frombuffer(text.encode(), np.uint8),
        "unigrams": np.where(kept == start, -99.0, full.unigrams[kept]).astype(np.float16),
        "backoffs": full.backoffs[kept].astype(np.float16),
        "bigram_at": followers.astype(np.int32),
        "bigram_words": (pair_key % size).astype(number_type),
        "bigrams": full.pair_scores[pair_rows].astype(np.float16),
        "bigram_backoffs": full.pair_backoffs[pair_rows].astype(np.float16),
        "trigram_at": below.astype(np.int32),
        "trigram_words": three[chosen, 2].astype(number_type),
        "trigrams": full.triple_scores[triple_rows][chosen].astype(np.float16),
    }

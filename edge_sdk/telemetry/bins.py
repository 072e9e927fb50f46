"""Counts between fixed edges: what may be known of a feature without knowing its values.

Bin 0 is below the first edge, bin ``i`` from edge ``i - 1`` up to, but not including, edge ``i``,
the last from the last edge on. Values that are not a number are counted apart.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence

from edge_sdk.errors import UsageError
from edge_sdk.spec.sketch import BinCounts


class BinTally:
    """Counts that are still growing.

    Args:
        edges: inner edges, increasing.
    """

    __slots__ = ("_counts", "_edges", "missing")

    def __init__(self, edges: Sequence[float]) -> None:
        self._edges = tuple(edges)
        self._counts = [0] * (len(self._edges) + 1)
        self.missing = 0

    def observe(self, value: float) -> None:
        """Count one value."""
        if value != value:  # noqa: PLR0124 - only NaN differs from itself
            self.missing += 1
        else:
            self._counts[bisect_right(self._edges, value)] += 1

    def word(self) -> BinCounts:
        """What was observed so far."""
        return BinCounts(counts=tuple(self._counts), missing=self.missing)


def merge(several: Iterable[BinCounts]) -> BinCounts:
    """The counts of everything that these ones counted; the order does not matter.

    Raises:
        UsageError: there are none, or their numbers of bins differ.
    """
    words = list(several)
    if len({len(word.counts) for word in words}) != 1:
        raise UsageError(
            f"Counts in {sorted({len(word.counts) for word in words})} bins cannot be added.",
            "Merge those of one feature of one artifact.",
        )
    return BinCounts(
        counts=tuple(map(sum, zip(*(word.counts for word in words), strict=True))),
        missing=sum(word.missing for word in words),
    )

"""Who is fastest, judged from turns that were taken side by side.

A machine that does other things too slows all down for moments that are longer than a call and
shorter than the measuring; a mean or a median over everything mixes those moments with the ways
that had the bad luck of meeting them. So ways take turns, **pass** after pass, and only what fell
into one pass is held against each other: a way's ratio is that of its turn to the leader's, and
what is told of it is the median of its ratios. A turn itself counts as the median of its calls.

Who lags falls out, so that the time is spent on those that are close. That is a sign test, one pass
after the other: so many passes more behind the leader by more than a margin than not. Farther
behind, fewer are enough (``LAGS``). Two that are equal may lose to each other by chance; then
nothing is lost.

Of those that are left, who is as good as equal to the fastest (``EQUAL``) and first in the list is
taken: that is the plainest, with the fewest threads, which leaves most to the program around it.
"""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median

EQUAL = 1.02
LAGS = ((3, 1.5), (4, 1.2), (6, EQUAL))
"""So many passes more behind by this factor than not, and a way falls out."""

Passes = Sequence[float]
"""What one way's turns took, pass by pass; a way that fell out has fewer of them."""


def leader(ways: Sequence[Passes]) -> int:
    """The place of the one with the least median. At least one way, each with at least one pass."""
    return min(range(len(ways)), key=lambda at: median(ways[at]))


def ratio(own: Passes, other: Passes) -> float:
    """How many times as long it takes as the other: the median over the passes both were in."""
    return median(a / b for a, b in zip(own, other, strict=False))


def lags(own: Passes, leading: Passes) -> bool:
    """Whether it is surely slower than the leader, by more than counts."""
    ratios = [a / b for a, b in zip(own, leading, strict=False)]
    return any(
        2 * sum(each > margin for each in ratios) - len(ratios) >= ahead for ahead, margin in LAGS
    )


def plainest(ways: Sequence[Passes]) -> int:
    """The place of the first that is as good as equal to the fastest; plainest first."""
    best = ways[leader(ways)]
    return next(at for at, way in enumerate(ways) if way is best or ratio(way, best) <= EQUAL)

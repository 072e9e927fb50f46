"""Who is fastest, judged from turns that were taken side by side.

Two things deceive who measures. A machine that does other things slows all down for moments that
are longer than a call and shorter than the measuring; a median over everything mixes those moments
with the ways that met them. And one instance of a model is not like the next: where its memory
happens to lie makes a small one faster or slower by a tenth, as long as it lives.

So ways race in **heats**, each with instances made afresh, and in a heat they take turns, **pass**
after pass. Only what fell into one pass is held against each other: the ratio of two ways is the
median, over all passes, of one's turn to the other's. A turn itself counts as the median of its
calls.

Who lags falls out, so that the time is spent on those that are close. That is a sign test, heat by
heat: so many heats more behind the leader by more than a margin than not. Farther behind, fewer
are enough (``LAGS``). Two that are equal may lose to each other by chance; then nothing is lost.

Of those that are left, who is as good as equal to the fastest (``EQUAL``) and first in the list is
taken: that is the plainest, with the fewest threads, which leaves most to the program around it.
"""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median

EQUAL = 1.02
LAGS = ((2, 1.5), (3, 1.2), (5, EQUAL))
"""So many heats more behind by this factor than not, and a way falls out."""

Heats = Sequence[Sequence[float]]
"""What one way's turns took, heat by heat and pass by pass. Ways that are held against each other
were in the same heats and passes."""


def leader(ways: Sequence[Heats]) -> int:
    """The place of the one whose heats have the least median; at least one way, one heat, pass."""
    return min(range(len(ways)), key=lambda at: median(map(median, ways[at])))


def ratio(own: Heats, other: Heats) -> float:
    """How many times as long the one takes as the other."""
    return median(each for heat in _by_heat(own, other) for each in heat)


def lags(own: Heats, leading: Heats) -> bool:
    """Whether it is surely slower than the leader, by more than counts."""
    ratios = [median(heat) for heat in _by_heat(own, leading)]
    return any(
        2 * sum(each > margin for each in ratios) - len(ratios) >= ahead for ahead, margin in LAGS
    )


def plainest(ways: Sequence[Heats]) -> int:
    """The place of the first that is as good as equal to the fastest; plainest first."""
    best = ways[leader(ways)]
    return next(at for at, way in enumerate(ways) if way is best or ratio(way, best) <= EQUAL)


def _by_heat(own: Heats, other: Heats) -> list[list[float]]:
    return [
        [a / b for a, b in zip(mine, theirs, strict=True)]
        for mine, theirs in zip(own, other, strict=True)
    ]

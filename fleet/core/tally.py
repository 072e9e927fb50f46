"""Tally: what many windows of one model come to. Counts add up exactly, in any order."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from edge_sdk.spec.sketch import LATENCY_RATIO, Window

K = TypeVar("K", int, str)


@dataclass(frozen=True)
class Tally:
    """Sums over windows.

    Attributes:
        inferences, errors, crashes, refused, unrecorded: as in ``Window``.
        compared, disagreed: of shadows.
        latency: counts by logarithmic bin, microseconds.
        ratio: of those bins.
    """

    inferences: int = 0
    errors: int = 0
    crashes: int = 0
    compared: int = 0
    disagreed: int = 0
    latency: Mapping[int, int] = field(default_factory=dict)
    ratio: float = LATENCY_RATIO
    refused: Mapping[str, int] = field(default_factory=dict)
    unrecorded: int = 0

    @property
    def tried(self) -> int:
        """Inferences that were begun."""
        return self.inferences + self.errors

    @property
    def latency_count(self) -> int:
        """How many latencies are in the histogram."""
        return sum(self.latency.values())

    def __add__(self, other: Tally) -> Tally:
        return Tally(
            inferences=self.inferences + other.inferences,
            errors=self.errors + other.errors,
            crashes=self.crashes + other.crashes,
            compared=self.compared + other.compared,
            disagreed=self.disagreed + other.disagreed,
            latency=_added(self.latency, other.latency),
            ratio=self.ratio if self.latency else other.ratio,
            refused=_added(self.refused, other.refused),
            unrecorded=self.unrecorded + other.unrecorded,
        )

    def percentile(self, share: float) -> float | None:
        """The latency in microseconds below which that share lies, within ``ratio``.

        The middle of the bin that holds the ceil(share * n)-th smallest, as DDSketch has it
        (Masson et al., VLDB 2019, §2.1). None without latencies.
        """
        return self._smallest(math.ceil(share * self.latency_count))

    def percentile_bounds(self, share: float, z: float) -> tuple[float | None, float | None]:
        """Between which that percentile lies, with the confidence that ``z`` stands for.

        The order statistics ``z`` standard deviations of the binomial rank away (Conover,
        Practical Nonparametric Statistics, §3.2). A bound is None where there are too few latencies
        to have one.
        """
        count = self.latency_count
        reach = z * math.sqrt(count * share * (1 - share))
        low, high = math.floor(count * share - reach), math.ceil(count * share + reach)
        return self._smallest(low), self._smallest(high)

    def _smallest(self, rank: int) -> float | None:
        """The ``rank``-th smallest latency; None if there is none of that rank."""
        if rank < 1:
            return None
        for bin_, count in sorted(self.latency.items()):
            rank -= count
            if rank <= 0:
                return float(2 * self.ratio**bin_ / (1 + self.ratio))
        return None


def counts(tallies: Iterable[Tally]) -> Tally:
    """Their sum without latencies, which of very many devices take the most time to add up."""
    every = list(tallies)
    return Tally(
        inferences=sum(each.inferences for each in every),
        errors=sum(each.errors for each in every),
        crashes=sum(each.crashes for each in every),
        compared=sum(each.compared for each in every),
        disagreed=sum(each.disagreed for each in every),
    )


def tally(windows: Iterable[Window]) -> Tally:
    """Sum windows up. Latencies of another bin ratio than the first's cannot be added: left out."""
    every = list(windows)
    latency, refused, ratio = Counter[int](), Counter[str](), LATENCY_RATIO
    for window in every:
        if not latency:
            ratio = window.latency.ratio
        if window.latency.ratio == ratio:
            latency.update(window.latency.counts)
        refused.update(window.refused)
    comparisons = [window.comparison for window in every if window.comparison]
    return Tally(
        inferences=sum(window.inferences for window in every),
        errors=sum(window.errors for window in every),
        crashes=sum(window.crashes for window in every),
        compared=sum(each.compared for each in comparisons),
        disagreed=sum(each.disagreed for each in comparisons),
        latency=dict(latency),
        ratio=ratio,
        refused=dict(refused),
        unrecorded=sum(window.unrecorded for window in every),
    )


def _added(a: Mapping[K, int], b: Mapping[K, int]) -> dict[K, int]:
    total = Counter(a)
    total.update(b)
    return dict(total)

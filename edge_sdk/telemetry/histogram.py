"""Latencies in logarithmic bins: cheap to observe, exact to merge, percentiles right within 1 %.

Bin ``i`` holds values in ``(ratio ** (i - 1), ratio ** i]``. A percentile is answered by the point
of its bin that is off by the same share from both edges, ``2 * ratio ** i / (ratio + 1)``; that
share is ``(ratio - 1) / (ratio + 1)``, 0.99 % for a ratio of 1.02.

Source: C. Masson, J. E. Rim, H. K. Lee: DDSketch, VLDB 2019, section 2.1, with a fixed ratio.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

from edge_sdk.errors import UsageError
from edge_sdk.spec.sketch import LATENCY_RATIO, LogHistogram


class LogTally:
    """A histogram that is still growing.

    Args:
        ratio: of a bin's upper edge to its lower one, above 1.
    """

    __slots__ = ("_counts", "_per_bin", "ratio", "zeros")

    def __init__(self, ratio: float = LATENCY_RATIO) -> None:
        self.ratio = ratio
        self.zeros = 0
        self._per_bin = 1 / math.log(ratio)
        self._counts: dict[int, int] = {}

    def observe(self, value: float) -> None:
        """Count one finite measurement, whatever its unit."""
        if value <= 0:
            self.zeros += 1
            return
        index = math.ceil(math.log(value) * self._per_bin)
        self._counts[index] = self._counts.get(index, 0) + 1

    def word(self) -> LogHistogram:
        """What was observed so far."""
        return LogHistogram(
            counts=dict(sorted(self._counts.items())), ratio=self.ratio, zeros=self.zeros
        )


def merge(histograms: Iterable[LogHistogram]) -> LogHistogram:
    """The histogram of everything that these ones counted; the order does not matter.

    Raises:
        UsageError: their bins differ.
    """
    counts: dict[int, int] = {}
    ratio, zeros = None, 0
    for histogram in histograms:
        if ratio not in (None, histogram.ratio):
            raise UsageError(
                f"Histograms of ratios {ratio} and {histogram.ratio} have no bins in common.",
                "Merge those of one ratio.",
            )
        ratio = histogram.ratio
        zeros += histogram.zeros
        for index, count in histogram.counts.items():
            counts[index] = counts.get(index, 0) + count
    return LogHistogram(
        counts=dict(sorted(counts.items())),
        ratio=LATENCY_RATIO if ratio is None else ratio,
        zeros=zeros,
    )


def total(histogram: LogHistogram) -> int:
    """How many measurements it holds."""
    return histogram.zeros + sum(histogram.counts.values())


def percentile(histogram: LogHistogram, share: float) -> float | None:
    """The value below or at which ``share`` of the measurements are; None of an empty histogram.

    Args:
        histogram: of whatever unit.
        share: 0..1; 0.99 is p99. Of n measurements, that of rank ``ceil(share * n)`` is meant.
    """
    count = total(histogram)
    if not count:
        return None
    rank = max(1, math.ceil(share * count))
    seen = histogram.zeros
    if rank <= seen:
        return 0.0
    index = 0
    for index in sorted(histogram.counts):
        seen += histogram.counts[index]
        if seen >= rank:
            break
    return 2 * histogram.ratio**index / (histogram.ratio + 1)

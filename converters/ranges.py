"""Ranges of activations: which interval of real numbers the integers of a tensor shall cover.

One implementation for every engine: a *probe* (``converters.probes``) shows each tensor of the
float build, sample by sample, and nothing is kept but a few numbers and a histogram a tensor, so
that memory does not grow with the samples.

    minmax      from the least to the greatest value seen: nothing is clipped, one outlier costs
                everybody resolution
    percentile  what remains when 0.005 % of the values are cut off at either end (Wu et al. 2020,
                "Integer Quantization for Deep Learning Inference", 99.99 %)
    mse         the interval of the least expected squared error: what is clipped, and step²/12 for
                what is rounded (Banner et al. 2019, "Post training 4-bit quantization of
                convolutional networks", eq. 3-5)
    entropy     the interval whose quantized histogram diverges least from the real one (Kullback
                and Leibler; Migacz 2017, "8-bit inference with TensorRT")

All but ``minmax`` take two passes: the first finds the span, the second counts within it, in
``BINS`` equal bins. Zero is always inside: engines need it exactly, for padding.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from converters.recipe import Method
from edge_sdk.backends import Array

BINS = 2048
KEPT = 0.9999
"""Share of the values that ``percentile`` keeps."""
CANDIDATES = 96
"""Shrunken intervals that ``mse`` (for each end) and ``entropy`` choose among."""
LEAST = 0.05
"""The smallest of them, as a share of the whole."""
FINITE = 3e38
"""Beyond this a value is a stand-in for infinity (a mask's padding) and belongs to no range."""

Reals = npt.NDArray[np.float64]
Shown = Iterable[tuple[str, Array]]
"""The tensors of one sample: name and value."""


@dataclass
class Seen:
    """What was seen of one tensor.

    Attributes:
        low, high: the least and the greatest value.
        counts: how many values fell into each of ``BINS`` bins between them, in a second pass.
    """

    low: float
    high: float
    counts: Reals = field(default_factory=lambda: np.zeros(BINS))

    @property
    def counted(self) -> bool:
        """Whether there is anything to choose by: a tensor that never varies has no histogram."""
        return bool(self.counts.any())

    def widen(self, values: Array) -> None:
        """Reach for all values."""
        self.low = min(self.low, float(values.min()))
        self.high = max(self.high, float(values.max()))

    def count(self, values: Array) -> None:
        """Count values into bins."""
        if self.high > self.low:
            found, _ = np.histogram(values, BINS, (self.low, self.high))
            self.counts += found


def measure_ranges(
    passes: Callable[[], Iterator[Shown]], method: Method, bits: int = 8
) -> dict[str, tuple[float, float]]:
    """The range of every tensor, by name.

    Args:
        passes: called once for each pass over the samples.
        method: see the module.
        bits: of the integers; beyond 8 ``entropy`` is ``minmax``, since there are as many levels
            as bins or more.
    """
    seen: dict[str, Seen] = {}
    for tensors in passes():
        for name, array in tensors:
            values = _finite(array)
            if values.size:
                seen.setdefault(name, Seen(float("inf"), float("-inf"))).widen(values)
    if method == "minmax" or (method == "entropy" and bits > 8):
        return {name: (s.low, s.high) for name, s in seen.items()}
    for tensors in passes():
        for name, array in tensors:
            values = _finite(array)
            if values.size:
                seen[name].count(values)
    if method == "percentile":
        return {name: percentile_range(s) for name, s in seen.items()}
    choose = mse_range if method == "mse" else entropy_range
    return {name: choose(s, 2**bits) for name, s in seen.items()}


def percentile_range(seen: Seen) -> tuple[float, float]:
    """See the module."""
    if not seen.counted:
        return seen.low, seen.high
    share = (1 - KEPT) / 2
    edges = np.linspace(seen.low, seen.high, BINS + 1)
    below = np.cumsum(seen.counts) / seen.counts.sum()
    first = int(np.searchsorted(below, share, "right"))
    last = int(np.searchsorted(below, 1 - share, "left"))
    return float(edges[first]), float(edges[min(last, BINS - 1) + 1])


def mse_range(seen: Seen, levels: int) -> tuple[float, float]:
    """See the module. Both ends are tried in turn, each against the best of the other."""
    if not seen.counted:
        return seen.low, seen.high
    middles = _middles(seen)

    def error(low: float, high: float) -> float:
        step = (high - low) / (levels - 1)
        outside = np.maximum(low - middles, 0) + np.maximum(middles - high, 0)
        inside = step * step / 12
        return float((seen.counts * (outside * outside + inside)).sum())

    low, high = min(seen.low, 0.0), max(seen.high, 0.0)
    shares = np.geomspace(1, LEAST, CANDIDATES)
    for _ in range(2):
        high = min((error(low, h), h) for h in shares * max(seen.high, 0.0) if h > low)[1]
        if low < 0:
            low = min((error(v, high), v) for v in shares * seen.low if v < high)[1]
    return float(low), float(high)


def entropy_range(seen: Seen, levels: int) -> tuple[float, float]:
    """See the module. Values beyond a reach are clipped at either end, as Migacz does."""
    if not seen.counted:
        return seen.low, seen.high
    middles = _middles(seen)
    low, high = min(seen.low, 0.0), max(seen.high, 0.0)
    best = (float("inf"), low, high)
    for reach in max(-low, high) * np.geomspace(1, LEAST, CANDIDATES):
        foot, top = max(low, -reach), min(high, reach)
        inside = (middles >= foot) & (middles <= top)
        if inside.sum() < 2:
            break
        real = seen.counts[inside].copy()
        real[0] += seen.counts[middles < foot].sum()
        real[-1] += seen.counts[middles > top].sum()
        divergence = _divergence(real, seen.counts[inside], levels)
        if divergence < best[0]:
            best = (divergence, foot, top)
    return float(best[1]), float(best[2])


def _divergence(real: Reals, inside: Reals, levels: int) -> float:
    """KL(real ‖ quantized): each level spreads its count over those of its bins that are in use."""
    level = np.arange(len(inside)) * levels // max(len(inside), levels)
    used = inside > 0
    totals = np.bincount(level, inside, levels)
    width = np.bincount(level, used, levels)
    quantized = np.where(used, totals[level] / np.maximum(width[level], 1), 0.0)
    p, q = real / real.sum(), quantized / max(quantized.sum(), 1.0)
    at = p > 0
    # What was clipped into an unused bin has no share in the quantized one: a finite, high price.
    return float((p[at] * np.log(p[at] / np.maximum(q[at], 1e-9))).sum())


def _middles(seen: Seen) -> Reals:
    edges = np.linspace(seen.low, seen.high, BINS + 1)
    middles: Reals = (edges[1:] + edges[:-1]) / 2
    return middles


def _finite(array: Array) -> Array:
    values = array.reshape(-1)
    inside = np.abs(values) < FINITE
    return values if inside.all() else values[inside]

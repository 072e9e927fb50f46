"""Axes: from numbers to pixels, with ticks at round numbers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

WIDE = 10.0
"""Sizes whose greatest is over this many times the least are drawn on a logarithmic axis."""


@dataclass(frozen=True)
class Axis:
    """A range of numbers laid along a range of pixels.

    Attributes:
        low, high: the numbers at its ends.
        start, stop: the pixels at its ends.
        ticks: round numbers within it.
        logarithmic: whether equal steps are equal ratios.
    """

    low: float
    high: float
    start: float
    stop: float
    ticks: tuple[float, ...]
    logarithmic: bool = False

    def at(self, value: float) -> float:
        """The pixel of a number; one outside the range is put at the end it is beyond."""
        low, high, here = self.low, self.high, min(max(value, self.low), self.high)
        if self.logarithmic:
            low, high, here = math.log10(low), math.log10(high), math.log10(here)
        return self.start + (self.stop - self.start) * (here - low) / (high - low)


def size_axis(sizes: Sequence[float], start: float, stop: float, most_ticks: int) -> Axis:
    """An axis of bytes: from zero, or logarithmic where the sizes range widely."""
    return _cost_axis(max(min(sizes), 1), max(*sizes, 1), start, stop, most_ticks)


def latency_axis(times: Sequence[float], start: float, stop: float, most_ticks: int) -> Axis:
    """An axis of milliseconds, as that of bytes."""
    return _cost_axis(max(min(times), 1e-4), max(*times, 1e-4), start, stop, most_ticks)


def _cost_axis(least: float, greatest: float, start: float, stop: float, most_ticks: int) -> Axis:
    if greatest <= WIDE * least:
        step = _round_step(greatest / most_ticks)
        high = step * math.ceil(greatest / step)
        return Axis(0, high, start, stop, _multiples(0, high, step))
    low, high = least / 1.25, greatest * 1.25
    ticks = [
        lead * 10.0**power
        for power in range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
        for lead in (1, 2, 5)
        if low <= lead * 10.0**power <= high
    ]
    if len(ticks) > most_ticks:
        ticks = [tick for tick in ticks if f"{tick:e}".startswith("1")]
    every = -(-len(ticks) // most_ticks)
    return Axis(low, high, start, stop, tuple(ticks[::every]), logarithmic=True)


def share_axis(low: float, high: float, start: float, stop: float, least_span: float) -> Axis:
    """An axis of shares of one, never beyond one and no finer than ``least_span``."""
    if high - low < least_span:
        middle = (low + high) / 2
        low, high = middle - least_span / 2, middle + least_span / 2
        beyond = max(high - 1.0, 0.0)
        low, high = low - beyond, high - beyond
    step = _round_step((high - low) / 5)
    return Axis(low, high, start, stop, _multiples(low, high, step))


def tick_decimals(axis: Axis, scale: float) -> int:
    """How many decimals tell neighbouring ticks apart when they are multiplied by ``scale``."""
    if len(axis.ticks) < 2:
        return 2
    step = (axis.ticks[1] - axis.ticks[0]) * scale
    return max(0, -math.floor(math.log10(step) + 1e-9))


def _round_step(least: float) -> float:
    """The smallest of 1, 2, 5 times a power of ten that is not below ``least``."""
    power = 10.0 ** math.floor(math.log10(least))
    return next(lead * power for lead in (1, 2, 5, 10) if lead * power >= least * (1 - 1e-9))


def _multiples(low: float, high: float, step: float) -> tuple[float, ...]:
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return tuple(round(step * i, 12) for i in range(first, last + 1))

"""What the plot shows: a measure of likeness, a mark for each variant, the reach of the axis."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from converters.report.accuracy import accuracy_of_original, margin_of
from edge_sdk.spec import Agreement, ConversionReport, VariantReport

OUTLIER = 3.0
"""A refused variant may stretch the axis to this many times what the others need, not further."""


@dataclass(frozen=True)
class Measure:
    """What the vertical axis shows.

    Attributes:
        title: its name.
        of: the number of one variant, None if it has none.
        original: the original's own number.
        scale, unit: ticks are this many times the number, followed by the unit.
        decimals: of a number that is written out.
        least_span: differences much below this are not worth the whole height.
    """

    title: str
    of: Callable[[Agreement], float | None]
    original: float
    scale: float
    unit: str
    decimals: int
    least_span: float

    def text(self, value: float, decimals: int | None = None) -> str:
        """A number in the measure's unit."""
        places = self.decimals if decimals is None else decimals
        return f"{self.scale * value:.{places}f}{self.unit}"


@dataclass(frozen=True)
class Mark:
    """One point of the plot.

    Attributes:
        kind: the format, or ``original``.
        margin: half the height of its interval of chance; 0 if there is none.
        latency: of one call, in milliseconds; None if it is not known.
        beyond: whether its number lies below the axis, so that it is drawn at the foot.
    """

    name: str
    kind: str
    size: int
    value: float
    margin: float = 0.0
    refused: bool = False
    beyond: bool = False
    latency: float | None = None


def measure_of(report: ConversionReport) -> Measure | None:
    """The most telling number that at least one variant has: accuracy, same argmax, cosine."""
    found = [v.agreement for v in report.variants if v.agreement and v.size]
    accuracy = accuracy_of_original(report)
    if accuracy is not None and any(a.accuracy is not None for a in found):
        return Measure("Accuracy", lambda a: a.accuracy, accuracy, 100, "%", 2, 0.002)
    if any(a.argmax is not None for a in found):
        return Measure("Same argmax", lambda a: a.argmax, 1.0, 100, "%", 2, 0.002)
    if any(a.cosine is not None for a in found):
        return Measure("Cosine similarity", lambda a: a.cosine, 1.0, 1, "", 6, 1e-5)
    return None


def marks_of(report: ConversionReport, measure: Measure) -> tuple[Mark, ...]:
    """The original and every variant that has both a size and a number, the axis in mind."""
    marks = [Mark("original", "original", report.source_size, measure.original)]
    for variant in report.variants:
        value = measure.of(variant.agreement) if variant.agreement else None
        if value is not None and math.isfinite(value):
            marks.append(_mark(variant, value, measure))
    marks = [mark for mark in marks if mark.size > 0]
    if not marks:
        return ()
    low, _ = range_of(marks, measure)
    return tuple(
        replace(mark, beyond=mark.value < low)
        for mark in sorted(marks, key=lambda m: (m.kind != "original", m.refused, m.size, m.name))
    )


def _mark(variant: VariantReport, value: float, measure: Measure) -> Mark:
    margin = margin_of(variant.agreement) if measure.title == "Accuracy" else None
    return Mark(
        name=variant.id,
        kind=variant.format,
        size=variant.size,
        value=value,
        margin=margin or 0.0,
        refused=variant.status == "refused",
        latency=variant.latency.p50_ms if variant.latency else None,
    )


def range_of(marks: Sequence[Mark], measure: Measure) -> tuple[float, float]:
    """What the axis must reach: all marks, but for refused ones far below the rest.

    A share ends at one, and begins at zero unless it is a cosine; a bar of chance knows neither.
    """
    kept = [m for m in marks if not m.refused]
    if len(kept) < 2:
        kept = list(marks)
    low = max(min(m.value - m.margin for m in kept), min(0.0, *(m.value for m in kept)))
    high = min(max(m.value + m.margin for m in kept), 1.0)
    span = max(high - low, measure.least_span)
    reach = [m.value for m in marks if m.value >= high - OUTLIER * span]
    return min([low, *reach]), high

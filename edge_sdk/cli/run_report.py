"""What ``edge run`` found: the words of its ``--json``, and the same for a person."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from itertools import islice
from typing import Any, Literal

import msgspec
import numpy as np
import numpy.typing as npt

from edge_sdk.spec import Area, Boxes, Classes, GuardReport, Placement, Word

MOST_VALUES = 1000
"""An output with more numbers than this is summed up instead of listed."""


class TensorValues(Word, frozen=True, kw_only=True):
    """One output of a model without declared postprocessing.

    Attributes:
        values: all of them, nested as the shape is; None where there are too many to print.
    """

    dtype: str
    shape: tuple[int, ...]
    min: float
    max: float
    mean: float
    values: Any = None


class Tensors(Word, frozen=True, kw_only=True, tag_field="kind", tag="tensors"):
    """The outputs themselves, by name."""

    outputs: dict[str, TensorValues]

    def __str__(self) -> str:
        return "; ".join(_values_text(name, found) for name, found in self.outputs.items())


class Answer(Word, frozen=True, kw_only=True):
    """The answer to one frame.

    Attributes:
        source: the file.
        index: the frame's place in it, from 0.
        time_s: seconds from a video's beginning; None elsewhere.
    """

    source: str
    index: int
    time_s: float | None
    result: Classes | Boxes | Area | Tensors


class SourceReport(Word, frozen=True, kw_only=True):
    """One input file.

    Attributes:
        frames: how many were answered.
        announced: how many a video's header speaks of, 0 if it does not say; more than ``frames``
            and ``refused`` together means that the rest is missing or damaged. Of a picture file,
            how many are in it: only the first is looked at.
        refused: how many the guard did not let through, by reason.
        drawn: the file that the drawing went to.
    """

    path: str
    kind: Literal["picture", "video", "arrays"]
    frames: int
    announced: int
    refused: dict[str, int] = msgspec.field(default_factory=dict)
    drawn: str | None = None

    @property
    def warning(self) -> str:
        """What is wrong with it, or nothing."""
        read = self.frames + sum(self.refused.values())
        if self.kind == "video" and read < self.announced:
            return (
                f"{self.path}: only {read} of the {self.announced} frames that it announces "
                "could be read; the rest is missing or damaged"
            )
        if self.kind == "picture" and self.announced > 1:
            return f"{self.path}: only the first of its {self.announced} pictures is looked at"
        return ""


class Latency(Word, frozen=True, kw_only=True):
    """Milliseconds of inference alone, over all frames; None where nothing was run."""

    p50: float | None
    p99: float | None


class RunReport(Word, frozen=True, kw_only=True):
    """What ``edge run --json`` prints.

    Attributes:
        model: the file that was loaded, and which build of it.
        fps: frames per second of the whole loop: read, prepare, infer, answer, draw and write.
        warnings: what a person should know about the inputs.
        guard: what it let through and what not; None without one.
    """

    model: str
    variant: str
    placement: Placement
    frames: int
    fps: float
    latency_ms: Latency
    sources: tuple[SourceReport, ...]
    warnings: tuple[str, ...]
    results: tuple[Answer, ...]
    guard: GuardReport | None = None


def tensors(outputs: Mapping[str, npt.NDArray[Any]]) -> Tensors:
    """Outputs as words."""
    return Tensors(outputs={name: _tensor_values(array) for name, array in outputs.items()})


def latency(milliseconds: list[float]) -> Latency:
    """The percentiles, if anything was measured."""
    if not milliseconds:
        return Latency(p50=None, p99=None)
    p50, p99 = np.percentile(milliseconds, (50, 99))
    return Latency(p50=round(float(p50), 4), p99=round(float(p99), 4))


def describe(report: RunReport) -> str:
    """The report for a person: a line per picture or run, a paragraph per video."""
    lines: list[str] = []
    answered = iter(report.results)
    width = max(len(source.path) for source in report.sources)
    for source in report.sources:
        answers = list(islice(answered, source.frames))
        if source.kind == "video":
            lines.append(f"{source.path}: {source.frames} frames")
            lines += [f"  {_summary(answers)}"] * bool(answers)
        else:
            lines += [f"{source.path:<{width}}  {answer.result}" for answer in answers]
        if source.refused:
            why = ", ".join(f"{count} {reason}" for reason, count in source.refused.items())
            lines.append(f"{source.path:<{width}}  refused: {why}")
    drawn = [source.drawn for source in report.sources if source.drawn]
    if drawn:
        lines.append(f"drawn: {', '.join(drawn[:3])}{' …' if len(drawn) > 3 else ''}")
    frames = "1 frame" if report.frames == 1 else f"{report.frames} frames"
    if report.guard is not None:
        lines.append(f"guard: {report.guard}")
    p50, p99 = report.latency_ms.p50, report.latency_ms.p99
    if p50 is not None and p99 is not None:
        lines.append(
            f"{frames}, {report.fps:.0f} a second; inference p50 {p50:.2f} ms, p99 {p99:.2f} ms"
        )
    lines.append(f"{report.variant} on {report.placement}")
    return "\n".join(lines)


def _summary(answers: list[Answer]) -> str:
    """Many answers in a line: how often each class was found, and how many objects a frame."""
    results = [answer.result for answer in answers]
    seen: Counter[str] = Counter()
    objects: list[int] = [len(found.found) for found in results if isinstance(found, Boxes)]
    for result in results:
        if isinstance(result, Boxes):
            seen.update({box.label for box in result.found})
        elif isinstance(result, Classes):
            seen[result.top[0].label] += 1
        else:
            return str(results[-1])
    text = ", ".join(f"{label} in {count}" for label, count in seen.most_common(5))
    text = text or "nothing found"
    if sum(objects):
        text += f" ({sum(objects) / len(objects):.2f} objects a frame, {max(objects)} at most)"
    return text


def _tensor_values(array: npt.NDArray[Any]) -> TensorValues:
    numeric = array.size > 0 and array.dtype.kind in "biuf"
    low, high, mean = (array.min(), array.max(), array.mean()) if numeric else (0, 0, 0)
    return TensorValues(
        dtype=array.dtype.name,
        shape=array.shape,
        min=float(low),
        max=float(high),
        mean=float(mean),
        values=array.tolist() if array.size <= MOST_VALUES else None,
    )


def _values_text(name: str, found: TensorValues) -> str:
    shape = "x".join(map(str, found.shape)) or "scalar"
    return f"{name} {shape} {found.min:.4g}..{found.max:.4g}, mean {found.mean:.4g}"

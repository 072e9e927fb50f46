"""Likeness against size and against latency, drawn: what each byte and millisecond saved costs.

Inline SVG without scripts or fonts of its own, one panel a cost, the same vertical axis on both. It
is drawn for three widths, so that its text need not shrink with it; the style sheet shows the one
that fits. A format is told by shape as well as by colour.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from converters.report.axes import Axis, latency_axis, share_axis, size_axis, tick_decimals
from converters.report.figures import milliseconds
from converters.report.labels import Box, Label, place
from converters.report.marks import Mark, Measure, marks_of, measure_of, range_of
from converters.report.markup import Html, foreign, join, rows, tag
from converters.report.symbols import FORMATS, shape, sign
from edge_sdk.spec import ConversionReport
from edge_sdk.text import bytes_text

LONGEST_NAME = 26
"""A name longer than this is cut in its middle on the plot; the table has it whole."""


@dataclass(frozen=True)
class _Cost:
    """What a panel's horizontal axis shows.

    Attributes:
        of: the number of a mark, None if it has none.
        axis: lays numbers along pixels.
        text: a number with its unit.
    """

    title: str
    of: Callable[[Mark], float | None]
    axis: Callable[[Sequence[float], float, float, int], Axis]
    text: Callable[[float], str]


_SIZE = _Cost("Size", lambda mark: mark.size, size_axis, bytes_text)
_LATENCY = _Cost("Latency", lambda mark: mark.latency, latency_axis, milliseconds)


@dataclass(frozen=True)
class _Canvas:
    """A drawing's outer size and the frame inside it, in pixels."""

    width: int
    height: int
    frame: Box
    most_ticks: int
    style: str


_CANVASES = (
    _Canvas(1040, 380, Box(64, 34, 1028, 338), 8, "wide"),
    _Canvas(700, 380, Box(58, 34, 690, 338), 6, "medium"),
    _Canvas(360, 380, Box(52, 34, 352, 338), 4, "narrow"),
)
_BESIDE = _Canvas(560, 400, Box(58, 34, 550, 358), 5, "wide")
"""Instead of the wide one where two panels stand side by side."""


def plot(report: ConversionReport) -> Html | None:
    """The figure with its caption; None where fewer than two points could be drawn."""
    measure = measure_of(report)
    marks = () if measure is None else marks_of(report, measure)
    if measure is None or len(marks) < 2:
        return None
    panels = [_panel(marks, measure, _SIZE)]
    if sum(m.latency is not None for m in marks) > 1:
        panels.append(_panel(marks, measure, _LATENCY))
    return tag(
        "figure",
        tag("div", *(panel(len(panels)) for panel in panels), class_=f"panels of{len(panels)}"),
        tag("figcaption", _legend(marks), tag("p", _caption(marks, measure, report.timed_on))),
    )


def _panel(marks: Sequence[Mark], measure: Measure, cost: _Cost) -> Callable[[int], Html]:
    """One panel, drawn for every width, as soon as it is known how many stand side by side."""
    reach = range_of(marks, measure)
    shown = [mark for mark in marks if cost.of(mark) is not None]

    def drawn(beside: int) -> Html:
        canvases = (_BESIDE, *_CANVASES[1:]) if beside > 1 else _CANVASES
        return tag("div", *(_drawing(shown, reach, measure, cost, canvas) for canvas in canvases))

    return drawn


def _drawing(
    marks: Sequence[Mark],
    reach: tuple[float, float],
    measure: Measure,
    cost: _Cost,
    canvas: _Canvas,
) -> Html:
    frame = canvas.frame
    costs = [cost.of(m) or 0.0 for m in marks]
    across = cost.axis(costs, frame.left, frame.right, canvas.most_ticks)
    up = share_axis(*reach, frame.bottom - 16, frame.top + 10, measure.least_span)
    points = [
        (across.at(c), frame.bottom - 5 if m.beyond else up.at(m.value))
        for m, c in zip(marks, costs, strict=True)
    ]
    names = [_label(m, measure) for m in marks]
    labels = place(points, names, frame, _lines(marks, points, measure, up, frame))
    svg = tag(
        "svg",
        tag("title", f"{measure.title} against {cost.title.lower()}"),
        _grid(across, up, measure, cost, canvas),
        tag("g", *(_whisker(m, x, up) for m, (x, _) in zip(marks, points, strict=True))),
        tag("g", *(_symbol(marks[i], points[i], measure) for i in _largest_first(marks))),
        tag("g", *(_name(m, label) for m, label in zip(marks, labels, strict=True))),
        viewBox=f"0 0 {canvas.width} {canvas.height}",
        role="img",
    )
    numbered = [n for n, label in zip(names, labels, strict=True) if label.numbered]
    key = tag("ol", *(tag("li", foreign(name)) for name in numbered)) if numbered else None
    return tag("div", svg, key, class_=f"plot {canvas.style}")


def _lines(
    marks: Sequence[Mark],
    points: Sequence[tuple[float, float]],
    measure: Measure,
    up: Axis,
    frame: Box,
) -> list[Box]:
    """What is drawn behind the names: the original's level, and the bars of chance."""
    level = up.at(measure.original)
    bars = [
        Box(x - 3, up.at(m.value + m.margin), x + 3, up.at(m.value - m.margin))
        for m, (x, _) in zip(marks, points, strict=True)
        if m.margin and not m.beyond
    ]
    return [Box(frame.left, level - 1, frame.right, level + 1), *bars]


def _largest_first(marks: Sequence[Mark]) -> list[int]:
    """The order to draw in, so that of symbols on one spot each still shows."""
    order = ("onnx", "coreml", "tflite", "original")
    return sorted(range(len(marks)), key=lambda i: order.index(marks[i].kind))


def _grid(across: Axis, up: Axis, measure: Measure, cost: _Cost, canvas: _Canvas) -> Html:
    frame = canvas.frame
    decimals = tick_decimals(up, measure.scale)
    level = up.at(measure.original)
    return rows(
        *(
            join(
                [
                    _line(frame.left, up.at(t), frame.right, up.at(t), "grid"),
                    _words(measure.text(t, decimals), frame.left - 8, up.at(t) + 4, "end"),
                ]
            )
            for t in up.ticks
        ),
        _line(frame.left, frame.bottom, frame.right, frame.bottom, "axis"),
        *(
            join(
                [
                    _line(across.at(t), frame.bottom, across.at(t), frame.bottom + 5, "axis"),
                    _words(cost.text(t), across.at(t), frame.bottom + 20, "middle"),
                ]
            )
            for t in across.ticks
        ),
        _line(frame.left, level, frame.right, level, "level"),
        _words(measure.title, 0, 14, "start", "axis-title"),
        _words(
            f"{cost.title}, logarithmic" if across.logarithmic else cost.title,
            frame.right,
            canvas.height - 2,
            "end",
            "axis-title",
        ),
    )


def _line(x1: float, y1: float, x2: float, y2: float, style: str) -> Html:
    return tag("line", x1=x1, y1=y1, x2=x2, y2=y2, class_=style)


def _words(content: str, x: float, y: float, anchor: str, style: str | None = None) -> Html:
    return tag("text", content, x=x, y=y, text_anchor=anchor, class_=style)


def _whisker(mark: Mark, x: float, up: Axis) -> Html | None:
    if not mark.margin or mark.beyond:
        return None
    top, foot = up.at(mark.value + mark.margin), up.at(mark.value - mark.margin)
    return tag(
        "path", d=f"M{x:.1f} {top:.1f}V{foot:.1f}M{x - 4:.1f} {top:.1f}h8M{x - 4:.1f} {foot:.1f}h8",
        class_=f"whisker {mark.kind}",
    )  # fmt: skip


def _symbol(mark: Mark, point: tuple[float, float], measure: Measure) -> Html:
    style = f"mark {mark.kind}{' refused' if mark.refused else ''}"
    time = "" if mark.latency is None else f", {milliseconds(mark.latency)}"
    hint = f"{mark.name}: {bytes_text(mark.size)}, {measure.text(mark.value)}{time}"
    return tag("g", tag("title", hint), shape("beyond" if mark.beyond else mark.kind, *point),
               class_=style)  # fmt: skip


def _name(mark: Mark, label: Label) -> Html:
    spot = label.place
    leader = None
    if spot.leader:
        (x1, y1), (x2, y2) = spot.leader
        leader = _line(x1, y1, x2, y2, "leader")
    style = "name refused" if mark.refused else "name"
    return tag("g", leader, _words(label.text, spot.x, spot.box.bottom - 3, spot.anchor, style))


def _label(mark: Mark, measure: Measure) -> str:
    name = mark.name
    if len(name) > LONGEST_NAME:
        half = (LONGEST_NAME - 1) // 2
        name = f"{name[:half]}…{name[-half:]}"
    if mark.beyond:
        return f"{name}, refused at {measure.text(mark.value)}"
    return f"{name}, refused" if mark.refused else name


def _legend(marks: Sequence[Mark]) -> Html:
    titles: dict[str, str] = {"original": "the original"} | {**FORMATS}
    shown = [kind for kind in titles if any(m.kind == kind for m in marks)]
    return tag(
        "ul",
        *(tag("li", sign(kind), titles[kind]) for kind in shown),
        class_="legend",
    )


def _caption(marks: Sequence[Mark], measure: Measure, timed_on: str) -> str:
    timed = sum(m.latency is not None for m in marks) > 1
    sentences = [
        f"Up and to the left is better: {'smaller or faster' if timed else 'smaller'}, and nearer "
        "to the original (the dashed line)."
    ]
    if timed:
        sentences.append(
            f"Latency is the median of one call on {timed_on}, all variants taking turns; another "
            "machine has other times."
        )
        if any(m.kind == "coreml" and m.latency is None for m in marks):
            sentences.append("Core ML builds have none: only Apple's systems run them.")
    if any(m.margin for m in marks):
        sentences.append(
            "Bars span the 95% margin of the change in accuracy; one that reaches the dashed line "
            "may owe its change to chance."
        )
    if any(m.refused for m in marks):
        sentences.append("Hollow marks are refused.")
    if any(m.beyond for m in marks):
        sentences.append(f"An arrow at the foot: {measure.title.lower()} is below the axis.")
    return " ".join(sentences)

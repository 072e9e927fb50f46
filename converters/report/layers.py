"""The layers of a quantized build drawn in the order they run in: where the signal is lost."""

from __future__ import annotations

import math
from collections.abc import Sequence
from importlib.resources import files
from typing import TYPE_CHECKING, Protocol

from converters.report.axes import Axis
from converters.report.labels import Box, place
from converters.report.markup import Html, foreign, join, rows, tag

if TYPE_CHECKING:
    from converters.debug import DebugLayer, DebugReport
    from edge_sdk.spec import LayerNoise

WIDTH, HEIGHT = 1040, 420
FRAME = Box(64, 34, 1028, 370)
NAMED = 6
"""So many of the worst layers have their names on the drawing."""
HIGHEST = 60.0
"""Decibels beyond which it does not matter how many."""

_STYLE = """
.layers { font: 13px system-ui, sans-serif; background: var(--panel, #fff); }
.layers .grid { stroke: var(--line, #e2e2de); }
.layers .axis { stroke: var(--strong-line, #b9bab6); }
.layers text { fill: var(--muted, #5d626b); } .layers .name { fill: var(--ink, #1a1c20); }
.layers .path { fill: none; stroke: var(--tflite, #2f62c9); stroke-width: 2; }
.layers .typical { fill: none; stroke: var(--bad, #ab1f1a); stroke-width: 1.5; }
.layers .typical { stroke-dasharray: 5 4; }
.layers .dot { fill: var(--tflite, #2f62c9); } .layers .culprit { fill: var(--bad, #ab1f1a); }
"""


class _Layer(Protocol):
    """What is drawn of a layer, ``edge debug``'s or a report's."""

    @property
    def name(self) -> str: ...
    @property
    def sqnr_db(self) -> float: ...
    @property
    def typical_db(self) -> float: ...


def layers_svg(report: DebugReport) -> str:
    """The drawing as a file of its own."""
    return f"{_drawing(report, alone=True)}\n"


def layers_page(report: DebugReport) -> str:
    """The drawing and the whole table on a self-contained page."""
    style = files(__package__).joinpath("style.css").read_text(encoding="utf-8")
    policy = "default-src 'none'; style-src 'unsafe-inline'"
    head = tag(
        "head",
        rows(
            tag("meta", charset="utf-8"),
            tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
            tag("meta", http_equiv="Content-Security-Policy", content=policy),
            tag("title", f"{report.variant} · layers"),
            tag("style", Html(style + _STYLE)),
        ),
    )
    body = tag(
        "body",
        tag("p", "edgeloop · layers", class_="overline"),
        tag("h1", foreign(report.variant), " ", tag("span", f"beside {report.against}")),
        tag("p", f"On {report.samples} samples of {report.inputs}.", class_="description"),
        tag("section", tag("h2", "Signal to quantization noise"), _drawing(report, alone=False)),
        tag("section", tag("h2", "Layers, the worst first"), _table(report)),
    )
    return f"<!doctype html>\n{tag('html', head, body, lang='en')}\n"


def _table(report: DebugReport) -> Html:
    titles = ("Layer", "Operations", "SQNR", "Typical channel", "Adds")
    return tag(
        "table",
        tag("thead", tag("tr", *(tag("th", title, scope="col") for title in titles))),
        tag("tbody", rows(*(_row(layer, report.culprit) for layer in report.layers))),
        class_="variants",
    )


def _row(layer: DebugLayer, culprit: str | None) -> Html:
    name = foreign(layer.name.replace(";", "; "))
    return tag(
        "tr",
        tag("th", tag("b", name) if layer.name == culprit else name, scope="row"),
        tag("td", layer.op),
        tag("td", f"{layer.sqnr_db:.1f} dB", class_="number"),
        tag("td", f"{layer.typical_db:.1f} dB", class_="number"),
        tag("td", f"{layer.added:.2%}", class_="number"),
    )


def _drawing(report: DebugReport, *, alone: bool) -> Html:
    layers = sorted(report.layers, key=lambda layer: layer.place)
    return _drawn(layers, report.culprit, report.variant, alone=alone)


def noise_drawing(variant: str, noise: LayerNoise) -> Html:
    """The drawing for a page that has ``layers_style`` in it."""
    return _drawn(noise.layers, noise.culprit, variant, alone=False)


def layers_style() -> Html:
    """What the drawing needs beside the page's own style."""
    return Html(_STYLE)


def _drawn(layers: Sequence[_Layer], culprit: str | None, variant: str, *, alone: bool) -> Html:
    """One mark for each layer, which are given in the order they run in."""
    last = max(len(layers) - 1, 1)
    across = Axis(0, last, FRAME.left + 12, FRAME.right - 12, _places(len(layers)))
    up = _decibel_axis(layers)
    whole = [(across.at(at), up.at(layer.sqnr_db)) for at, layer in enumerate(layers)]
    typical = [(across.at(at), up.at(layer.typical_db)) for at, layer in enumerate(layers)]
    named = sorted(range(len(layers)), key=lambda i: layers[i].typical_db)[:NAMED]
    labels = place([whole[i] for i in named], [_short(layers[i].name) for i in named], FRAME, [])
    return tag(
        "svg",
        tag("title", f"Signal to quantization noise of the layers of {variant}"),
        tag("style", Html(_STYLE)) if alone else None,
        _grid(across, up),
        tag("path", d=_line_through(typical), class_="typical"),
        tag("path", d=_line_through(whole), class_="path"),
        join(
            tag(
                "g",
                tag("title", f"{layer.name}: {layer.sqnr_db:.1f} dB"),
                tag("circle", cx=x, cy=y, r=4.5),
                class_="culprit" if layer.name == culprit else "dot",
            )
            for layer, (x, y) in zip(layers, whole, strict=True)
        ),
        join(
            _text(label.text, label.place.x, label.place.box.bottom - 3, label.place.anchor, "name")
            for label in labels
        ),
        _text("SQNR in dB: line, all; dashes, a typical channel; red, look here first", 0, 14),
        _text("Layers in the order they run in", FRAME.right, HEIGHT - 4, "end"),
        viewBox=f"0 0 {WIDTH} {HEIGHT}",
        role="img",
        class_="layers",
        xmlns="http://www.w3.org/2000/svg",
    )


def _decibel_axis(layers: Sequence[_Layer]) -> Axis:
    found = [v for layer in layers for v in (layer.sqnr_db, layer.typical_db)]
    low = 10 * math.floor(min([0.0, *found]) / 10)
    high = 10 * math.ceil(min(max([20.0, *found]), HIGHEST) / 10)
    ticks = tuple(float(t) for t in range(low, high + 1, 10))
    return Axis(low, high, FRAME.bottom - 8, FRAME.top + 10, ticks)


def _places(count: int) -> tuple[float, ...]:
    step = max(1, math.ceil(count / 12))
    return tuple(float(i) for i in range(0, count, step))


def _grid(across: Axis, up: Axis) -> Html:
    return rows(
        *(
            join([_rule(FRAME.left, y, FRAME.right, y, "grid"),
                  _text(f"{t:.0f}", FRAME.left - 8, y + 4, "end")])
            for t, y in ((t, up.at(t)) for t in up.ticks)
        ),
        _rule(FRAME.left, FRAME.bottom, FRAME.right, FRAME.bottom, "axis"),
        *(_text(f"{t:.0f}", across.at(t), FRAME.bottom + 20, "middle") for t in across.ticks),
    )  # fmt: skip


def _rule(x1: float, y1: float, x2: float, y2: float, style: str) -> Html:
    return tag("line", x1=x1, y1=y1, x2=x2, y2=y2, class_=style)


def _text(words: str, x: float, y: float, anchor: str = "start", style: str | None = None) -> Html:
    return tag("text", words, x=x, y=y, text_anchor=anchor, class_=style)


def _line_through(points: Sequence[tuple[float, float]]) -> str:
    return "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in points)


def first_name(name: str) -> str:
    """A layer's name without those of the operations fused into it."""
    return name.partition(";")[0]


def _short(name: str) -> str:
    first = first_name(name)
    return first if len(first) <= 40 else f"…{first[-39:]}"

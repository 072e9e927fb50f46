"""The symbol of each format, in the plot and the table: told by shape as well as by colour."""

from __future__ import annotations

from converters.report.markup import Html, tag
from edge_sdk.spec import Format

FORMATS: dict[Format, str] = {"tflite": "TFLite", "coreml": "Core ML", "onnx": "ONNX"}


def sign(kind: str) -> Html:
    """The symbol by itself, to stand before a name."""
    symbol = tag("g", shape(kind, 10, 10), class_=f"mark {kind}")
    return tag("svg", symbol, viewBox="0 0 20 20", class_="sign", aria_hidden="true")


def shape(kind: str, x: float, y: float) -> Html:
    """The symbol of a format, centred on a point; a foot arrow for what lies below the axis."""
    if kind == "tflite":
        return tag("circle", cx=x, cy=y, r=5)
    if kind == "coreml":
        return tag("rect", x=x - 5.5, y=y - 5.5, width=11, height=11, rx=1.5)
    if kind == "onnx":
        return tag("path", d=f"M{x:.1f} {y - 8.5:.1f}l8.5 8.5l-8.5 8.5l-8.5 -8.5z")
    if kind == "beyond":
        return tag("path", d=f"M{x - 6:.1f} {y - 6:.1f}h12l-6 9z")
    return tag("path", d=f"M{x - 5:.1f} {y - 5:.1f}l10 10m0 -10l-10 10")

"""Probes: every tensor between the layers of a build, for one sample at a time.

Calibration looks at them for ranges, debugging for where two builds part. Values are real numbers:
what is stored as integers is dequantized with the tensor's own scale.
"""

from __future__ import annotations

from importlib import import_module
from typing import cast

from converters.probes.base import Layer, Probe
from edge_sdk.spec import Format, Signature

__all__ = ["PROBED", "Layer", "Probe", "open_probe"]

PROBED: dict[Format, tuple[str, str]] = {
    "tflite": ("converters.probes.tflite", "TfliteProbe"),
    "onnx": ("converters.probes.onnx", "OnnxProbe"),
}
"""Formats that have one; Core ML's tensors are seen on Apple systems alone."""


def open_probe(format_: Format, model: bytes, signature: Signature) -> Probe:
    """A probe for a build, fed in the terms of ``signature`` (the source's)."""
    module, name = PROBED[format_]
    return cast(Probe, getattr(import_module(module), name)(model, signature))

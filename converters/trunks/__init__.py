"""Trunks: the float build of a format that every recipe of that format is grown from.

Which engine can make it depends on where the model comes from; what a recipe then does to it does
not. So a *source* has a family, a *target* has recipes, and a trunk is where the two meet: one
file a family, in it one class a format.

    source family   tflite            onnx        coreml
    tensorflow      TensorFlow        tf2onnx     coremltools
    torch           litert-torch      PyTorch     coremltools
    onnx            onnx2tf           itself      coremltools, by way of PyTorch
    tflite          itself            tf2onnx     the same, by way of ONNX
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import cast

from converters.sources.base import Source
from converters.trunks.base import CoreMlTrunk, FileTrunk, Trunk
from edge_sdk.errors import ConversionError
from edge_sdk.spec import Format

__all__ = ["CoreMlTrunk", "FileTrunk", "Trunk", "leads_to", "open_trunk"]

_MODULES: dict[str, tuple[str, dict[Format, str]]] = {
    "tensorflow": (
        "converters.trunks.tensorflow",
        {"tflite": "TfliteTrunk", "onnx": "OnnxTrunk", "coreml": "CoreMlTrunk"},
    ),
    "torch": (
        "converters.trunks.torch",
        {"tflite": "TfliteTrunk", "onnx": "OnnxTrunk", "coreml": "CoreMlTrunk"},
    ),
    "onnx": (
        "converters.trunks.onnx",
        {"tflite": "TfliteTrunk", "onnx": "OnnxTrunk", "coreml": "CoreMlTrunk"},
    ),
    "tflite": (
        "converters.trunks.tflite",
        {"tflite": "TfliteTrunk", "onnx": "OnnxTrunk", "coreml": "CoreMlTrunk"},
    ),
}
"""Module and classes, by family of source."""


def open_trunk(format_: Format, source: Source, folder: Path) -> Trunk:
    """The trunk of that format for ``source``, working in ``folder``.

    Raises:
        ConversionError: no engine leads from such a source to that format.
    """
    module, classes = _MODULES.get(source.family, ("", {}))
    if format_ not in classes:
        ways = ", ".join(classes) or "none"
        raise ConversionError(
            f"No engine makes {format_} out of a {source.kind} source.",
            f"What can be made of it: {ways}. For another, convert the model it was made from.",
        )
    return cast(Trunk, getattr(import_module(module), classes[format_])(source, folder))


def leads_to(family: str, format_: Format) -> bool:
    """Whether any engine leads from a family of sources to a format."""
    return format_ in _MODULES.get(family, ("", {}))[1]

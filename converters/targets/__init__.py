"""Targets: the formats that go out, one file each."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import cast

from converters.sources.base import Source
from converters.targets.base import Emitted, Target
from edge_sdk.spec import Format

__all__ = ["Emitted", "Target", "open_target"]

_MODULES: dict[Format, tuple[str, str]] = {
    "tflite": ("converters.targets.tflite", "TfliteTarget"),
    "coreml": ("converters.targets.coreml", "CoreMlTarget"),
    "onnx": ("converters.targets.onnx", "OnnxTarget"),
}


def open_target(format_: Format, source: Source, folder: Path) -> Target:
    """The target of that format for ``source``, working in ``folder``."""
    module, name = _MODULES[format_]
    return cast(Target, getattr(import_module(module), name)(source, folder))

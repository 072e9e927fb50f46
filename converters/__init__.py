"""The workshop: a trained model in, small builds out, each proven against the original.

from converters import convert
conversion = convert("flowers.keras", "flowers-1.0.0.edge", calibrate="photos/")
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from converters.conversion import Conversion, convert

__all__ = ["Conversion", "convert"]

# From 1.29 on, ONNX Runtime tells its maker about the machine and its models, unless this is set
# before it is loaded.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")


def __getattr__(name: str) -> Any:
    if name in __all__:
        from converters import conversion

        return getattr(conversion, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

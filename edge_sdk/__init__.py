"""edgeloop's library: load a model, run it, and know where it really runs.

    import edge_sdk
    with edge_sdk.load("flowers-1.2.0.edge", delegates=["gpu", "xnnpack"]) as session:
        outputs = session.run({"image": x})
        result = session.predict(frame)
        print(session.placement)

Names are imported when they are used, so that ``import edge_sdk`` costs next to nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from edge_sdk.errors import (
    ArtifactError,
    ConversionError,
    EdgeError,
    UnavailableError,
    UsageError,
)
from edge_sdk.spec.version import AGENT_VERSION as __version__

if TYPE_CHECKING:
    from edge_sdk.artifact import Artifact
    from edge_sdk.runtime import Session, load

__all__ = [
    "Artifact",
    "ArtifactError",
    "ConversionError",
    "EdgeError",
    "Session",
    "UnavailableError",
    "UsageError",
    "__version__",
    "load",
]

_LAZY = {
    "Artifact": "edge_sdk.artifact",
    "Session": "edge_sdk.runtime",
    "load": "edge_sdk.runtime",
}


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(_LAZY[name]), name)
    globals()[name] = value
    return value

"""The artifact: one immutable, checkable file with a model, its proof and its description."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from edge_sdk.artifact.artifact import Artifact, measure, pack
from edge_sdk.artifact.container import Content
from edge_sdk.artifact.folder import ArtifactFolder
from edge_sdk.spec.contents import MANIFEST, SUFFIX, variant_files

if TYPE_CHECKING:
    from edge_sdk.artifact.golden import Golden

__all__ = [
    "MANIFEST",
    "SUFFIX",
    "Artifact",
    "ArtifactFolder",
    "Content",
    "Golden",
    "measure",
    "pack",
    "variant_files",
]


def __getattr__(name: str) -> Any:
    if name == "Golden":  # imported when it is used: most loads have a verdict already
        from edge_sdk.artifact.golden import Golden

        return Golden
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

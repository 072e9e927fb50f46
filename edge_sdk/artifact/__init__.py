"""The artifact: one immutable, checkable file with a model, its proof and its description."""

from edge_sdk.artifact.artifact import MANIFEST, SUFFIX, Artifact, measure, pack, variant_files
from edge_sdk.artifact.container import Content
from edge_sdk.artifact.golden import Golden

__all__ = [
    "MANIFEST",
    "SUFFIX",
    "Artifact",
    "Content",
    "Golden",
    "measure",
    "pack",
    "variant_files",
]

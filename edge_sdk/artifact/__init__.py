"""The artifact: one immutable, checkable file with a model, its proof and its description."""

from edge_sdk.artifact.artifact import SUFFIX, Artifact, measure, pack
from edge_sdk.artifact.container import Content
from edge_sdk.artifact.folder import ArtifactFolder
from edge_sdk.artifact.golden import Golden
from edge_sdk.spec.contents import MANIFEST, variant_files

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

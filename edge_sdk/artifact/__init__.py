"""The artifact: one immutable, checkable file with a model, its proof and its description."""

from edge_sdk.artifact.artifact import Artifact, measure, pack
from edge_sdk.artifact.container import Content
from edge_sdk.artifact.folder import ArtifactFolder
from edge_sdk.artifact.golden import Golden
from edge_sdk.spec.contents import MANIFEST, SUFFIX, variant_files

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

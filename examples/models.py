"""The models of the examples, loaded with their declarations: what ``edge_sdk.load(X.edge)`` is
for an artifact, these are for the bare files of the repository's assets.
"""

from __future__ import annotations

from pathlib import Path

import edge_sdk
from edge_sdk.processing import read_labels, read_processing
from examples.assets import asset

HERE = Path(__file__).parent


def faces() -> edge_sdk.Session:
    """MediaPipe's short-range face detector."""
    folder = HERE / "face_detection"
    before, after = read_processing(folder / "face.toml")
    return edge_sdk.load(
        asset("face-detection-short-range"),
        preprocess=before,
        postprocess=after,
        labels=read_labels(folder / "labels.txt"),
    )

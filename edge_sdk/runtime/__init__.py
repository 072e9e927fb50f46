"""Running a model here: choosing a build and an engine, loading, feeding, reading, measuring."""

from edge_sdk.runtime.load import load
from edge_sdk.runtime.session import Session

__all__ = ["Session", "load"]

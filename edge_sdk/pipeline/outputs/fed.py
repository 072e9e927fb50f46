"""What a sink that writes files wants to know of the pipeline: what feeds it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from edge_sdk.errors import UsageError
from edge_sdk.files import same_file
from edge_sdk.pipeline.parts import FrameSource, Running
from edge_sdk.pipeline.sources.files import files_of


class Fed(Running, Protocol):
    """A pipeline, and what it is fed by."""

    sources: Sequence[FrameSource]


def refuse_inputs(path: Path, running: Fed) -> None:
    """Refuse to write over a file that a source reads.

    Raises:
        UsageError: it is one.
    """
    if any(same_file(path, file) for source in running.sources for file in files_of(source)):
        raise UsageError(f"{path} is an input and would be overwritten.", "Name another file.")

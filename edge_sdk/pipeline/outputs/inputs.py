"""What a sink that writes files must not write over: what the pipeline reads."""

from __future__ import annotations

from pathlib import Path

from edge_sdk.errors import UsageError
from edge_sdk.files import same_file
from edge_sdk.pipeline.parts import Running
from edge_sdk.pipeline.sources.files import files_of


def refuse_inputs(path: Path, running: Running) -> None:
    """Refuse to write over a file that a source reads.

    Raises:
        UsageError: it is one.
    """
    if any(same_file(path, file) for source in running.sources for file in files_of(source)):
        raise UsageError(f"{path} is an input and would be overwritten.", "Name another file.")

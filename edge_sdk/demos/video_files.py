"""Where the pictures of ``edge demo video`` go."""

from __future__ import annotations

from pathlib import Path

from edge_sdk.errors import UsageError
from edge_sdk.pipeline.names import VIDEO_CODECS, VIDEO_SUFFIX
from edge_sdk.pipeline.outputs import PictureFolder, Recording
from edge_sdk.pipeline.parts import FrameSink, FrameSource
from edge_sdk.pipeline.sources import FolderSource


def is_stills(source: FrameSource) -> bool:
    """Whether it gives pictures that have nothing to do with each other."""
    return isinstance(source, FolderSource)


def target_of(output: Path, source: FrameSource) -> Path:
    """Where the pictures go.

    Raises:
        UsageError: it does not suit the source.
    """
    suffix = output.suffix.lower()
    if is_stills(source) and suffix:
        raise UsageError(
            f"Pictures go to a folder, not to {output}.", f"--output {output.with_suffix('')}"
        )
    if not is_stills(source) and suffix and suffix not in VIDEO_CODECS:
        raise UsageError(
            f"{output} does not end as a video that OpenCV writes.",
            f"--output {output.with_suffix(VIDEO_SUFFIX)}",
        )
    return output


def recorder(target: Path) -> FrameSink:
    """The sink that writes there."""
    if target.suffix.lower() in VIDEO_CODECS:
        return Recording(target)
    return PictureFolder(target)

"""The files of ``edge demo video``: where its pictures go, and that none of its inputs is lost."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from edge_sdk.errors import UsageError
from edge_sdk.files import same_file
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


def refuse_loss(outputs: Mapping[str, Path | None], inputs: Iterable[Path | None]) -> None:
    """Refuse to write over an input, or two outputs into one file.

    Args:
        outputs: by the option that names them.
        inputs: all that is read.

    Raises:
        UsageError: says which.
    """
    read = [path for path in inputs if path is not None]
    written: dict[str, Path] = {}
    for option, path in outputs.items():
        if path is None:
            continue
        another = f"{option} {path.with_name(f'another{path.suffix}')}"
        if any(same_file(path, each) for each in read):
            raise UsageError(f"{path} is an input and would be overwritten.", another)
        for other, taken in written.items():
            if same_file(path, taken):
                raise UsageError(f"{other} and {option} are the same file, {path}.", another)
        written[option] = path


def recorder(target: Path) -> FrameSink:
    """The sink that writes there."""
    if target.suffix.lower() in VIDEO_CODECS:
        return Recording(target)
    return PictureFolder(target)

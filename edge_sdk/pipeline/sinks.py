"""Where drawn frames go: a picture file or a video file. Whole, or not at all."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Protocol

from edge_sdk.errors import UnavailableError, UsageError
from edge_sdk.files import check_writable, disk_error
from edge_sdk.pipeline.frames import Clip, Source
from edge_sdk.pipeline.names import VIDEO_CODECS, VIDEO_SUFFIX, Names
from edge_sdk.pipeline.pace import UNKNOWN_FPS
from edge_sdk.pipeline.picture_file import can_write_picture, quiet, write_picture
from edge_sdk.processing.opencv import import_cv2
from edge_sdk.processing.picture import Picture


class Sink(Protocol):
    """Takes the pictures of one source, in order; the file is there once the ``with`` ends well."""

    def write(self, picture: Picture) -> None:
        """Take the next picture, RGB.

        Raises:
            UsageError: it cannot be written there.
            UnavailableError: the disk is full, or OpenCV lacks the format.
        """

    def __enter__(self) -> Sink: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...


class PictureFile:
    """One picture in one file, in the format of its suffix."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def write(self, picture: Picture) -> None:
        """Write the picture. Raises as ``Sink.write``."""
        write_picture(self.path, picture)

    def __enter__(self) -> PictureFile:
        return self

    def __exit__(self, *_: object) -> None:
        pass


class VideoFile:
    """A video in an ``.mp4`` or ``.avi`` (``VIDEO_CODECS``).

    Frames go to a hidden neighbour, which takes the name at the end if all of them are in it. An
    ``.mp4`` wants even sides: of an odd one, the last row or column is cut.
    """

    def __init__(self, path: Path, fps: float = 0.0) -> None:
        self.path = path
        if path.suffix.lower() not in VIDEO_CODECS:
            raise UsageError(
                f"{path} does not end as a video that OpenCV writes.",
                f"Call it {path.with_suffix(VIDEO_SUFFIX).name}.",
            )
        self._fps = fps or UNKNOWN_FPS
        self._cv2 = import_cv2("Writing a video")
        self._part: Path | None = None
        self._writer: Any = None
        self._frames = 0

    def write(self, picture: Picture, colour: Literal["rgb", "bgr"] = "rgb") -> None:
        """Write the next frame; all have the size of the first. Raises as ``Sink.write``."""
        cv2 = self._cv2
        if self._writer is None:
            self._open(picture.shape[1], picture.shape[0])
        self._writer.write(cv2.cvtColor(picture, cv2.COLOR_RGB2BGR) if colour == "rgb" else picture)
        self._frames += 1

    def __enter__(self) -> VideoFile:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._part is None:
            return
        try:
            self._writer.release()
            if kind is None:
                self._check()
                self._part.chmod(0o644)
                self._part.replace(self.path)
        except OSError as failure:
            raise disk_error(failure, self.path) from failure
        finally:
            self._part.unlink(missing_ok=True)

    def _open(self, width: int, height: int) -> None:
        try:
            # OpenCV chooses the container by the suffix and wants a name, not a descriptor.
            descriptor, name = tempfile.mkstemp(
                dir=self.path.parent, prefix=f".{self.path.stem}.", suffix=self.path.suffix.lower()
            )
            os.close(descriptor)
        except OSError as error:
            raise disk_error(error, self.path) from error
        self._part = Path(name)
        codec = self._cv2.VideoWriter_fourcc(*VIDEO_CODECS[self.path.suffix.lower()])
        with quiet(self._cv2):
            self._writer = self._cv2.VideoWriter(name, codec, self._fps, (width, height))
        if not self._writer.isOpened():
            raise UnavailableError(
                f"This OpenCV cannot write {self.path.name} ({width} x {height}).",
                "pip install --upgrade 'edgeloop[vision]'",
            )

    def _check(self) -> None:
        """OpenCV writes without a word when the disk is full: count what is really there."""
        with quiet(self._cv2):
            video = self._cv2.VideoCapture(str(self._part))
            written = max(0, int(video.get(self._cv2.CAP_PROP_FRAME_COUNT)))  # -1: no index
            video.release()
        if written != self._frames:
            raise UnavailableError(
                f"Only {written} of {self._frames} frames could be written to {self.path}.",
                f"df -h {self.path.parent}   # make room there, or write somewhere else",
            )


def plan_sinks(target: Path, sources: Sequence[Source]) -> list[Path]:
    """The file that each source's drawing goes to; makes the folder if there is to be one.

    One picture goes to a picture file, one video to an ``.mp4``; anything goes to a folder, under
    its own name.

    Raises:
        UsageError: the target does not suit the sources, cannot be written, or is an input.
        UnavailableError: the disk is full.
    """
    if target.suffix and not target.is_dir():
        files = [_single(target, sources)]
    else:
        try:
            target.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise disk_error(error, target) from error
        files = _names_in(target, sources)
    inputs = {source.path.resolve() for source in sources}
    for file in files:
        if file.resolve() in inputs:
            raise UsageError(f"{file} is an input and would be overwritten.", "--draw FOLDER")
    check_writable(files[0])
    return files


def open_sink(path: Path, source: Source) -> Sink:
    """The sink for one source's drawings."""
    return VideoFile(path, source.fps) if isinstance(source, Clip) else PictureFile(path)


def _single(target: Path, sources: Sequence[Source]) -> Path:
    if len(sources) > 1:
        raise UsageError(
            f"{len(sources)} drawings cannot go to the one file {target}.",
            f"Name a folder: --draw {target.with_suffix('')}/",
        )
    if isinstance(sources[0], Clip):
        if target.suffix.lower() not in VIDEO_CODECS:
            raise UsageError(
                f"{target} does not end as the video that is to be drawn.",
                f"--draw {target.with_suffix(VIDEO_SUFFIX)}",
            )
    elif not can_write_picture(target):
        raise UsageError(
            f"{target} does not end as a picture that OpenCV writes.",
            f"--draw {target.with_suffix('.png')}",
        )
    return target


def _names_in(folder: Path, sources: Sequence[Source]) -> list[Path]:
    """A file in the folder for each source, named after it."""
    names = Names()
    return [
        folder
        / (
            names.new(source.path.stem, VIDEO_SUFFIX)
            if isinstance(source, Clip)
            else names.picture(source.path)
        )
        for source in sources
    ]

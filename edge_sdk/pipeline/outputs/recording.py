"""Frames as files: videos, or folders of pictures.

A file holds one stream. Where a pipeline has several sources, the path has ``{stream}`` in it, and
each stream gets a file of its own; without it, a second stream is refused.
"""

from __future__ import annotations

import re
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from edge_sdk.errors import UsageError
from edge_sdk.files import check_writable, disk_error, same_file
from edge_sdk.pipeline.frames import Frame
from edge_sdk.pipeline.names import Names
from edge_sdk.pipeline.parts import Running
from edge_sdk.pipeline.picture_file import can_write_picture, write_picture
from edge_sdk.pipeline.sinks import VIDEO_CODECS, VideoFile
from edge_sdk.processing.opencv import import_cv2
from edge_sdk.processing.picture import Picture

STREAM = "{stream}"
_MOST_REPEATED_S = 60.0
"""A gap in a live stream is filled with its last picture, but not longer than this."""


class Recording:
    """A video file; it is there, whole, once the run has ended well.

    The frames of a file follow each other at ``fps``. Those of a live source come when they come:
    each is repeated, or left out, so that the recording lasts as long as what it shows.

    Args:
        path: ends in ``.mp4`` or ``.avi``; ``evening-{stream}.mp4`` writes one for each stream.
        fps: frames a second; 0.0 if the source does not say.
        live: whether the source is.

    Raises:
        UsageError: it cannot be written there.
    """

    name = "recording"

    def __init__(self, path: Path | str, fps: float = 0.0, *, live: bool = False) -> None:
        self.path = Path(path)
        check_writable(self.path)
        VideoFile(self.path)  # whether it can be one is told now
        self._fps = fps or 25.0
        self._live = live
        self._videos: dict[str, _Video] = {}
        self._paths = _Paths(self.path)
        self._files = ExitStack()
        self._running: Running | None = None
        self._cv2 = import_cv2("Writing a video")

    def begin(self, running: Running) -> None:
        """Called by the pipeline."""
        self._running = running

    def take(self, frame: Frame) -> None:
        """Write the frame. Raises as ``VideoFile.write``, and UsageError for a second stream."""
        picture = frame.bgr()
        size = picture.shape[1], picture.shape[0]
        video = self._videos.get(frame.stream)
        if video is None:
            file = VideoFile(self._paths.of(frame.stream), self._fps)
            video = _Video(self._files.enter_context(file), size, frame.taken_s)
            self._videos[frame.stream] = video
            self._tell_if_cut(file.path, *size)
        elif size != video.size:  # a camera may come back at another size; a video has but one
            picture = self._cv2.resize(picture, video.size, interpolation=self._cv2.INTER_AREA)
        for _ in range(self._times(frame, video)):
            video.file.write(picture, "bgr")
            video.written += 1

    def _tell_if_cut(self, path: Path, width: int, height: int) -> None:
        even = width & ~1, height & ~1
        if even != (width, height) and self._running is not None:
            self._running.metrics.warn(
                f"{path} is {even[0]} x {even[1]}, and not {width} x {height}: its codec wants "
                "even sides, so the last row or column is cut."
            )

    def _times(self, frame: Frame, video: _Video) -> int:
        if not self._live:
            return 1
        due = round((frame.taken_s - video.first_s) * self._fps) + 1
        return min(max(0, due - video.written), max(1, round(_MOST_REPEATED_S * self._fps)))

    def __enter__(self) -> Recording:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._files.__exit__(kind, error, trace)


@dataclass
class _Video:
    """What is written of one stream."""

    file: VideoFile
    size: tuple[int, int]
    first_s: float
    written: int = 0


class PictureFolder:
    """A picture a frame, called after the picture it came from, or after its place in the stream.

    A picture keeps its format; one in a format that cannot be written becomes a ``.png``. Where
    two would be called alike, the second gets a number.

    Args:
        folder: made if it is not there; ``out/{stream}`` is one for each stream.
        suffix: of pictures that come from a video.

    Raises:
        UsageError: the folder cannot be made.
    """

    name = "pictures"

    def __init__(self, folder: Path | str, suffix: str = ".jpg") -> None:
        self.folder = Path(folder)
        self._suffix = suffix
        if not can_write_picture(Path(f"x{suffix}")):
            raise UsageError(f"OpenCV writes no {suffix}.", "PictureFolder(…, suffix='.png')")
        self._paths = _Paths(self.folder)
        self._names: dict[Path, Names] = {}
        if STREAM not in str(self.folder):
            self._make(self.folder)

    def take(self, frame: Frame) -> None:
        """Write the picture. Raises as ``write_picture``, and UsageError for a second stream."""
        folder = self._paths.of(frame.stream)
        if folder != self.folder and not folder.is_dir():
            self._make(folder)
        if frame.time_s is not None:
            name = f"{frame.index:06d}{self._suffix}"
        elif same_file(folder, frame.source.parent):  # whatever they are called there
            raise UsageError(
                f"The inputs are in {folder} and would be overwritten.", "Name another folder."
            )
        else:
            name = self._names.setdefault(folder, Names()).picture(frame.source)
        picture: Picture = frame.rgb()
        write_picture(folder / name, picture)

    def _make(self, folder: Path) -> None:
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise disk_error(error, folder) from error
        check_writable(folder / f"x{self._suffix}")


class _Paths:
    """Where each stream goes: to the path itself if there is but one."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._of: dict[str, Path] = {}
        self._names = Names()

    def of(self, stream: str) -> Path:
        """The path of a stream. Raises UsageError where a second one would be mixed into it."""
        if stream not in self._of:
            self._of[stream] = self._new(stream)
        return self._of[stream]

    def _new(self, stream: str) -> Path:
        if STREAM not in str(self._path):
            if self._of:
                apart = self._path.with_name(f"{self._path.stem}-{STREAM}{self._path.suffix}")
                raise UsageError(
                    f"{self._path} is for one stream, and both {next(iter(self._of))!r} and "
                    f"{stream!r} come.",
                    f"{str(apart)!r} is one for each stream.",
                )
            return self._path
        named = Path(stream).stem if Path(stream).suffix.lower() in VIDEO_CODECS else stream
        plain = re.sub(r"[^\w.-]+", "-", named).strip("-.") or "stream"
        return Path(str(self._path).replace(STREAM, self._names.new(plain)))

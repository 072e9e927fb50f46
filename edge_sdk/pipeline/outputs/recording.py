"""Frames as files: a video, or a folder of pictures."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType

from edge_sdk.errors import UsageError
from edge_sdk.files import check_writable, disk_error
from edge_sdk.pipeline.frames import Frame
from edge_sdk.pipeline.picture_file import can_write_picture, write_picture
from edge_sdk.pipeline.sinks import VideoFile
from edge_sdk.processing.opencv import import_cv2
from edge_sdk.processing.picture import Picture

_MOST_REPEATED_S = 60.0
"""A gap in a live stream is filled with its last picture, but not longer than this."""


class Recording:
    """A video file; it is there, whole, once the run has ended well.

    The frames of a file follow each other at ``fps``. Those of a live source come when they come:
    each is repeated, or left out, so that the recording lasts as long as what it shows.

    Args:
        path: ends in ``.mp4`` or ``.avi``.
        fps: frames a second; 0.0 if the source does not say.
        live: whether the source is.

    Raises:
        UsageError: it cannot be written there.
    """

    name = "recording"

    def __init__(self, path: Path | str, fps: float = 0.0, *, live: bool = False) -> None:
        self.path = Path(path)
        check_writable(self.path)
        self._fps = fps or 25.0
        self._live = live
        self._file = VideoFile(self.path, self._fps)
        self._size: tuple[int, int] | None = None
        self._first_s = 0.0
        self._written = 0
        self._cv2 = import_cv2("Writing a video")

    def take(self, frame: Frame) -> None:
        """Write the frame. Raises as ``VideoFile.write``."""
        picture = frame.bgr()
        size = picture.shape[1], picture.shape[0]
        if self._size is None:
            self._size, self._first_s = size, frame.taken_s
        elif size != self._size:  # a camera may come back at another size; a video has but one
            picture = self._cv2.resize(picture, self._size, interpolation=self._cv2.INTER_AREA)
        for _ in range(self._times(frame)):
            self._file.write(picture, "bgr")
            self._written += 1

    def _times(self, frame: Frame) -> int:
        if not self._live:
            return 1
        due = round((frame.taken_s - self._first_s) * self._fps) + 1
        return min(max(0, due - self._written), max(1, round(_MOST_REPEATED_S * self._fps)))

    def __enter__(self) -> Recording:
        self._file.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._file.__exit__(kind, error, trace)


class PictureFolder:
    """A picture a frame, called after the picture it came from, or after its place in the stream.

    Args:
        folder: made if it is not there.
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
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise disk_error(error, self.folder) from error
        check_writable(self.folder / f"x{suffix}")

    def take(self, frame: Frame) -> None:
        """Write the picture. Raises as ``write_picture``."""
        target = self.folder / self._name(frame)
        if frame.time_s is None and target.resolve() == frame.source.resolve():
            raise UsageError(
                f"{target} is an input and would be overwritten.", "Name another folder."
            )
        picture: Picture = frame.rgb()
        write_picture(target, picture)

    def _name(self, frame: Frame) -> str:
        if frame.time_s is None:
            suffix = frame.source.suffix if can_write_picture(frame.source) else self._suffix
            return frame.source.stem + suffix
        return f"{frame.index:06d}{self._suffix}"

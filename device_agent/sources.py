"""Where a worker's pictures come from: a folder or a video, over and over.

A source never ends and never breaks: what cannot be read is an error of that one picture, told to
the caller, and the next call goes on behind it. A folder that is not there yet, is emptied or is
being filled is asked again the next time.
"""

from __future__ import annotations

import time
from bisect import bisect_right
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

from device_agent import ipc
from edge_sdk.errors import UsageError
from edge_sdk.pipeline.frames import Clip, Frame
from edge_sdk.pipeline.picture_file import read_picture
from edge_sdk.processing.picture import Picture

SUFFIXES = frozenset(
    {".bmp", ".jpeg", ".jpg", ".jp2", ".pbm", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp"}
)

_TICK_NS = 1_000_000_000


class PictureSource(Protocol):
    """Something that gives pictures for ever."""

    def next(self) -> Picture:
        """The next picture: bytes, height x width x 3, RGB.

        Raises:
            UsageError: this one cannot be read, or there is none now; ask again.
            UnavailableError: OpenCV is not installed.
        """

    def close(self) -> None:
        """Give back what is open."""


def open_source(source: ipc.Source) -> PictureSource:
    """The source that a configuration names; whether it is there shows when it is read."""
    if source.kind == "folder":
        return FolderSource(Path(source.path))
    return VideoSource(Path(source.path))


class FolderSource:
    """The pictures of a folder, by name, then from the beginning again.

    The folder is listed again when a round begins and when it has changed: pictures that come or go
    are noticed at once, and the round goes on behind the name it had reached. Names that begin with
    a dot are no pictures: programs write files under such names before they are whole.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._names: list[str] = []
        self._last = ""
        self._seen: tuple[int, int] | None = None

    def next(self) -> Picture:
        """See ``PictureSource.next``."""
        for _ in range(2):
            path = self._folder / self._next_name()
            if path.is_file():
                return read_picture(path)
            self._seen = None  # it went away between the listing and now: list again
        raise UsageError(
            f"Pictures go away from {self._folder} before they can be read.",
            "Leave each there for a second, or give the agent a folder of its own.",
        )

    def close(self) -> None:
        """Nothing is open between two pictures."""

    def _next_name(self) -> str:
        try:
            state = self._folder.stat()
            seen = (state.st_ino, state.st_mtime_ns)
            if seen != self._seen or not self._names or self._last >= self._names[-1]:
                self._names = sorted(
                    path.name
                    for path in self._folder.iterdir()
                    if path.suffix.lower() in SUFFIXES and path.name[0] != "."
                )
                # A clock that ticks every few milliseconds hides a second change in one tick.
                settled = abs(time.time_ns() - state.st_mtime_ns) > _TICK_NS
                self._seen = seen if settled else None
        except OSError as error:
            self._seen, self._names = None, []
            raise UsageError(
                f"The folder {self._folder} cannot be read: {error.strerror}.",
                f"mkdir -p {self._folder}   # and put pictures there",
            ) from error
        if not self._names:
            raise UsageError(
                f"There are no pictures in the folder {self._folder}.",
                f"They end in {', '.join(sorted(SUFFIXES))}.",
            )
        self._last = self._names[bisect_right(self._names, self._last) % len(self._names)]
        return self._last


class VideoSource:
    """The frames of a video file, then from the beginning again."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._frames: Iterator[Frame] = iter(())

    def next(self) -> Picture:
        """See ``PictureSource.next``."""
        for frame in self._frames:
            return frame.picture
        if not self._path.is_file():
            raise UsageError(
                f"There is no video {self._path}.", f"ls {self._path.parent}   # name the file"
            )
        self._frames = Clip(self._path).frames()
        return next(self._frames).picture

    def close(self) -> None:
        """Close the file."""
        self._frames = iter(())

"""Where a worker's inputs come from: a folder or a video, over and over.

A source never ends and never breaks: what cannot be read is an error of that one input, told to
the caller, and the next call goes on behind it. A folder that is not there yet, is emptied or is
being filled is asked again the next time.

A folder holds pictures, or arrays for models of anything else (``.npy``, ``.npz``, read as ``edge
run`` reads them). Which of them count is the model's to say: it comes with each call, since the
model may have changed between two.
"""

from __future__ import annotations

import time
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeAlias

import numpy.typing as npt

from device_agent import ipc
from edge_sdk.errors import UsageError
from edge_sdk.pipeline.arrays import SUFFIXES as ARRAYS
from edge_sdk.pipeline.arrays import read_arrays
from edge_sdk.pipeline.frames import Clip, Frame
from edge_sdk.pipeline.picture_file import read_picture
from edge_sdk.processing.picture import Picture
from edge_sdk.spec import Signature

PICTURES = frozenset(
    {".bmp", ".jpeg", ".jpg", ".jp2", ".pbm", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp"}
)

_TICK_NS = 1_000_000_000

Input: TypeAlias = Picture | dict[str, npt.NDArray[Any]]
"""One input: bytes, height x width x 3, RGB; or an array for each of the model's inputs."""


@dataclass(frozen=True, slots=True)
class Takes:
    """What a model can be fed.

    Attributes:
        signature: its inputs, as the loaded build takes them.
        pictures: whether it declares how a picture becomes its input.
    """

    signature: Signature
    pictures: bool

    @property
    def suffixes(self) -> frozenset[str]:
        """Of the files that count."""
        return PICTURES | set(ARRAYS) if self.pictures else frozenset(ARRAYS)


class InputSource(Protocol):
    """Something that gives inputs for ever."""

    def next(self, takes: Takes) -> Input:
        """The next input for a model that takes such.

        Raises:
            UsageError: this one cannot be read, or there is none now; ask again.
            UnavailableError: OpenCV is not installed.
        """

    def close(self) -> None:
        """Give back what is open."""


def open_source(source: ipc.Source) -> InputSource:
    """The source that a configuration names; whether it is there shows when it is read."""
    if source.kind == "folder":
        return FolderSource(Path(source.path))
    return VideoSource(Path(source.path))


class FolderSource:
    """The files of a folder, by name, then from the beginning again.

    The folder is listed again when a round begins and when it has changed: files that come or go
    are noticed at once, and the round goes on behind the name it had reached. Names that begin with
    a dot do not count: programs write files under such names before they are whole. A file of
    several arrays is as many inputs.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._names: list[str] = []
        self._last = ""
        self._seen: tuple[int, int, Takes] | None = None
        self._rows: Iterator[Input] = iter(())
        self._takes: Takes | None = None

    def next(self, takes: Takes) -> Input:
        """See ``InputSource.next``."""
        if takes != self._takes:  # what is left of a file was read for another model
            self._takes, self._rows = takes, iter(())
        for row in self._rows:
            return row
        for _ in range(2):
            path = self._folder / self._next_name(takes)
            if path.is_file():
                return self._read(path, takes)
            self._seen = None  # it went away between the listing and now: list again
        raise UsageError(
            f"Files go away from {self._folder} before they can be read.",
            "Leave each there for a second, or give the agent a folder of its own.",
        )

    def _read(self, path: Path, takes: Takes) -> Input:
        if path.suffix.lower() not in ARRAYS:
            return read_picture(path)
        first, *others = read_arrays(path, takes.signature)
        self._rows = iter(others)
        return first

    def close(self) -> None:
        """Nothing is open between two pictures."""

    def _next_name(self, takes: Takes) -> str:
        try:
            state = self._folder.stat()
            seen = (state.st_ino, state.st_mtime_ns, takes)
            if seen != self._seen or not self._names or self._last >= self._names[-1]:
                self._names = sorted(
                    path.name
                    for path in self._folder.iterdir()
                    if path.suffix.lower() in takes.suffixes and path.name[0] != "."
                )
                # A clock that ticks every few milliseconds hides a second change in one tick.
                settled = abs(time.time_ns() - state.st_mtime_ns) > _TICK_NS
                self._seen = seen if settled else None
        except OSError as error:
            self._seen, self._names = None, []
            raise UsageError(
                f"The folder {self._folder} cannot be read: {error.strerror}.",
                f"mkdir -p {self._folder}   # and put inputs there",
            ) from error
        if not self._names:
            what = "pictures" if takes.pictures else "arrays"
            raise UsageError(
                f"There are no {what} in the folder {self._folder}.",
                f"They end in {', '.join(sorted(takes.suffixes))}.",
            )
        self._last = self._names[bisect_right(self._names, self._last) % len(self._names)]
        return self._last


class VideoSource:
    """The frames of a video file, then from the beginning again."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._frames: Iterator[Frame] = iter(())

    def next(self, takes: Takes) -> Input:
        """See ``InputSource.next``; the loader sees to it that the model takes pictures."""
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

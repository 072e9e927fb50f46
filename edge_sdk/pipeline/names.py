"""What output files are called: after what is in them, numbered where two would be called alike."""

from __future__ import annotations

import re
from pathlib import Path

from edge_sdk.errors import UsageError
from edge_sdk.pipeline.picture_file import can_write_picture

STREAM = "{stream}"
VIDEO_SUFFIX = ".mp4"
VIDEO_CODECS = {".mp4": "mp4v", ".avi": "MJPG"}
"""By suffix, what every OpenCV can write: MPEG-4 part 2 and motion JPEG."""


class Names:
    """Names in one folder, each given once: ``face.jpg``, then ``face-2.jpg``."""

    def __init__(self) -> None:
        self._taken: set[str] = set()

    def new(self, stem: str, suffix: str = "") -> str:
        """The next name that nobody has."""
        name, count = stem + suffix, 1
        while name in self._taken:
            count += 1
            name = f"{stem}-{count}{suffix}"
        self._taken.add(name)
        return name

    def picture(self, source: Path) -> str:
        """The name of what is made of a picture: its own, in a format that can be written."""
        return self.new(source.stem, source.suffix if can_write_picture(source) else ".png")


class StreamPaths:
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

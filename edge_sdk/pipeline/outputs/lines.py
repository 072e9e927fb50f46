"""Answers as JSON lines: a file that can be read while it grows."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

import msgspec

from edge_sdk.files import check_writable, disk_error
from edge_sdk.pipeline.frames import Frame
from edge_sdk.pipeline.outputs.answers import frame_answers
from edge_sdk.pipeline.outputs.fed import Fed, refuse_inputs


class JsonLines:
    """One line a frame, each written whole (``FrameAnswers``).

    Args:
        path: the file, begun anew; or an open binary file, such as ``sys.stdout.buffer``.
        name: for errors and metrics.

    Raises:
        UsageError: it cannot be written.
    """

    def __init__(self, path: Path | str | BinaryIO, *, name: str = "lines") -> None:
        self.name = name
        self.path: Path | None = None
        self._file: BinaryIO | None = None
        self._running: Fed | None = None
        if isinstance(path, str | Path):
            self.path = Path(path)
            check_writable(self.path)
        else:
            self._file = path

    def begin(self, running: Fed) -> None:
        """Called by the pipeline. Raises UsageError where the file is one of its inputs."""
        self._running = running
        if self.path is not None:
            refuse_inputs(self.path, running)
            self._file = self.path.open("wb")

    def __enter__(self) -> JsonLines:
        return self

    def __exit__(self, *_: object) -> None:
        if self.path is not None and self._file is not None:
            with suppress(OSError):
                self._file.close()

    def take(self, frame: Frame) -> None:
        """Write the line of a frame. Raises UnavailableError if the disk is full."""
        if self._file is None or self._running is None:
            return
        word = frame_answers(frame, self._running.clock.now())
        try:
            self._file.write(msgspec.json.encode(word) + b"\n")
            self._file.flush()
        except OSError as error:
            raise disk_error(error, self.path or Path(os.devnull)) from error

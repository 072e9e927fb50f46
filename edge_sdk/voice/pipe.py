"""A pipe that is read for so long and no longer, whatever comes through it, or nothing."""

from __future__ import annotations

import os
import select
import time


class TimeIsOver(Exception):
    """Nothing is left to read, and no time to wait for more."""


class Pipe:
    """Reads a descriptor, which stays open.

    The time begins with the first reading. What has come until it is over is given even later, so
    that a slow listener loses nothing; it is waiting that ends.

    Attributes:
        came: whether anything did.
    """

    def __init__(self, descriptor: int, seconds: float | None = None) -> None:
        """Read for so many seconds; None is for ever."""
        self._descriptor, self._seconds = descriptor, seconds
        self._until = 0.0
        self.came = False

    def read(self, size: int) -> bytes:
        """So many bytes, fewer at the end. Raises TimeIsOver."""
        if not self._until and self._seconds is not None:
            self._until = time.monotonic() + self._seconds
        found = b""
        while len(found) < size:
            self._wait()
            piece = os.read(self._descriptor, size - len(found))
            if not piece:
                break
            self.came = True
            found += piece
        return found

    def _wait(self) -> None:
        left = None if self._seconds is None else max(0.0, self._until - time.monotonic())
        if not select.select([self._descriptor], [], [], left)[0]:
            raise TimeIsOver

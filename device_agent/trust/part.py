"""A file on its way in: chunks in any order, kept through a cut, a kill -9 or a power failure.

The file has its full length from the start, so a disk that is too small says so before a byte is
fetched. Behind the content stands one byte a chunk, set once the chunk is written: the map of what
is here. It needs no sync: after a power failure it may tell a lie, and then the digest at the end
finds out, and the file is fetched anew (see ``download``).
"""

from __future__ import annotations

import os
from pathlib import Path

from edge_sdk.errors import UnavailableError
from edge_sdk.files import disk_error
from edge_sdk.spec.wire import CHUNK_BYTES


class PartFile:
    """``NAME.part``, open for writing. ``close`` it; it stays for the next attempt.

    Attributes:
        path: the file.
        resumed: whether it holds chunks of an earlier attempt.
    """

    def __init__(self, path: Path, size: int) -> None:
        """Open, continuing what an earlier attempt left.

        Args:
            path: of the part file, whose folder exists.
            size: bytes of the content.

        Raises:
            UnavailableError: there is no room for all of it; nothing is left behind.
            UsageError: it cannot be written.
        """
        self.path = path
        self._size = size
        self._chunks = -(-size // CHUNK_BYTES)
        try:
            self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise disk_error(error, path) from error
        try:
            self._map = self._continued()
        except OSError as error:
            self.close()
            path.unlink(missing_ok=True)
            raise disk_error(error, path) from error
        self.resumed = any(self._map)

    def _continued(self) -> bytearray:
        """The map; of a file that is not of this content, an empty one."""
        length = os.fstat(self._file).st_size
        if length == self._size and self._size:
            return bytearray(b"\1" * self._chunks)  # complete: only its name was still missing
        if length == self._size + self._chunks:
            return bytearray(os.pread(self._file, self._chunks, self._size))
        os.ftruncate(self._file, 0)
        if self._size:
            os.posix_fallocate(self._file, 0, self._size + self._chunks)
        return bytearray(self._chunks)

    def missing(self) -> list[tuple[int, int]]:
        """Offset and length of every chunk that is not here yet."""
        return [
            (start, min(CHUNK_BYTES, self._size - start))
            for start, here in zip(range(0, self._size, CHUNK_BYTES), self._map, strict=True)
            if not here
        ]

    def write(self, offset: int, chunk: bytes) -> None:
        """Put a whole chunk in its place. Raises UnavailableError if the disk does not take it."""
        index = offset // CHUNK_BYTES
        try:
            _write_all(self._file, chunk, offset)
            _write_all(self._file, b"\1", self._size + index)
        except OSError as error:
            raise UnavailableError(
                f"{self.path} cannot be written: {error.strerror}.",
                f"df -h {self.path.parent}   # is there room, and is the disk well?",
            ) from error
        self._map[index] = 1

    def close(self) -> None:
        """Close the file and leave it there."""
        os.close(self._file)


def _write_all(file: int, data: bytes, offset: int) -> None:
    view = memoryview(data)
    while view:
        written = os.pwrite(file, view, offset)
        view, offset = view[written:], offset + written

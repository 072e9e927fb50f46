"""Arrays that stay on the disk: of an ``.npz`` that is larger than memory, rows as they are needed.

numpy reads a member of an ``.npz`` whole or not at all. Here a large one is read through once, to
prove its checksum, and afterwards a few rows at a time: where it is stored as it is
(``numpy.savez``), from the very file; where it is packed (``numpy.savez_compressed``), from an
unpacked copy among the temporary files. Small ones are read whole.

Format: numpy's NEP 1; APPNOTE.TXT 6.3.10, §4.3.7 (a zip's local header).
"""

from __future__ import annotations

import math
import os
import struct
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from edge_sdk.backends.base import Array
from edge_sdk.errors import UnavailableError

SMALL_BYTES = 8_000_000
"""Arrays up to this size are read whole."""
BLOCK_BYTES = 1 << 20
_LOCAL = struct.Struct("<4s22xHH")
"""A local header's signature, and the lengths of what stands between it and the content."""


class _Open:
    """A file's descriptor, of its own, that is closed with the last who reads from it."""

    def __init__(self, file: IO[bytes]) -> None:
        self.number = os.dup(file.fileno())

    def __del__(self) -> None:
        os.close(self.number)


class Rows:
    """An array in a file, of which slices along the first axis can be taken.

    Attributes:
        shape: of all of it.
        dtype: what its numbers are handed out as.
    """

    def __init__(
        self, file: _Open, offset: int, shape: tuple[int, ...], stored: npt.DTypeLike
    ) -> None:
        """The numbers begin at ``offset``, in C order."""
        self._file, self._offset, self._stored = file, offset, np.dtype(stored)
        self.shape = shape
        self.dtype = self._stored.newbyteorder("=")

    @property
    def ndim(self) -> int:
        """How many axes it has."""
        return len(self.shape)

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: slice) -> Array:
        start, stop, _ = rows.indices(len(self))
        each = math.prod(self.shape[1:]) * self._stored.itemsize
        wanted = max(stop - start, 0) * each
        # Not by seeking: a descriptor's position would be shared by all who read.
        data = os.pread(self._file.number, wanted, self._offset + start * each)
        while len(data) < wanted:
            more = os.pread(
                self._file.number, wanted - len(data), self._offset + start * each + len(data)
            )
            if not more:
                raise UnavailableError("The data's file was cut short while it was read.", "ls -l")
            data += more
        found = np.frombuffer(data, self._stored).reshape(max(stop - start, 0), *self.shape[1:])
        return found.astype(self.dtype, copy=False)

    def astype(self, dtype: npt.DTypeLike) -> Rows:
        """The same rows, handed out as another type."""
        other = Rows(self._file, self._offset, self.shape, self._stored)
        other.dtype = np.dtype(dtype)
        return other


def blocks(array: Array | Rows) -> Iterator[Array]:
    """All of an array of at least one axis, a few rows at a time, each in C order."""
    each = max(math.prod(array.shape[1:]) * array.dtype.itemsize, 1)
    step = max(1, BLOCK_BYTES // each)
    for start in range(0, len(array), step):
        yield np.ascontiguousarray(array[start : start + step])


def read_npz(path: Path) -> dict[str, Any]:
    """The arrays of an ``.npz`` by name: ``Rows`` for the large ones.

    Raises:
        UnavailableError: there is no room to unpack a large array.
        ValueError, OSError, …: it is damaged, or holds what is no array (as ``numpy.load``).
    """
    found: dict[str, Any] = {}
    with zipfile.ZipFile(path) as archive, np.load(path, allow_pickle=False) as loaded:
        for member in archive.infolist():
            name = member.filename.removesuffix(".npy")
            rows = _rows(path, archive, member) if member.file_size > SMALL_BYTES else None
            found[name] = loaded[name] if rows is None else rows
    return found


def _rows(path: Path, archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> Rows | None:
    """A large member as rows; None where it must be read whole: columns first, no plain array."""
    with archive.open(member) as stream:
        version = np.lib.format.read_magic(stream)
        if version not in ((1, 0), (2, 0)):
            return None
        read = {
            (1, 0): np.lib.format.read_array_header_1_0,
            (2, 0): np.lib.format.read_array_header_2_0,
        }[version]
        shape, columns_first, dtype = read(stream)
        header = stream.tell()
        size = math.prod(shape) * dtype.itemsize
        if columns_first or dtype.hasobject or not shape or header + size != member.file_size:
            return None
        packed = member.compress_type != zipfile.ZIP_STORED
        # To the end, where zipfile compares the checksum, the copy is made or not.
        parts = iter(lambda: stream.read(BLOCK_BYTES), b"")
        if packed:
            return Rows(_unpacked(parts), 0, shape, dtype)
        for _ in parts:
            pass
    with path.open("rb") as file:
        file.seek(member.header_offset)
        _, name_length, extra_length = _LOCAL.unpack(file.read(_LOCAL.size))
        content = member.header_offset + _LOCAL.size + name_length + extra_length
        return Rows(_Open(file), content + header, shape, dtype)


def _unpacked(parts: Iterator[bytes]) -> _Open:
    """A nameless temporary file of them."""
    try:
        with tempfile.TemporaryFile(prefix="edgeloop-") as copy:
            for part in parts:
                copy.write(part)
            copy.flush()
            return _Open(copy)
    except OSError as error:
        raise UnavailableError(
            f"There is no room to unpack the data: {error.strerror}.",
            "TMPDIR=/a/folder/with/room edge convert …   # or save it with numpy.savez",
        ) from error

"""How frames go from one process to another: words through a socket, pixels through shared memory.

Both ends hold one end of a socket pair and one ``SharedMemory``, and speak in turns. A message is
pickled with every array left out of it (pickle's protocol 5); arrays are copied into the memory,
one after another, and the socket carries only where they lie.

The memory has no name: it is a descriptor that the child inherits. Nothing can be left behind in
``/dev/shm``, however either of them ends, and a container's limit on it does not count.
"""

from __future__ import annotations

import io
import mmap
import os
import pickle
import socket
import struct
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import numpy as np
import numpy.typing as npt

_LENGTH = struct.Struct("<Q")
_PAGE = mmap.ALLOCATIONGRANULARITY
_ALIGNED = 64
"""Arrays begin at multiples of so many bytes."""

Bytes = npt.NDArray[np.uint8]


class SharedMemory:
    """Memory that two processes share, and that grows when a larger frame comes.

    Args:
        descriptor: of the other end's memory; owned from now on. None makes a new one.
    """

    def __init__(self, descriptor: int | None = None) -> None:
        self.descriptor = _unnamed() if descriptor is None else descriptor
        self._map = mmap.mmap(self.descriptor, self._grown_to(_PAGE))

    def put(self, parts: Sequence[memoryview]) -> list[tuple[int, int]]:
        """Copy parts in, over what was there; where each lies, as (offset, length)."""
        places: list[tuple[int, int]] = []
        end = 0
        for part in parts:
            places.append((end, part.nbytes))
            end += -(-part.nbytes // _ALIGNED) * _ALIGNED
        self._reach(end)
        memory = np.frombuffer(self._map, np.uint8)
        for (at, length), part in zip(places, parts, strict=True):
            # By numpy, which lets the other threads run meanwhile.
            memory[at : at + length] = np.frombuffer(part, np.uint8)
        return places

    def get(self, places: Sequence[tuple[int, int]]) -> list[Bytes]:
        """Copies of what lies there."""
        self._reach(max((at + length for at, length in places), default=0))
        memory = np.frombuffer(self._map, np.uint8)
        return [memory[at : at + length].copy() for at, length in places]

    def close(self) -> None:
        """Give it back; the memory is free once the other end has done so too."""
        self._map.close()
        os.close(self.descriptor)

    def _reach(self, end: int) -> None:
        if end > len(self._map):
            self._map.close()
            self._map = mmap.mmap(self.descriptor, self._grown_to(end))

    def _grown_to(self, end: int) -> int:
        """The size of the whole, which is at least ``end``; either side may have made it larger."""
        size = os.fstat(self.descriptor).st_size
        if size < end:
            size = -(-max(end, 2 * size) // _PAGE) * _PAGE
            os.ftruncate(self.descriptor, size)
        return size


def _unnamed() -> int:
    if hasattr(os, "memfd_create"):
        return os.memfd_create("edge-pipeline")
    with tempfile.TemporaryFile() as file:  # macOS: a file that has lost its name
        return os.dup(file.fileno())


class Connection:
    """One end of the conversation.

    Args:
        end: of a socket pair; owned from now on.
        memory: shared with the other end; likewise.
    """

    def __init__(self, end: socket.socket, memory: SharedMemory) -> None:
        self._socket = end
        self._stream = end.makefile("rwb")
        self._memory = memory

    def send(self, message: Any) -> None:
        """Say something. Raises OSError if nobody hears it."""
        parts: list[pickle.PickleBuffer] = []
        words = io.BytesIO()
        _Pickler(words, protocol=5, buffer_callback=parts.append).dump(message)
        places = self._memory.put([part.raw() for part in parts])
        for block in (pickle.dumps(places), words.getvalue()):
            self._stream.write(_LENGTH.pack(len(block)))
            self._stream.write(block)
        self._stream.flush()

    def receive(self) -> Any:
        """The next message. Raises EOFError if the other end is gone, OSError if time is up."""
        places = pickle.loads(self._block())
        words = self._block()
        return pickle.loads(words, buffers=self._memory.get(places))

    def limit(self, seconds: float | None) -> None:
        """How long ``receive`` may wait; a connection whose time was once up is of no more use."""
        self._socket.settimeout(seconds)

    def hang_up(self) -> None:
        """End the conversation; a ``receive`` in another thread returns at once."""
        with suppress(OSError):  # the other end was faster
            self._socket.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Give back what it holds."""
        with suppress(OSError):  # what was never sent
            self._stream.close()
        self._socket.close()
        self._memory.close()

    def _block(self) -> bytes:
        (length,) = _LENGTH.unpack(self._exactly(_LENGTH.size))
        return self._exactly(length)

    def _exactly(self, length: int) -> bytes:
        found = self._stream.read(length)
        if found is None or len(found) < length:
            raise EOFError
        return found


class _Pickler(pickle.Pickler):
    def reducer_override(self, thing: Any) -> Any:
        """Arrays go beside the words, and without numpy's own names, which differ by version."""
        if type(thing) is np.ndarray and not thing.dtype.hasobject:
            whole = np.ascontiguousarray(thing)
            plain: Any = whole.reshape(-1).view(np.uint8) if whole.size else np.empty(0, np.uint8)
            return _array, (pickle.PickleBuffer(plain), thing.dtype, thing.shape)
        return NotImplemented


def _array(content: Bytes, dtype: np.dtype[Any], shape: tuple[int, ...]) -> npt.NDArray[Any]:
    return np.ndarray(shape, dtype, content)

"""Memory for pictures, used again once nobody looks at them any more.

A picture of 720p is 2.7 MB. Taken from the system and given back for every frame, a page at a time,
that costs more than a small model does: a tenth of all the processor's time in a pipeline.
"""

from __future__ import annotations

import sys
import threading
from typing import Any

import numpy as np

from edge_sdk.processing.picture import Picture


class PicturePool:
    """Hands out pictures' memory; whoever has it keeps it for as long as they like.

    Nothing is given back: a buffer is free when nothing refers to it but the pool, neither an array
    nor a part of one. So it is safe with any stage, and no frame is ever painted over.

    Args:
        most: so many buffers are kept; what is needed beyond is memory like any other.
    """

    def __init__(self, most: int = 8) -> None:
        self._most = most
        self._buffers: list[Picture] = []
        self._read: tuple[int, ...] | None = None
        self._lock = threading.Lock()

    def empty(self, shape: tuple[int, ...]) -> Picture:
        """A picture of this shape, with whatever was in it."""
        with self._lock:
            if self._buffers and self._buffers[0].shape != shape:
                self._buffers.clear()
            for at in range(len(self._buffers)):
                if _references(self._buffers, at) == _ALONE:
                    return self._buffers[at]
            fresh = np.empty(shape, np.uint8)
            if len(self._buffers) < self._most:
                self._buffers.append(fresh)
            return fresh

    def read(self, capture: Any) -> tuple[bool, Picture]:
        """What ``cv2.VideoCapture.read`` answers, the picture in memory of the pool."""
        shape = self._read
        there, picture = capture.read() if shape is None else capture.read(self.empty(shape))
        if there:
            self._read = picture.shape
        return there, picture

    def copy(self, picture: Picture) -> Picture:
        """A copy of a picture."""
        copied = self.empty(picture.shape)
        np.copyto(copied, picture)
        return copied


def _references(buffers: list[Picture], at: int) -> int:
    return sys.getrefcount(buffers[at])


_ALONE = _references([np.empty(0, np.uint8)], 0)
"""What Python counts for a buffer that only a list refers to; versions of Python differ."""

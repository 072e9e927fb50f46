"""The last seconds of a sound that does not end, in memory that does not grow."""

from __future__ import annotations

import numpy as np

from edge_sdk.voice.audio import Samples


class Ring:
    """Holds the newest samples; what no longer fits is forgotten, oldest first.

    Attributes:
        heard: samples put in since the beginning. Positions in the sound are counted so.
    """

    def __init__(self, capacity: int) -> None:
        self._kept = np.zeros(capacity, np.int16)
        self.heard = 0

    def put(self, block: Samples) -> None:
        """Take the next samples."""
        size = len(self._kept)
        newest = block[-size:]
        start = (self.heard + len(block) - len(newest)) % size
        before_the_end = min(len(newest), size - start)
        self._kept[start : start + before_the_end] = newest[:before_the_end]
        self._kept[: len(newest) - before_the_end] = newest[before_the_end:]
        self.heard += len(block)

    def since(self, position: int) -> Samples:
        """A copy of what was heard from a position on, as far as it is still there."""
        size = len(self._kept)
        first = max(position, self.heard - size, 0)
        if first >= self.heard:
            return np.zeros(0, np.int16)
        at = np.arange(first, self.heard) % size
        return self._kept[at]

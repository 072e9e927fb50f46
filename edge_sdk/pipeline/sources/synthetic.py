"""A test card that moves: for trying a pipeline without a camera, and for measuring one."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from edge_sdk.errors import UsageError
from edge_sdk.pipeline.frames import Frame
from edge_sdk.pipeline.parts import Running
from edge_sdk.processing.picture import Picture

_SIDES = 8, 16_384
"""Pixels that a side may have."""

_BARS = ((192, 192, 192), (0, 192, 192), (192, 192, 0), (0, 192, 0), (192, 0, 192), (0, 0, 192))
"""Colour bars, BGR."""


class Synthetic:
    """Colour bars with a white square that goes round once in a hundred frames.

    Args:
        width, height: pixels.
        fps: frames a second by which they are stamped.
        frames: how many; None without end.
        live: given at that pace, and dropped by who is too slow; else as fast as they are taken.
    """

    def __init__(
        self,
        width: int = 640,
        height: int = 480,
        *,
        fps: float = 30.0,
        frames: int | None = None,
        live: bool = True,
        name: str = "synthetic",
    ) -> None:
        sides = _SIDES[0] <= min(width, height) and max(width, height) <= _SIDES[1]
        if not sides or not fps > 0 or (frames is not None and frames < 1):
            count = "" if frames is None else f", {frames} frames"
            raise UsageError(
                f"There is no test card of {width} x {height}, {fps:g} frames a second{count}.",
                "synthetic:640x480@30x300",
            )
        self.name, self.live, self.fps = name, live, fps
        self._frames = frames
        columns = np.arange(width) * len(_BARS) // width
        row = np.array(_BARS, np.uint8)[columns]
        self._card: Picture = np.broadcast_to(row, (height, width, 3)).copy()

    def stream(self, running: Running) -> Iterator[Frame]:
        """Its frames."""
        began, index, name = running.clock.now(), 0, self.name
        while (self._frames is None or index < self._frames) and not running.stopping:
            if self.live:
                running.pause(began + index / self.fps - running.clock.now())
            taken = running.clock.now()
            yield Frame(self.picture(index), name, index, index / self.fps, "bgr", name, taken)
            index += 1

    def picture(self, index: int) -> Picture:
        """The picture of that number, BGR."""
        picture = self._card.copy()
        height, width = picture.shape[:2]
        side = max(4, min(height, width) // 6)
        turn = 2 * np.pi * index / 100
        left = round((width - side) / 2 * (1 + np.cos(turn)))
        top = round((height - side) / 2 * (1 + np.sin(turn)))
        picture[top : top + side, left : left + side] = 255
        return picture

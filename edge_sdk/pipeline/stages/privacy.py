"""Faces that nobody can recognise.

What is under a face is thrown away, not only smeared: the region is reduced to ``_CELLS`` by
``_CELLS`` averages, which no sharpening brings back, and those are enlarged softly. A little more
than the detector's box is covered (it ends at the brows and the chin), in an ellipse with a soft
edge, so that the rest of the picture is not disturbed.

A face that the detector misses for a moment must not flash up: feed it with a ``Tracker``, which
goes on telling where a face should be, and each box grows while it is unseen.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from edge_sdk.errors import UsageError
from edge_sdk.pipeline.frames import Frame
from edge_sdk.pipeline.pool import PicturePool
from edge_sdk.pipeline.stages.model import boxes_of
from edge_sdk.pipeline.stages.tracker import Tracks
from edge_sdk.processing.opencv import import_cv2
from edge_sdk.processing.picture import Picture
from edge_sdk.spec import Box

_CELLS = 6
_SIDES, _ABOVE, _BELOW = 0.22, 0.55, 0.22
"""How much further than the box it reaches, in parts of the box's sides."""
_GROWS = 0.03
"""More of that for every frame that the face is not seen."""
_SHAPE = 64


class BlurFaces:
    """Covers what an earlier stage has found.

    Args:
        of: the stage with the ``Boxes`` or ``Tracks``.
        name: of this stage.
        margin: a factor on how far around the box is covered.

    Raises:
        UsageError: less than the box would be covered.
    """

    def __init__(self, of: str = "faces", name: str = "blur faces", *, margin: float = 1.0) -> None:
        if not 0 <= margin < math.inf:
            raise UsageError(
                f"With a margin of {margin:g} faces would show.", "margin=1.0, or more"
            )
        self.name = name
        self._of, self._margin = of, margin
        self._cv2 = import_cv2("Blurring faces")
        self._ellipse = _soft_ellipse()
        self._pool = PicturePool()

    def process(self, frame: Frame) -> Frame:
        """The frame with its faces covered, on a picture of its own if there are any."""
        boxes = boxes_of(frame, self._of).found
        if not boxes:
            return frame
        found = frame.answers[self._of]
        unseen = [each.unseen for each in found.tracks] if isinstance(found, Tracks) else None
        picture = self._pool.copy(frame.picture)
        for at, box in enumerate(boxes):
            self._cover(picture, box, unseen[at] if unseen else 0)
        return frame.shows(picture)

    def _cover(self, picture: Picture, box: Box, unseen: int) -> None:
        cv2 = self._cv2
        height, width = picture.shape[:2]
        more = self._margin + _GROWS * unseen / _SIDES
        wide, high = box.right - box.left, box.bottom - box.top
        left = round((box.left - _SIDES * more * wide) * width)
        right = round((box.right + _SIDES * more * wide) * width)
        top = round((box.top - _ABOVE * more * high) * height)
        bottom = round((box.bottom + _BELOW * more * high) * height)
        rows = slice(max(0, top), min(height, bottom))
        columns = slice(max(0, left), min(width, right))
        part = picture[rows, columns]
        if part.size == 0:
            return
        size = part.shape[1], part.shape[0]
        few = cv2.resize(part, (_CELLS, _CELLS), interpolation=cv2.INTER_AREA)
        covered = cv2.resize(few, size, interpolation=cv2.INTER_CUBIC)
        whole = cv2.resize(self._ellipse, (right - left, bottom - top))
        weight = np.ascontiguousarray(
            whole[rows.start - top : rows.stop - top, columns.start - left : columns.stop - left]
        )
        picture[rows, columns] = cv2.blendLinear(
            np.ascontiguousarray(covered), np.ascontiguousarray(part), weight, 1 - weight
        )


def _soft_ellipse() -> Any:
    """1 inside, 0 in the corners, and a slope of a tenth between."""
    across = (np.arange(_SHAPE, dtype=np.float32) + 0.5) / _SHAPE * 2 - 1
    distance = np.sqrt(across[:, None] ** 2 + across[None, :] ** 2)
    return np.clip((1.0 - distance) / 0.12, 0, 1).astype(np.float32)

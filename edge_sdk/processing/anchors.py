"""Anchors: the places that a single-shot detector looks at, one row of its outputs each.

MediaPipe's face and hand detectors use the simplest kind. Every layer of the network sees the input
at some stride and puts ``per_cell`` anchors in the middle of each cell of that grid; with
``fixed_anchor_size`` an anchor has no size of its own (it is 1 x 1 input), so only its centre
counts. Neighbouring layers of equal stride share one grid, and their anchors lie side by side on
each cell. The order is: layers, then rows from the top, then columns from the left, then the cell's
anchors. After ``mediapipe/calculators/tflite/ssd_anchors_calculator.cc`` with
``anchor_offset_x = anchor_offset_y = 0.5``.
"""

from __future__ import annotations

from itertools import groupby

import numpy as np
import numpy.typing as npt

from edge_sdk.errors import UsageError
from edge_sdk.spec import SsdAnchors


def anchor_centres(anchors: SsdAnchors, size: tuple[int, int]) -> npt.NDArray[np.float32]:
    """Centres (x, y) of all anchors in fractions of the input, anchors x 2, in the model's order.

    Args:
        anchors: the grid.
        size: (height, width) of the model's input in pixels.

    Raises:
        UsageError: there is no stride, or one of the numbers is not positive.
    """
    if not anchors.strides or min(*anchors.strides, anchors.per_cell) < 1:
        raise UsageError(
            f"The anchors have strides {list(anchors.strides)} and {anchors.per_cell} per cell.",
            "Both come from the detector's own description; for MediaPipe's short-range face "
            "detection: anchors = { strides = [8, 16, 16, 16], per_cell = 2 }",
        )
    grids = []
    for stride, layers in groupby(anchors.strides):
        rows, columns = (-(-length // stride) for length in size)
        y, x = np.mgrid[:rows, :columns]
        centres = np.stack([(x + 0.5) / columns, (y + 0.5) / rows], axis=-1).reshape(-1, 2)
        grids.append(np.repeat(centres, anchors.per_cell * len(list(layers)), axis=0))
    return np.concatenate(grids).astype(np.float32)

"""How a picture is fitted into a model's input, and how to get back.

Three ways (``ImageInput.resize``), for a picture of 4 x 3 and a square model:

``stretch``    the whole picture fills the whole input; shapes are distorted
``letterbox``  the whole picture, undistorted, on a canvas of zero bytes: bars above and below
``crop``       the input is filled, undistorted, from the middle: left and right are cut away

Everything here is in whole pixels, as the resampling will do it, so that the way back is exact.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from edge_sdk.processing.opencv import import_cv2

Floats = npt.NDArray[np.float32]
Resize = Literal["stretch", "letterbox", "crop"]


@dataclass(frozen=True, slots=True)
class Geometry:
    """The way from fractions of the model's input to fractions of the original picture.

    ``picture = model * scale + shift``, per axis; fractions grow to the right and down.
    """

    scale_x: float = 1.0
    scale_y: float = 1.0
    shift_x: float = 0.0
    shift_y: float = 0.0


@dataclass(frozen=True, slots=True)
class Rectangle:
    """A part of a picture, in whole pixels."""

    left: int
    top: int
    width: int
    height: int

    @property
    def shape(self) -> tuple[int, int]:
        """(height, width)."""
        return self.height, self.width

    @property
    def rows(self) -> slice:
        """Its rows in the picture's array."""
        return slice(self.top, self.top + self.height)

    @property
    def columns(self) -> slice:
        """Its columns in the picture's array."""
        return slice(self.left, self.left + self.width)


@dataclass(frozen=True, slots=True)
class Fit:
    """Which part of the picture goes to which part of the model's input."""

    taken: Rectangle
    placed: Rectangle
    geometry: Geometry


def fit(picture: tuple[int, int], model: tuple[int, int], resize: Resize) -> Fit:
    """Plan the fitting of a picture of (height, width) pixels into a model's (height, width)."""
    height, width = picture
    model_height, model_width = model
    taken = Rectangle(0, 0, width, height)
    placed = Rectangle(0, 0, model_width, model_height)
    if resize == "letterbox":
        # The longer side fills the input exactly; the other keeps at least one pixel.
        shrink = min(model_width / width, model_height / height)
        placed = _centred(
            max(1, round(width * shrink)), max(1, round(height * shrink)), model_width, model_height
        )
    elif resize == "crop":
        grow = max(model_width / width, model_height / height)
        taken = _centred(
            max(1, round(model_width / grow)), max(1, round(model_height / grow)), width, height
        )
    scale_x = model_width / placed.width * taken.width / width
    scale_y = model_height / placed.height * taken.height / height
    geometry = Geometry(
        scale_x,
        scale_y,
        taken.left / width - placed.left / model_width * scale_x,
        taken.top / height - placed.top / model_height * scale_y,
    )
    return Fit(taken, placed, geometry)


def _centred(width: int, height: int, outer_width: int, outer_height: int) -> Rectangle:
    """A rectangle in the middle of a larger one; an odd pixel goes to the right and bottom."""
    return Rectangle((outer_width - width) // 2, (outer_height - height) // 2, width, height)


def spread_over(numbers: Floats, way: Geometry, height: int, width: int) -> Floats:
    """A map in the model's pixels, over a picture of that size; 0 where the model did not look.

    Args:
        numbers: height x width of the model.
        way: from the model's picture to the original one.

    Raises:
        UnavailableError: OpenCV is not installed.
    """
    cv2 = import_cv2("Enlarging a map")
    rows, columns = numbers.shape
    if way == Geometry():
        grown: Floats = cv2.resize(numbers, (width, height))
        return grown
    # Pixel centres: picture fraction p is model fraction (p - shift) / scale.
    grow_x = columns / (width * way.scale_x)
    grow_y = rows / (height * way.scale_y)
    from_x = (0.5 / width - way.shift_x) / way.scale_x * columns - 0.5
    from_y = (0.5 / height - way.shift_y) / way.scale_y * rows - 0.5
    matrix = np.array([[grow_x, 0, from_x], [0, grow_y, from_y]], np.float64)
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    # Where the model saw all of the picture, its outermost pixels reach to the picture's edge.
    whole = way.scale_x >= 1 and way.scale_y >= 1
    border = cv2.BORDER_REPLICATE if whole else cv2.BORDER_CONSTANT
    warped: Floats = cv2.warpAffine(
        numbers, matrix, (width, height), flags=flags, borderMode=border
    )
    return warped

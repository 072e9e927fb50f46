"""A map of scores becomes a mask over the picture: which pixels belong to what is looked for.

The scores stay at the model's size, soft and in float32, until a picture of some size asks for them
(``Mask.over``): whoever only counts pixels never pays for enlarging them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from edge_sdk.errors import UsageError
from edge_sdk.processing.activation import activate
from edge_sdk.processing.classification import not_a_number
from edge_sdk.processing.geometry import Geometry, spread_over
from edge_sdk.spec import Area, Segmentation, TensorSpec

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class Mask:
    """How sure the model is of every pixel.

    Attributes:
        scores: height x width of the model, 0..1, float32.
        geometry: the way from the model's picture to the original one.
        min_score: from which on a pixel belongs.
    """

    scores: Floats
    geometry: Geometry
    min_score: float

    def over(self, height: int, width: int) -> Floats:
        """The scores of a picture's pixels; 0 where the model did not look.

        Raises:
            UnavailableError: OpenCV is not installed.
        """
        return spread_over(self.scores, self.geometry, height, width)

    def area(self) -> Area:
        """What it covers, as a plain word."""
        rows, columns = self.scores.shape
        way = self.geometry
        inside = self.scores >= self.min_score
        # Bars of a letterbox are no part of the picture.
        xs = (np.arange(columns) + 0.5) / columns * way.scale_x + way.shift_x
        ys = (np.arange(rows) + 0.5) / rows * way.scale_y + way.shift_y
        inside &= ((ys > 0) & (ys < 1))[:, None] & ((xs > 0) & (xs < 1))[None, :]
        if not inside.any():
            return Area(share=0.0)
        share = inside.sum() / inside.size * way.scale_x * way.scale_y
        (down,), (across,) = np.nonzero(inside.any(axis=1)), np.nonzero(inside.any(axis=0))
        half_x, half_y = way.scale_x / columns / 2, way.scale_y / rows / 2
        return Area(
            share=float(min(1.0, share)),
            left=float(max(0.0, xs[across[0]] - half_x)),
            top=float(max(0.0, ys[down[0]] - half_y)),
            right=float(min(1.0, xs[across[-1]] + half_x)),
            bottom=float(min(1.0, ys[down[-1]] + half_y)),
        )


def segment(output: npt.NDArray[Any], spec: Segmentation, geometry: Geometry) -> Mask:
    """The mask of one picture.

    Args:
        output: real scores, 1 x height x width, with the classes behind or before if there are any.
        spec: what they are.
        geometry: the way back to the original picture.

    Raises:
        UsageError: the output is no such map.
        UnavailableError: the model answered something that is not a number.
    """
    if output.ndim not in (3, 4) or len(output) != 1:
        raise _no_map(spec, output.shape)
    maps = output[0]
    if maps.ndim == 2:
        maps = maps[..., None]
    elif maps.ndim == 3 and spec.layout == "chw":
        maps = np.moveaxis(maps, 0, 2)
    if spec.channel >= maps.shape[2]:
        raise _no_map(spec, output.shape)
    if spec.activation == "softmax":
        scores = activate(np.ascontiguousarray(maps), "softmax")[..., spec.channel]
    else:
        scores = activate(maps[..., spec.channel], spec.activation)
    scores = np.ascontiguousarray(scores)
    if np.isnan(scores.sum()):
        raise not_a_number(spec.output)
    return Mask(scores, geometry, spec.min_score)


def check_segmentation(spec: Segmentation, tensor: TensorSpec) -> None:
    """Whether an output of that shape can be what is declared. Raises UsageError if not."""
    if not 0 <= spec.min_score <= 1 or spec.channel < 0:
        raise UsageError(
            f"postprocess.min_score is {spec.min_score} and channel {spec.channel}.",
            "The score is between 0 and 1, and channels count from 0.",
        )
    lengths = tensor.shape
    classes: int | str = 1
    if len(lengths) == 4:
        classes = lengths[3 if spec.layout == "hwc" else 1]
    if len(lengths) not in (3, 4) or (isinstance(classes, int) and spec.channel >= classes):
        raise _no_map(spec, lengths)


def _no_map(spec: Segmentation, shape: tuple[int | str, ...]) -> UsageError:
    return UsageError(
        f"Output {spec.output!r} is {'x'.join(map(str, shape)) or 'a single number'}, no map of "
        f"scores with a class {spec.channel} ({spec.layout}).",
        "Correct output, layout or channel under [postprocess].",
    )

"""Changing the size of images: the last two axes.

Semantics: coremltools' ``iOS15.image_resizing``, ``iOS16.upsample_bilinear`` and ``iOS17.resize``.
MIL gives the grid of every bilinear mode as a formula. It gives none for *nearest neighbour*, whose
rounding matters unless the size grows by a whole factor, so only whole factors are evaluated.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from converters.mil import batch
from converters.mil.evaluator import Evaluator, Site, ints
from edge_sdk.backends.base import Array


def upsample_nearest_neighbor(
    x: Array, scale_factor_height: float = 1, scale_factor_width: float = 1
) -> Array:
    """Each pixel becomes a block of equal pixels."""
    return _repeated(x, int(scale_factor_height), int(scale_factor_width))


def resize_nearest_neighbor(x: Array, target_size_height: int, target_size_width: int) -> Array:
    """The same, by the size that is wanted."""
    height, width = x.shape[-2:]
    return _repeated(x, int(target_size_height) // height, int(target_size_width) // width)


def upsample_bilinear(
    x: Array,
    scale_factor_height: float = 1,
    scale_factor_width: float = 1,
    align_corners: bool = True,
) -> Array:
    """To ``floor(size * factor)``: corners on corners, or else edges on edges."""
    mode = "STRICT_ALIGN_CORNERS" if align_corners else "UNALIGN_CORNERS"
    factors = (scale_factor_height, scale_factor_width)
    sizes = [math.floor(n * float(f)) for n, f in zip(x.shape[-2:], factors, strict=True)]
    return _interpolated(x, sizes, mode)


def resize_bilinear(
    x: Array,
    target_size_height: int = 1,
    target_size_width: int = 1,
    sampling_mode: str = "DEFAULT",
) -> Array:
    """To the size that is wanted."""
    return _interpolated(x, [int(target_size_height), int(target_size_width)], sampling_mode)


def resize(
    x: Array,
    shape: Array,
    resized_dims: int,
    sampling_mode: str = "DEFAULT",
) -> Array:
    """The last ``resized_dims`` axes to the last lengths of ``shape``; 0 keeps a length."""
    count = int(resized_dims)
    wanted = ints(shape)[len(shape) - count :]
    current = x.shape[x.ndim - count :]
    sizes = [new or old for new, old in zip(wanted, current, strict=True)]
    return _interpolated(x, sizes, sampling_mode)


def _aligned(place: Array, before: int, after: int) -> Array:
    return place * ((before - 1) / max(after - 1, 1))


_GRIDS: dict[str, Callable[[Array, int, int], Array]] = {
    "DEFAULT": lambda place, before, after: place * (before / after),
    "STRICT_ALIGN_CORNERS": _aligned,
    "ALIGN_CORNERS": lambda place, before, after: (
        _aligned(place, before, after) if after > 1 else place + (before - 1) / 2
    ),
    "OFFSET_CORNERS": lambda place, before, after: (place + 0.5) * (max(1, before - 1) / after),
    "UNALIGN_CORNERS": lambda place, before, after: (place + 0.5) * (before / after) - 0.5,
}
"""Where sample ``place`` of ``after`` lies among ``before`` pixels, in pixels from the first.

The formulas of ``resize_bilinear``'s documentation, which then clips them to the image.
"""


def _interpolated(x: Array, sizes: list[int], mode: str) -> Array:
    """Linear interpolation along each of the last axes in turn."""
    for axis, size in enumerate(sizes, start=x.ndim - len(sizes)):
        points = _GRIDS[mode](np.arange(size, dtype=np.float64), x.shape[axis], size)
        points = np.clip(points, 0, x.shape[axis] - 1)
        low = np.floor(points).astype(np.int64)
        high = np.minimum(low + 1, x.shape[axis] - 1)
        part = (points - low).astype(np.float32).reshape(-1, *[1] * (x.ndim - axis - 1))
        near = np.take(x, low, axis)
        x = near + (np.take(x, high, axis) - near) * part
    return x


def _repeated(x: Array, rows: int, columns: int) -> Array:
    return x.repeat(rows, axis=-2).repeat(columns, axis=-1)


def _whole_factors(site: Site) -> bool:
    factors = (site.constants.get(f"scale_factor_{side}", 1) for side in ("height", "width"))
    return all(float(factor).is_integer() for factor in factors)


def _whole_growth(site: Site) -> bool:
    wanted = (site.constants[f"target_size_{side}"] for side in ("height", "width"))
    return all(
        isinstance(old, int) and int(new) % old == 0
        for new, old in zip(wanted, site.shapes["x"][-2:], strict=True)
    )


def _one_convention(site: Site) -> bool:
    aligned = bool(site.constants.get("align_corners", True))
    half: Any = site.constants.get("half_pixel_centers")
    return half is None or bool(half) != aligned


def _known_grid(site: Site) -> bool:
    return str(site.constants.get("sampling_mode", "DEFAULT")) in _GRIDS


def _linear(site: Site) -> bool:
    linear = str(site.constants.get("interpolation_mode", "LINEAR")) == "LINEAR"
    return linear and _known_grid(site)


_last_two = batch.before_last(2)

EVALUATORS: dict[str, Evaluator] = {
    "upsample_nearest_neighbor": Evaluator(
        upsample_nearest_neighbor, _last_two, covers=_whole_factors
    ),
    "resize_nearest_neighbor": Evaluator(resize_nearest_neighbor, _last_two, covers=_whole_growth),
    "upsample_bilinear": Evaluator(
        upsample_bilinear,
        _last_two,
        covers=_one_convention,
        ignored=frozenset({"half_pixel_centers"}),
    ),
    "resize_bilinear": Evaluator(resize_bilinear, _last_two, covers=_known_grid),
    "resize": Evaluator(resize, covers=_linear, ignored=frozenset({"interpolation_mode"})),
}

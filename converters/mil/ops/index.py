"""Operations that pick elements, surround them, or make tensors from shapes.

Semantics: coremltools' ``iOS15.tensor_transformation``, ``iOS15.tensor_operation`` and
``iOS17.scatter_gather``.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from converters.mil import batch
from converters.mil.evaluator import Evaluator, Site, ints, positive
from edge_sdk.backends.base import Array

_ZERO = np.float32(0)
_PAD_MODES = {"constant": "constant", "reflect": "reflect", "replicate": "edge"}


def slice_by_index(
    x: Array,
    begin: Array,
    end: Array,
    *,
    stride: Array | None = None,
    begin_mask: Array | None = None,
    end_mask: Array | None = None,
    squeeze_mask: Array | None = None,
) -> Array:
    """Numpy's slicing; masks leave an end open, or take one element and drop its axis."""
    index: list[int | slice] = []
    for axis in range(x.ndim):
        if squeeze_mask is not None and squeeze_mask[axis]:
            index.append(int(begin[axis]))
            continue
        open_begin = begin_mask is not None and begin_mask[axis]
        open_end = end_mask is not None and end_mask[axis]
        index.append(
            slice(
                None if open_begin else int(begin[axis]),
                None if open_end else int(end[axis]),
                None if stride is None else int(stride[axis]),
            )
        )
    return x[tuple(index)]


def slice_by_size(x: Array, begin: Array, size: Array) -> Array:
    """``size[i]`` elements of axis ``i`` from ``begin[i]`` on; -1 is all that remain."""
    starts = [b + n if b < 0 else b for b, n in zip(ints(begin), x.shape, strict=True)]
    ends = [None if s == -1 else b + s for b, s in zip(starts, ints(size), strict=True)]
    return x[tuple(slice(b, e) for b, e in zip(starts, ends, strict=True))]


def crop(x: Array, crop_height: Array, crop_width: Array) -> Array:
    """Without so many rows at top and bottom, columns at left and right (the last two axes)."""
    (top, bottom), (left, right) = ints(crop_height), ints(crop_width)
    return x[..., top : x.shape[-2] - bottom, left : x.shape[-1] - right]


def pad(x: Array, pad: Array, mode: str = "constant", constant_val: float = 0.0) -> Array:
    """Elements before and after each of the last axes: a constant, a mirror image or the edge."""
    amounts = ints(pad)
    pairs = list(zip(amounts[::2], amounts[1::2], strict=True))
    widths = [(0, 0)] * (x.ndim - len(pairs)) + pairs
    if mode == "constant":
        return np.pad(x, widths, constant_values=np.asarray(constant_val, x.dtype))
    return np.pad(x, widths, mode=_PAD_MODES[mode])  # type: ignore[call-overload, no-any-return]


def gather(x: Array, indices: Array, axis: int = 0, batch_dims: int = 0) -> Array:
    """The slices of ``x`` along ``axis`` at ``indices``, as ``tf.gather``; -1 is the last."""
    along, shared = positive(axis, x.ndim), int(batch_dims)
    where = np.asarray(indices).astype(np.int64)
    if shared == 0:
        return np.take(x, where, along)
    leading = x.shape[:shared]
    tables = x.reshape(-1, *x.shape[shared:])
    places = where.reshape(-1, *where.shape[shared:])
    rows = [np.take(t, p, along - shared) for t, p in zip(tables, places, strict=True)]
    return np.stack(rows).reshape(*leading, *rows[0].shape)


def gather_along_axis(x: Array, indices: Array, axis: int = 0) -> Array:
    """At each place of ``indices``, the element of ``x`` at that position along ``axis``."""
    return np.take_along_axis(x, indices.astype(np.int64), int(axis))


def one_hot(
    indices: Array,
    one_hot_vector_size: int,
    axis: int = -1,
    on_value: Any = 1,
    off_value: Any = 0,
) -> Array:
    """A new axis with ``on_value`` where its position is the index, ``off_value`` elsewhere."""
    at = positive(axis, indices.ndim + 1)
    places = np.arange(int(one_hot_vector_size)).reshape(-1, *[1] * (indices.ndim - at))
    hits: Array = np.expand_dims(indices, at) == places
    chosen: Array = np.where(hits, on_value, off_value)
    return chosen


def band_part(x: Array, lower: int = -1, upper: int = -1) -> Array:
    """The diagonals from ``lower`` below to ``upper`` above; a negative keeps all on that side."""
    row, column = np.ogrid[: x.shape[-2], : x.shape[-1]]
    kept = ((lower < 0) | (row - column <= lower)) & ((upper < 0) | (column - row <= upper))
    return np.where(kept, x, np.zeros((), x.dtype))


def shape(x: Array) -> Array:
    """The lengths of the axes."""
    return np.array(x.shape, np.int32)


def fill(shape: Array, value: Any = _ZERO) -> Array:
    """One value everywhere."""
    return np.full(ints(shape), value)


def fill_like(ref_tensor: Array, value: Any = _ZERO) -> Array:
    """One value everywhere, in another tensor's shape."""
    return np.full(ref_tensor.shape, value)


def range_1d(start: Array, end: Array, step: Array) -> Array:
    """From ``start`` on by ``step``, ``end`` excluded."""
    return np.arange(start.item(), end.item(), step.item()).astype(start.dtype)


def _known_mode(site: Site) -> bool:
    return str(site.constants.get("mode", "constant")) in _PAD_MODES


_CHECKED = frozenset({"validate_indices"})

EVALUATORS: dict[str, Evaluator] = {
    "slice_by_index": Evaluator(slice_by_index, batch.slice_by_index),
    "slice_by_size": Evaluator(slice_by_size, batch.slice_by_size),
    "crop": Evaluator(crop, batch.before_last(2)),
    "pad": Evaluator(pad, batch.pad, covers=_known_mode),
    "gather": Evaluator(gather, batch.gather, ignored=_CHECKED),
    "gather_along_axis": Evaluator(gather_along_axis, ignored=_CHECKED),
    "one_hot": Evaluator(one_hot),
    "band_part": Evaluator(band_part, batch.before_last(2)),
    "shape": Evaluator(shape),
    "fill": Evaluator(fill),
    "fill_like": Evaluator(fill_like),
    "range_1d": Evaluator(range_1d),
}

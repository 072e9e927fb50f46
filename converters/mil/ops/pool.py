"""Pooling: the greatest or the mean element of each window.

Semantics: coremltools' ``iOS15.pool``. ``x`` is batch x channels x one to three spatial axes.
"""

from __future__ import annotations

from functools import reduce

import numpy as np

from converters.mil import batch
from converters.mil.evaluator import Evaluator
from converters.mil.ops.window import Window
from edge_sdk.backends.base import Array


def max_pool(
    x: Array,
    kernel_sizes: Array,
    pad_type: str,
    *,
    strides: Array | None = None,
    pad: Array | None = None,
    ceil_mode: bool = False,
) -> Array:
    """The greatest element; padding never is."""
    window = Window(
        x.shape[2:],
        tuple(kernel_sizes),
        strides=strides,
        pad_type=pad_type,
        pad=pad,
        ceil_mode=bool(ceil_mode),
    )
    views = window.views(window.padded(x, -np.inf))
    out = next(views).copy()
    for view in views:
        np.maximum(out, view, out=out)
    return out


def avg_pool(
    x: Array,
    kernel_sizes: Array,
    pad_type: str,
    *,
    strides: Array | None = None,
    pad: Array | None = None,
    exclude_padding_from_average: bool = False,
    ceil_mode: bool = False,
) -> Array:
    """The mean of the window's elements, padding counted as zeros unless excluded.

    What a window overhangs in ``ceil_mode`` is never counted, as in PyTorch, whose mode it is.
    """
    window = Window(
        x.shape[2:],
        tuple(kernel_sizes),
        strides=strides,
        pad_type=pad_type,
        pad=pad,
        ceil_mode=bool(ceil_mode),
    )
    views = window.views(window.padded(x, 0))
    out = next(views).copy()
    for view in views:
        out += view
    out /= _counts(window, x.shape[2:], excluding=bool(exclude_padding_from_average))
    return out


def _counts(window: Window, sizes: tuple[int, ...], *, excluding: bool) -> Array:
    """How many elements each window's mean is over, as an array of the windows' spatial shape."""
    along = []
    for size, kernel, stride, count, (before, after) in zip(
        sizes, window.kernel, window.strides, window.out, window.pads, strict=True
    ):
        start = np.arange(count) * stride - before
        low, high = (0, size) if excluding else (-before, size + after)
        along.append(np.minimum(start + kernel, high) - np.maximum(start, low))
    return reduce(np.multiply.outer, along).astype(np.float32)


EVALUATORS: dict[str, Evaluator] = {
    "max_pool": Evaluator(max_pool, batch.leading),
    "avg_pool": Evaluator(avg_pool, batch.leading),
}

"""Windows that slide over images: padding, sizes, and the view that each kernel element has.

Layout is Core ML's: batch, channels, then one to three spatial axes. Padding and output sizes
follow the arithmetic by which coremltools infers shapes (``ops.defs._utils.aggregated_pad`` and
``spatial_dimensions_out_shape``), which for ``same`` is TensorFlow's: as much as
``ceil(size / stride)`` windows need, the odd element after (``same``) or before (``same_lower``).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import product
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from converters.mil.evaluator import ints
from edge_sdk.backends.base import Array

Pads = tuple[tuple[int, int], ...]
"""Elements before and after, for each spatial axis."""


class Window:
    """A kernel's way over an input of given spatial sizes.

    Attributes:
        kernel, strides, dilations: one number a spatial axis.
        extents: elements from a kernel's first to its last, dilation included.
        pads: padding, with what ``ceil_mode`` overhangs in none of it.
        overhang: elements beyond the padded input that the last window of each axis reaches.
        out: windows along each axis.
    """

    def __init__(
        self,
        sizes: Sequence[int],
        kernel: Sequence[int],
        *,
        strides: Array | None,
        pad_type: str,
        pad: Array | None,
        dilations: Array | None = None,
        ceil_mode: bool = False,
    ) -> None:
        ones = (1,) * len(sizes)
        self.kernel = tuple(kernel)
        self.strides = ones if strides is None else ints(strides)
        self.dilations = ones if dilations is None else ints(dilations)
        self.extents = tuple(
            (k - 1) * d + 1 for k, d in zip(self.kernel, self.dilations, strict=True)
        )
        self.pads = _pads(pad_type, pad, sizes, self.extents, self.strides)
        out, overhang = [], []
        for size, extent, stride, (before, after) in zip(
            sizes, self.extents, self.strides, self.pads, strict=True
        ):
            room = size + before + after - extent
            count = room // stride + 1
            if ceil_mode:
                count = -(-room // stride) + 1
                # A window that would start beyond the input and its first padding is left out.
                count -= bool((before or after) and (count - 1) * stride >= size + before)
            out.append(count)
            overhang.append(max((count - 1) * stride + extent - (size + before + after), 0))
        self.out = tuple(out)
        self.overhang = tuple(overhang)

    def padded(self, x: Array, fill: float) -> Array:
        """``x`` with its padding and overhang, all ``fill``; ``x`` itself if there is none."""
        after = [a + o for (_, a), o in zip(self.pads, self.overhang, strict=True)]
        return pad_spatial(x, tuple(zip([b for b, _ in self.pads], after, strict=True)), fill)

    def views(self, padded: Array) -> Iterator[Array]:
        """For each kernel element, what it sees: batch x channels x out."""
        for index in product(*(range(k) for k in self.kernel)):
            starts = [i * d for i, d in zip(index, self.dilations, strict=True)]
            places = [
                slice(start, start + (count - 1) * stride + 1, stride)
                for start, count, stride in zip(starts, self.out, self.strides, strict=True)
            ]
            yield padded[spatial(places)]

    def columns(self, padded: Array) -> Array:
        """All windows' elements (*im2col*), as a view: channels x kernel x batch x out."""
        rank = len(self.kernel)
        axes = tuple(range(2, 2 + rank))
        windows = sliding_window_view(padded, self.extents, axis=axes)
        taken = [slice(None, None, step) for step in self.strides + self.dilations]
        kernel = range(2 + rank, 2 + 2 * rank)
        seen: Array = windows[spatial(taken)].transpose(1, *kernel, 0, *axes)
        return seen


def spatial(index: Iterable[int | slice]) -> tuple[Any, ...]:
    """``index`` for the axes behind batch and channels."""
    return (slice(None), slice(None), *index)


def pad_spatial(x: Array, pads: Pads, fill: float) -> Array:
    """``x`` with ``fill`` around its spatial axes."""
    if not any(before or after for before, after in pads):
        return x
    sizes = [s + b + a for s, (b, a) in zip(x.shape[2:], pads, strict=True)]
    padded = np.full((*x.shape[:2], *sizes), fill, dtype=x.dtype)
    inner = [slice(b, b + s) for s, (b, _) in zip(x.shape[2:], pads, strict=True)]
    padded[spatial(inner)] = x
    return padded


def _pads(
    pad_type: str,
    pad: Array | None,
    sizes: Sequence[int],
    extents: Sequence[int],
    strides: Sequence[int],
) -> Pads:
    if pad_type == "valid":
        return ((0, 0),) * len(sizes)
    if pad_type == "custom":
        amounts = ints(pad) if pad is not None else (0,) * (2 * len(sizes))
        return tuple(zip(amounts[::2], amounts[1::2], strict=True))
    totals = [
        max((-(-size // stride) - 1) * stride + extent - size, 0)
        for size, extent, stride in zip(sizes, extents, strides, strict=True)
    ]
    smaller = [(total // 2, total - total // 2) for total in totals]
    return tuple(smaller if pad_type == "same" else [(b, a) for a, b in smaller])

"""Operations that only move elements: reshapes, transposes, joins, splits, blocks.

Semantics: coremltools' ``iOS15.tensor_transformation`` and ``iOS15.tensor_operation``.
"""

from __future__ import annotations

import numpy as np

from converters.mil import batch
from converters.mil.evaluator import Evaluator, ints, positive
from edge_sdk.backends.base import Array


def reshape(x: Array, shape: Array) -> Array:
    """In row-major order; 0 keeps the axis of the same index, one -1 takes what is left."""
    return x.reshape([x.shape[i] if n == 0 else n for i, n in enumerate(ints(shape))])


def transpose(x: Array, perm: Array) -> Array:
    """Axis ``i`` of the output is axis ``perm[i]`` of the input."""
    return np.transpose(x, ints(perm))


def expand_dims(x: Array, axes: Array) -> Array:
    """New axes of length 1 at those places of the output."""
    return np.expand_dims(x, ints(axes))


def squeeze(x: Array, axes: Array | None = None) -> Array:
    """Axes of length 1 vanish: those named, or all; named ones of another length stay."""
    named = range(x.ndim) if axes is None else [positive(a, x.ndim) for a in ints(axes)]
    return np.squeeze(x, tuple(axis for axis in named if x.shape[axis] == 1))


def concat(values: tuple[Array, ...], axis: int, interleave: bool = False) -> Array:
    """End to end along ``axis``, or element by element in turn."""
    if not interleave:
        return np.concatenate(values, int(axis)) if values[0].ndim else np.stack(values)
    along = positive(axis, values[0].ndim)
    shape = list(values[0].shape)
    shape[along] *= len(values)
    return np.stack(values, along + 1).reshape(shape)


def stack(values: tuple[Array, ...], axis: int) -> Array:
    """Along a new axis."""
    return np.stack(values, int(axis))


def split(
    x: Array, axis: int, num_splits: int | None = None, split_sizes: Array | None = None
) -> tuple[Array, ...]:
    """Into equal parts along ``axis``, or into parts of the given sizes."""
    if split_sizes is None:
        return tuple(np.split(x, int(num_splits or 1), int(axis)))
    return tuple(np.split(x, np.cumsum(ints(split_sizes))[:-1], int(axis)))


def tile(x: Array, reps: Array) -> Array:
    """``reps[i]`` copies along axis ``i``."""
    return np.tile(x, ints(reps))


def reverse(x: Array, axes: Array | None = None) -> Array:
    """Backwards along ``axes``, or along all."""
    return np.flip(x, None if axes is None else ints(axes))


def flatten2d(x: Array, axis: int = 1) -> Array:
    """The axes before ``axis`` as one, the others as another."""
    return x.reshape(int(np.prod(x.shape[: int(axis)])), -1)


def depth_to_space(x: Array, block_size: int) -> Array:
    """Channels to blocks of pixels; the offset in the block is the channel's slower part."""
    n, c, h, w = x.shape
    b = int(block_size)
    blocks = x.reshape(n, b, b, c // (b * b), h, w).transpose(0, 3, 4, 1, 5, 2)
    return blocks.reshape(n, c // (b * b), h * b, w * b)


def space_to_depth(x: Array, block_size: int) -> Array:
    """The inverse of ``depth_to_space``."""
    n, c, h, w = x.shape
    b = int(block_size)
    blocks = x.reshape(n, c, h // b, b, w // b, b).transpose(0, 3, 5, 1, 2, 4)
    return blocks.reshape(n, c * b * b, h // b, w // b)


def pixel_shuffle(x: Array, upscale_factor: int) -> Array:
    """PyTorch's ``PixelShuffle``: the offset in the block is the channel's faster part."""
    n, c, h, w = x.shape
    f = int(upscale_factor)
    blocks = x.reshape(n, c // (f * f), f, f, h, w).transpose(0, 1, 4, 2, 5, 3)
    return blocks.reshape(n, c // (f * f), h * f, w * f)


def pixel_unshuffle(x: Array, downscale_factor: int) -> Array:
    """The inverse of ``pixel_shuffle``."""
    n, c, h, w = x.shape
    f = int(downscale_factor)
    blocks = x.reshape(n, c, h // f, f, w // f, f).transpose(0, 1, 3, 5, 2, 4)
    return blocks.reshape(n, c * f * f, h // f, w // f)


EVALUATORS: dict[str, Evaluator] = {
    "reshape": Evaluator(reshape, batch.reshape),
    "transpose": Evaluator(transpose, batch.transpose),
    "expand_dims": Evaluator(expand_dims, batch.expand_dims),
    "squeeze": Evaluator(squeeze, batch.squeeze),
    "concat": Evaluator(concat, batch.joined),
    "stack": Evaluator(stack, batch.stacked),
    "split": Evaluator(split, batch.apart_from("axis")),
    "tile": Evaluator(tile, batch.tile),
    "reverse": Evaluator(reverse, batch.apart_from("axes")),
    "flatten2d": Evaluator(flatten2d),
    "depth_to_space": Evaluator(depth_to_space, batch.leading),
    "space_to_depth": Evaluator(space_to_depth, batch.leading),
    "pixel_shuffle": Evaluator(pixel_shuffle, batch.leading),
    "pixel_unshuffle": Evaluator(pixel_unshuffle, batch.leading),
}

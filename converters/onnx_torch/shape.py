"""Operations that move numbers and change none: shapes, joins, parts, pads, blocks."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from converters.onnx_torch.node import Node, Operator, Tensor, lengths, positive, terms_known

LONGEST_RANK = 5
"""Core ML has no tensor of more axes."""


def _reshape(at: Node, x: Tensor, _shape: Tensor = None) -> Tensor:
    """A 0 keeps the axis, one -1 takes what is left."""
    wanted = at.terms("shape", 1) or ()
    old = lengths(x)
    if not at.term("allowzero", 0):
        wanted = tuple(old[i] if n == 0 else n for i, n in enumerate(wanted))
    if -1 in wanted:
        rest = math.prod(old) // math.prod(n for n in wanted if n != -1)
        wanted = tuple(rest if n == -1 else n for n in wanted)
    if len(wanted) > LONGEST_RANK:
        raise at.fails(f"it makes a tensor of {len(wanted)} axes; Core ML has {LONGEST_RANK}")
    return x.reshape(wanted)


def _flatten(at: Node, x: Tensor) -> Tensor:
    shape = lengths(x)
    axis = at.term("axis", 1)
    axis += len(shape) if axis < 0 else 0
    return x.reshape(math.prod(shape[:axis]), math.prod(shape[axis:]))


def _squeeze(at: Node, x: Tensor, _axes: Tensor = None) -> Tensor:
    shape, axes = lengths(x), at.terms("axes", 1)
    if axes is None:
        axes = tuple(i for i, n in enumerate(shape) if n == 1)
    for axis in sorted((positive(a, len(shape)) for a in axes), reverse=True):
        x = x.squeeze(axis)
    return x


def _unsqueeze(at: Node, x: Tensor, _axes: Tensor = None) -> Tensor:
    axes = at.terms("axes", 1) or ()
    for axis in sorted(positive(a, len(lengths(x)) + len(axes)) for a in axes):
        x = x.unsqueeze(axis)
    return x


def _transpose(at: Node, x: Tensor) -> Tensor:
    rank = len(lengths(x))
    return x.permute(at.terms("perm") or tuple(reversed(range(rank))))


def _concat(at: Node, *parts: Tensor) -> Tensor:
    return at.torch.cat(parts, at.term("axis", 0))


def _split(at: Node, x: Tensor, _sizes: Tensor = None) -> tuple[Tensor, ...]:
    """Into the sizes given, or into as many equal parts as there are outputs, the last the rest."""
    axis, sizes = at.term("axis", 0), at.terms("split", 1)
    whole = lengths(x)[axis]
    if sizes is None:
        part = -(-whole // len(at.outputs))
        sizes = tuple(max(0, min(part, whole - part * n)) for n in range(len(at.outputs)))
    return tuple(at.torch.split(x, list(sizes), axis))


def _slice(at: Node, x: Tensor, *_terms: Tensor) -> Tensor:
    """A step backwards is one forwards of the tensor turned round."""
    starts, ends = at.terms("starts", 1) or (), at.terms("ends", 2) or ()
    shape = lengths(x)
    axes = at.terms("axes", 3) or tuple(range(len(starts)))
    steps = at.terms("steps", 4) or (1,) * len(starts)
    for start, end, named, step in zip(starts, ends, axes, steps, strict=True):
        axis = positive(named, len(shape))
        chosen = range(shape[axis])[start:end:step]
        if not chosen:
            raise at.fails("nothing is left of an axis")
        first, last, length = chosen[0], chosen[-1], shape[axis]
        if step < 0:
            x = at.torch.flip(x, [axis])
            first, last = length - 1 - first, length - 1 - last
        if (first, last, abs(step)) != (0, length - 1, 1):
            index: list[Any] = [slice(None)] * len(shape)
            index[axis] = slice(first, last + 1, abs(step))
            x = x[tuple(index)]
    return x


def _expand(at: Node, x: Tensor, _shape: Tensor) -> Tensor:
    wanted = np.broadcast_shapes(lengths(x), at.terms("shape", 1) or ())
    return x.expand(wanted)


def _tile(at: Node, x: Tensor, _repeats: Tensor) -> Tensor:
    return x.repeat(at.terms("repeats", 1) or ())


def pads_of(at: Node, rank: int) -> list[tuple[int, int]]:
    """Before and after, for every axis."""
    amounts = at.terms("pads", 1) or ()
    axes = at.terms("axes", 3) or tuple(range(rank))
    found = [(0, 0)] * rank
    for i, axis in enumerate(axes):
        found[positive(axis, rank)] = (amounts[i], amounts[i + len(axes)])
    return found


def _pad(at: Node, x: Tensor, *_terms: Tensor) -> Tensor:
    """Negative amounts cut; what is mirrored or repeated is looked up along each axis."""
    mode: Any = at.attribute("mode", "constant")
    shape = lengths(x)
    pads = pads_of(at, len(shape))
    for axis, (before, after) in enumerate(pads):
        if before < 0 or after < 0:
            first = max(-before, 0)
            x = x.narrow(axis, first, shape[axis] - first - max(-after, 0))
    pads = [(max(before, 0), max(after, 0)) for before, after in pads]
    if mode == "constant":
        value = at.number("value", 2) or 0.0
        flat = [n for pair in reversed(pads) for n in pair]
        while flat[-2:] == [0, 0]:
            del flat[-2:]
        return at.torch.nn.functional.pad(x, flat, value=value) if flat else x
    for axis, pair in enumerate(pads):
        if pair != (0, 0):
            places = np.pad(np.arange(lengths(x)[axis]), pair, mode=mode)
            x = at.torch.index_select(x, axis, at.constant(places))
    return x


def _depth_to_space(at: Node, x: Tensor) -> Tensor:
    """PyTorch's ``pixel_shuffle`` counts a block's pixels fastest (CRD); DCR the channels."""
    size, (n, c, h, w) = at.term("blocksize", 1), lengths(x)
    if at.attribute("mode", "DCR") == "DCR":
        x = x.reshape(n, size * size, c // (size * size), h * w).transpose(1, 2)
        x = x.reshape(n, c, h, w)
    return at.torch.nn.functional.pixel_shuffle(x, size)


def _space_to_depth(at: Node, x: Tensor) -> Tensor:
    size = at.term("blocksize", 1)
    n, c, h, w = lengths(x)
    x = at.torch.nn.functional.pixel_unshuffle(x, size)
    x = x.reshape(n, c, size * size, (h // size) * (w // size)).transpose(1, 2)
    return x.reshape(n, c * size * size, h // size, w // size)


def _triangle(at: Node, x: Tensor, _offset: Tensor = None) -> Tensor:
    offset = at.term("k", 0, 1)
    return at.torch.triu(x, offset) if at.term("upper", 1) else at.torch.tril(x, offset)


OPERATORS: dict[str, Operator] = {
    "Concat": Operator(_concat),
    "DepthToSpace": Operator(_depth_to_space),
    "Expand": Operator(_expand, terms_known(1)),
    "Flatten": Operator(_flatten),
    "Pad": Operator(_pad, terms_known(1, 2, 3)),
    "Reshape": Operator(_reshape, terms_known(1)),
    "Slice": Operator(_slice, terms_known(1, 2, 3, 4)),
    "SpaceToDepth": Operator(_space_to_depth),
    "Split": Operator(_split, terms_known(1)),
    "Squeeze": Operator(_squeeze, terms_known(1)),
    "Tile": Operator(_tile, terms_known(1)),
    "Transpose": Operator(_transpose),
    "Trilu": Operator(_triangle, terms_known(1)),
    "Unsqueeze": Operator(_unsqueeze, terms_known(1)),
}

"""Batch rules: when an operation written for one sample may be given many at once.

Converted programs are written for a batch of one, with literal ones in their shapes. Running them
a sample at a time spends most of its time on overhead, so each operation carries a rule that
follows the axis along which samples would lie. A rule answers only what it can prove: that sample
``i`` of the output depends on sample ``i`` of the inputs alone, and by the operation as written. An
axis of length 1 in the program becomes one of length N; where a literal in the program speaks of
that axis, the rule replaces it. No proof, no batch: the program is run one sample at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import wraps
from typing import Any

import numpy as np

from converters.mil.evaluator import Axis, Batched, Rule, Shape, Site, ints, positive


def elementwise(site: Site, axes: Mapping[str, Axis]) -> Batched | None:
    """Broadcasting aligns axes from the right; samples must meet samples or ones."""
    return broadcast([(shape, axes.get(name)) for name, shape in site.shapes.items()], site)


def broadcast(operands: Sequence[tuple[Shape, Axis]], site: Site) -> Batched | None:
    """The rule of ``elementwise`` over some operands only."""
    from_right = {len(shape) - axis for shape, axis in operands if isinstance(axis, int)}
    if len(from_right) != 1:
        return None
    distance = from_right.pop()
    fixed = [shape for shape, axis in operands if axis is None]
    if any(len(shape) >= distance and shape[-distance] != 1 for shape in fixed):
        return None
    return Batched.at(len(site.outputs[0]) - distance)


def of_x(rule: Callable[[Site, int], Batched | None]) -> Rule:
    """A rule for operations whose ``x`` alone may have samples, given their axis."""

    @wraps(rule)
    def whole(site: Site, axes: Mapping[str, Axis]) -> Batched | None:
        axis = axes.get("x")
        return rule(site, axis) if len(axes) == 1 and isinstance(axis, int) else None

    return whole


@of_x
def leading(_site: Site, axis: int) -> Batched | None:
    """Images and sequences: samples lie along axis 0, where MIL says the batch is."""
    return Batched.at(0) if axis == 0 else None


def before_last(count: int) -> Rule:
    """The operation works on the last ``count`` axes of ``x`` and repeats over those before."""

    @of_x
    def rule(site: Site, axis: int) -> Batched | None:
        return Batched.at(axis) if axis < len(site.shapes["x"]) - count else None

    return rule


def apart_from(parameter: str, default: int | None = None) -> Rule:
    """The operation works along the axes that ``parameter`` names and repeats over the others."""

    @of_x
    def rule(site: Site, axis: int) -> Batched | None:
        return None if axis in _worked_axes(site, parameter, default) else Batched.at(axis)

    return rule


def reduced(parameter: str, default: int | None = None) -> Rule:
    """Like ``apart_from``, and the axes worked along vanish unless ``keep_dims``."""

    @of_x
    def rule(site: Site, axis: int) -> Batched | None:
        worked = _worked_axes(site, parameter, default)
        if axis in worked:
            return None
        gone = () if bool(site.constants.get("keep_dims", False)) else worked
        return Batched.at(axis - sum(one < axis for one in gone))

    return rule


@of_x
def reshape(site: Site, axis: int) -> Batched | None:
    """Samples outermost in memory stay so: 1 x (7, 7, 32) to 1 x (1568) is the same for N.

    Elements keep their order in a reshape. If every axis before the samples' has length 1, sample
    ``i`` fills one unbroken run of memory, and so it does in any result with the samples in front.
    """
    before, after = site.shapes["x"], site.outputs[0]
    if any(dim != 1 for dim in before[:axis]) or after[:1] != (1,):
        return None
    if not all(isinstance(dim, int) for dim in after):
        return None
    return Batched.at(0, shape=np.array([-1, *after[1:]], dtype=np.int64))


@of_x
def transpose(site: Site, axis: int) -> Batched | None:
    """The samples' axis moves where the permutation takes it."""
    rank = len(site.shapes["x"])
    return Batched.at([positive(p, rank) for p in ints(site.constants["perm"])].index(axis))


@of_x
def expand_dims(site: Site, axis: int) -> Batched | None:
    """New axes of length 1 push the samples' axis back."""
    rank = len(site.outputs[0])
    new = {positive(one, rank) for one in ints(site.constants["axes"])}
    return Batched.at([one for one in range(rank) if one not in new][axis])


@of_x
def squeeze(site: Site, axis: int) -> Batched | None:
    """Axes of length 1 that vanish pull the samples' axis forward; it must not be one of them."""
    named = _worked_axes(site, "axes", None)
    gone = {one for one in named if site.shapes["x"][one] == 1}
    return None if axis in gone else Batched.at(axis - sum(one < axis for one in gone))


def joined(site: Site, axes: Mapping[str, Axis]) -> Batched | None:
    """``concat``: every part has the samples, on one axis, which is not the one they join along."""
    axis = _common(axes.get("values"))
    if axis is None or axis == positive(site.constants["axis"], len(site.outputs[0])):
        return None
    return Batched.at(axis)


def stacked(site: Site, axes: Mapping[str, Axis]) -> Batched | None:
    """``stack``: every part has the samples on one axis; the new axis may push it back."""
    axis = _common(axes.get("values"))
    if axis is None:
        return None
    new = positive(site.constants["axis"], len(site.outputs[0]))
    return Batched.at(axis + (new <= axis))


@of_x
def slice_by_index(site: Site, axis: int) -> Batched | None:
    """The samples' axis must be taken whole; 0:1 of one sample becomes : of all."""
    rank = len(site.shapes["x"])
    squeezed = _flags(site.constants.get("squeeze_mask"), rank)
    kept = [one for one in range(rank) if not squeezed[one]]
    if squeezed[axis] or site.outputs[0][kept.index(axis)] != 1:
        return None
    replaced: dict[str, Any] = {}
    for mask in ("begin_mask", "end_mask"):
        replaced[mask] = _flags(site.constants.get(mask), rank)
        replaced[mask][axis] = True
    replaced["stride"] = np.array(site.constants.get("stride", np.ones(rank, np.int64)))
    replaced["stride"][axis] = 1
    return Batched.at(kept.index(axis), **replaced)


@of_x
def slice_by_size(site: Site, axis: int) -> Batched | None:
    """The samples' axis must be taken whole; a size of 1 becomes MIL's "all that remains"."""
    begin, size = np.array(site.constants["begin"]), np.array(site.constants["size"])
    begin[axis], size[axis] = 0, -1
    return Batched.at(axis, begin=begin, size=size)


@of_x
def pad(site: Site, axis: int) -> Batched | None:
    """Nothing may be added along the samples' axis."""
    amounts = ints(site.constants["pad"])
    first = len(site.shapes["x"]) - len(amounts) // 2
    at = 2 * (axis - first)
    return Batched.at(axis) if axis < first or amounts[at : at + 2] == (0, 0) else None


@of_x
def tile(site: Site, axis: int) -> Batched | None:
    """Copies along other axes leave samples alone."""
    return Batched.at(axis) if ints(site.constants["reps"])[axis] == 1 else None


def gather(site: Site, axes: Mapping[str, Axis]) -> Batched | None:
    """Either the table has samples and the indices are fixed, or the reverse (an embedding)."""
    if int(site.constants.get("batch_dims", 0)) != 0:
        return None
    along = positive(site.constants.get("axis", 0), len(site.shapes["x"]))
    indices = len(site.shapes["indices"])
    match axes:
        case {"x": int(axis), **others} if not others and axis != along:
            return Batched.at(axis if axis < along else axis + indices - 1)
        case {"indices": int(axis), **others} if not others:
            return Batched.at(along + axis)
    return None


@of_x
def linear(site: Site, axis: int) -> Batched | None:
    """Rows are independent of each other; the last axis is summed over."""
    return Batched.at(axis) if axis < len(site.shapes["x"]) - 1 else None


def matmul(site: Site, axes: Mapping[str, Axis]) -> Batched | None:
    """Samples are rows of ``x`` against a fixed ``y``, or lie before the matrices' two axes."""
    x, y = site.shapes["x"], site.shapes["y"]
    x_axis, y_axis = axes.get("x"), axes.get("y")
    if len(x) < 2 or len(y) < 2:
        return None
    row = len(x) - (1 if bool(site.constants.get("transpose_x", False)) else 2)
    if y_axis is None and x_axis == row:
        return Batched.at(len(site.outputs[0]) - 2)
    if any(isinstance(a, int) and a >= len(s) - 2 for s, a in ((x, x_axis), (y, y_axis))):
        return None
    return broadcast([(x, x_axis), (y, y_axis)], site)


def einsum(site: Site, axes: Mapping[str, Axis]) -> Batched | None:
    """``nchw,nwhu->nchu``: samples along ``n``, in both operands or in one against a one."""
    has_batch = len(site.outputs[0]) == 4
    return Batched.at(0) if has_batch and axes["values"] in ((0, 0), (0, None), (None, 0)) else None


def _common(axes: Axis) -> int | None:
    if not isinstance(axes, tuple) or len(set(axes)) != 1:
        return None
    return axes[0]


def _worked_axes(site: Site, parameter: str, default: int | None) -> set[int]:
    """The axes of ``x`` that a parameter names; all of them where it names none."""
    value = site.constants.get(parameter, default)
    rank = len(site.shapes["x"])
    return {positive(one, rank) for one in (range(rank) if value is None else ints(value))}


def _flags(mask: Any, rank: int) -> Any:
    return np.zeros(rank, bool) if mask is None else np.array(mask, bool)

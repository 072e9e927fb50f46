"""Batch rules: when an operation written for one sample may be given many at once.

Converted programs are written for a batch of one, with literal ones in their shapes. Running them
a sample at a time spends most of its time on overhead, so each operation carries a rule that
follows the axis along which samples would lie. A rule answers only what it can prove: that sample
``i`` of the output depends on sample ``i`` of the inputs alone, and by the operation as written. An
axis of length 1 in the program becomes one of length N; where a literal in the program speaks of
that axis, the rule replaces it. No proof, no batch: the program is run one sample at a time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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


def leading(_site: Site, axes: Mapping[str, Axis]) -> Batched | None:
    """Images and sequences: ``x`` alone has samples, along axis 0, where MIL says the batch is."""
    return Batched.at(0) if dict(axes) == {"x": 0} else None


def before_last(count: int) -> Rule:
    """The operation works on the last ``count`` axes of ``x`` and repeats over those before."""

    def rule(site: Site, axes: Mapping[str, Axis]) -> Batched | None:
        axis = _only_x(axes)
        return None if axis is None or axis >= len(site.shapes["x"]) - count else Batched.at(axis)

    return rule


def apart_from(parameter: str, default: int | None = None, source: str = "x") -> Rule:
    """The operation works along the axes that ``parameter`` names and repeats over the others."""

    def rule(site: Site, axes: Mapping[str, Axis]) -> Batched | None:
        axis = _only(source, axes)
        worked = _worked_axes(site, parameter, default, source)
        return None if axis is None or worked is None or axis in worked else Batched.at(axis)

    return rule


def reduced(parameter: str, default: int | None = None) -> Rule:
    """Like ``apart_from``, and the axes worked along vanish unless ``keep_dims``."""

    def rule(site: Site, axes: Mapping[str, Axis]) -> Batched | None:
        axis = _only_x(axes)
        worked = _worked_axes(site, parameter, default, "x")
        if axis is None or worked is None or axis in worked:
            return None
        if bool(site.constants.get("keep_dims", False)):
            return Batched.at(axis)
        return Batched.at(axis - sum(one < axis for one in worked))

    return rule


def reshape(site: Site, axes: Mapping[str, Axis]) -> Batched | None:
    """Samples outermost in memory stay so: 1 x (7, 7, 32) to 1 x (1568) is the same for N.

    Elements keep their order in a reshape. If every axis before the samples' has length 1, sample
    ``i`` fills one unbroken run of memory, and so it does in any result with the samples in front.
    """
    axis, before, after = axes.get("x"), site.shapes["x"], site.outputs[0]
    if not isinstance(axis, int) or "shape" not in site.constants or not after or after[0] != 1:
        return None
    if any(dim != 1 for dim in before[:axis]) or not all(isinstance(d, int) for d in after):
        return None
    return Batched.at(0, shape=np.array([-1, *after[1:]], dtype=np.int64))


def transpose(site: Site, axes: Mapping[str, Axis]) -> Batched | None:
    """The samples' axis moves where the permutation takes it."""
    axis = _only_x(axes)
    if axis is None:
        return None
    rank = len(site.shapes["x"])
    return Batched.at([positive(p, rank) for p in ints(site.constants["perm"])].index(axis))


def expand_dims(site: Site, axes: Mapping[str, Axis]) -> Batched | None:
    """New axes of length 1 push the samples' axis back."""
    axis = _only_x(axes)
    if axis is None:
        return None
    rank = len(site.outputs[0])
    new = {positive(one, rank) for one in ints(site.constants["axes"])}
    return Batched.at([one for one in range(rank) if one not in new][axis])


def squeeze(site: Site, axes: Mapping[str, Axis]) -> Batched | None:
    """Axes of length 1 that vanish pull the samples' axis forward; it must not be one of them."""
    axis = _only_x(axes)
    if axis is None or site.constants.get("axes") is None:
        return None
    rank = len(site.shapes["x"])
    gone = {positive(one, rank) for one in ints(site.constants["axes"])}
    gone = {one for one in gone if site.shapes["x"][one] == 1}
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


def slice_by_index(site: Site, axes: Mapping[str, Axis]) -> Batched | None:
    """The samples' axis must be taken whole; 0:1 of one sample becomes : of all."""
    axis = _only_x(axes)
    rank = len(site.shapes["x"])
    if axis is None or not {"begin", "end"} <= site.constants.keys():
        return None
    squeezed = _flags(site.constants.get("squeeze_mask"), rank)
    kept = [one for one in range(rank) if not squeezed[one]]
    if squeezed[axis] or site.outputs[0][kept.index(axis)] != 1:
        return None
    replaced: dict[str, Any] = {}
    for mask in ("begin_mask", "end_mask"):
        flags = _flags(site.constants.get(mask), rank)
        flags[axis] = True
        replaced[mask] = flags
    stride = np.array(site.constants.get("stride", np.ones(rank, np.int64)))
    stride[axis] = 1
    return Batched.at(kept.index(axis), stride=stride, **replaced)


def slice_by_size(site: Site, axes: Mapping[str, Axis]) -> Batched | None:
    """The samples' axis must be taken whole; a size of 1 becomes MIL's "all that remains"."""
    axis = _only_x(axes)
    if axis is None or not {"begin", "size"} <= site.constants.keys():
        return None
    if site.outputs[0][axis] != 1:
        return None
    size = np.array(site.constants["size"])
    size[axis] = -1
    return Batched.at(axis, size=size)


def pad(site: Site, axes: Mapping[str, Axis]) -> Batched | None:
    """Nothing may be added along the samples' axis."""
    axis = _only_x(axes)
    if axis is None or "pad" not in site.constants:
        return None
    amounts = ints(site.constants["pad"])
    first = len(site.shapes["x"]) - len(amounts) // 2
    at = 2 * (axis - first)
    return Batched.at(axis) if axis < first or amounts[at : at + 2] == (0, 0) else None


def tile(site: Site, axes: Mapping[str, Axis]) -> Batched | None:
    """Copies along other axes leave samples alone."""
    axis = _only_x(axes)
    if axis is None or "reps" not in site.constants:
        return None
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


def linear(site: Site, axes: Mapping[str, Axis]) -> Batched | None:
    """Rows are independent of each other; the last axis is summed over."""
    axis = _only_x(axes)
    return None if axis is None or axis == len(site.shapes["x"]) - 1 else Batched.at(axis)


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
    match axes.get("values"), site.shapes["values"]:
        case ((0 | None), (0 | None)) as where, (x, y) if len(x) == 4 and any(
            axis == 0 for axis in where
        ):
            fixed = [s for s, axis in zip((x, y), where, strict=True) if axis is None]
            return Batched.at(0) if all(shape[0] == 1 for shape in fixed) else None
    return None


def _only(source: str, axes: Mapping[str, Axis]) -> int | None:
    axis = axes.get(source)
    return axis if len(axes) == 1 and isinstance(axis, int) else None


def _only_x(axes: Mapping[str, Axis]) -> int | None:
    return _only("x", axes)


def _common(axes: Axis) -> int | None:
    if not isinstance(axes, tuple) or len(set(axes)) != 1:
        return None
    return axes[0]


def _worked_axes(site: Site, parameter: str, default: int | None, source: str) -> set[int] | None:
    value = site.constants.get(parameter, default)
    if value is None:
        return None
    rank = len(site.shapes[source])
    return {positive(one, rank) for one in ints(value)}


def _flags(mask: Any, rank: int) -> Any:
    return np.zeros(rank, bool) if mask is None else np.array(mask, bool)

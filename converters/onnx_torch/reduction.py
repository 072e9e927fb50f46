"""Operations that make less of an axis, and those that look places up: sums, maxima, gathers."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from converters.onnx_torch.node import Node, Operator, Tensor, lengths, positive, terms_known

Reduction = Callable[[Node, Tensor, list[int], bool], Tensor]


def _over_axes(reduce: Reduction) -> Operator:
    """Over the axes that are named; over all where none is, or over none if so asked."""

    def function(at: Node, x: Tensor, _axes: Tensor = None) -> Tensor:
        rank, axes = len(lengths(x)), at.terms("axes", 1)
        if not axes and at.term("noop_with_empty_axes", 0):
            return x
        chosen = sorted(positive(a, rank) for a in axes or range(rank))
        return reduce(at, x, chosen, bool(at.term("keepdims", 1)))

    return Operator(function, terms_known(1))


def _sum(at: Node, x: Tensor, axes: list[int], keep: bool) -> Tensor:
    return at.torch.sum(x, axes, keepdim=keep, dtype=x.dtype)


def _l1(at: Node, x: Tensor, axes: list[int], keep: bool) -> Tensor:
    return _sum(at, x.abs(), axes, keep)


def _l2(at: Node, x: Tensor, axes: list[int], keep: bool) -> Tensor:
    return at.torch.sqrt(_sum(at, x * x, axes, keep))


def _log_sum(at: Node, x: Tensor, axes: list[int], keep: bool) -> Tensor:
    return at.torch.log(_sum(at, x, axes, keep))


def _log_sum_exp(at: Node, x: Tensor, axes: list[int], keep: bool) -> Tensor:
    return at.torch.logsumexp(x, axes, keepdim=keep)


def _product(_at: Node, x: Tensor, axes: list[int], keep: bool) -> Tensor:
    """One factor at a time: PyTorch's own has no counterpart in Core ML's converter."""
    for axis in reversed(axes):
        factors = [x.narrow(axis, n, 1) for n in range(lengths(x)[axis])]
        x = math.prod(factors[1:], start=factors[0])
        x = x if keep else x.squeeze(axis)
    return x


def _place(name: str) -> Operator:
    """The place of the greatest or least, the first of several."""

    def function(at: Node, x: Tensor) -> Tensor:
        axis, keep = at.term("axis", 0), bool(at.term("keepdims", 1))
        return getattr(at.torch, name)(x, dim=axis, keepdim=keep)

    def lacks(at: Node) -> str:
        return "the last of several equals" if at.term("select_last_index", 0) else ""

    return Operator(function, lacks)


def _top(at: Node, x: Tensor, _count: Tensor = None) -> tuple[Tensor, ...]:
    count, axis = at.term("k", 1, 1), at.term("axis", -1)
    largest = bool(at.term("largest", 1))
    return tuple(at.torch.topk(x, count, dim=axis, largest=largest))


def _running_sum(at: Node, x: Tensor, _axis: Tensor) -> Tensor:
    axis = at.term("axis", 0, 1)
    backwards = bool(at.term("reverse", 0))
    turned = at.torch.flip(x, [axis]) if backwards else x
    total = at.torch.cumsum(turned, axis)
    if at.term("exclusive", 0):
        total = total - turned
    return at.torch.flip(total, [axis]) if backwards else total


def _gather(at: Node, x: Tensor, places: Tensor) -> Tensor:
    """Rows of a table; places counted from the end are counted from the front beforehand."""
    shape = lengths(x)
    axis = positive(at.term("axis", 0), len(shape))
    known = at.known(1)
    if known is not None:
        known = np.where(known < 0, known + shape[axis], known)
        if known.ndim == 0:
            return x.select(axis, int(known))
        if known.ndim == 1 and len(known) == 1:
            return x.narrow(axis, int(known[0]), 1)
        places = at.constant(known.astype(np.int64))
    else:
        places = at.torch.where(places < 0, places + shape[axis], places)
    if len(lengths(places)) == 1:
        return at.torch.index_select(x, axis, places)
    taken = at.torch.index_select(x, axis, places.reshape(-1))
    return taken.reshape(shape[:axis] + lengths(places) + shape[axis + 1 :])


def _gather_elements(at: Node, x: Tensor, places: Tensor) -> Tensor:
    axis = positive(at.term("axis", 0), len(lengths(x)))
    places = at.torch.where(places < 0, places + lengths(x)[axis], places)
    return at.torch.gather(x, axis, places.to(at.torch.int64))


OPERATORS: dict[str, Operator] = {
    "ArgMax": _place("argmax"),
    "ArgMin": _place("argmin"),
    "CumSum": Operator(_running_sum, terms_known(1)),
    "Gather": Operator(_gather),
    "GatherElements": Operator(_gather_elements),
    "ReduceL1": _over_axes(_l1),
    "ReduceL2": _over_axes(_l2),
    "ReduceLogSum": _over_axes(_log_sum),
    "ReduceLogSumExp": _over_axes(_log_sum_exp),
    "ReduceMax": _over_axes(lambda at, x, axes, keep: at.torch.amax(x, axes, keepdim=keep)),
    "ReduceMean": _over_axes(lambda at, x, axes, keep: at.torch.mean(x, axes, keepdim=keep)),
    "ReduceMin": _over_axes(lambda at, x, axes, keep: at.torch.amin(x, axes, keepdim=keep)),
    "ReduceProd": _over_axes(_product),
    "ReduceSum": _over_axes(_sum),
    "ReduceSumSquare": _over_axes(lambda at, x, axes, keep: _sum(at, x * x, axes, keep)),
    "TopK": Operator(_top, terms_known(1)),
}

"""Reductions along axes, and what orders or accumulates along one.

Semantics: coremltools' ``iOS15.reduction`` and the ``argsort``, ``topk`` and ``cumsum`` of
``iOS15.tensor_operation``. Without ``axes`` a reduction runs over all of them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from converters.mil import batch
from converters.mil.evaluator import Evaluator, ints
from edge_sdk.backends.base import Array


def _reduction(reduce: Callable[..., Any]) -> Evaluator:
    def evaluate(x: Array, axes: Array | None = None, keep_dims: bool = False) -> Array:
        along = None if axes is None else ints(axes)
        out = np.asarray(reduce(x, axis=along, keepdims=bool(keep_dims)))
        return out.astype(x.dtype, copy=False)

    return Evaluator(evaluate, batch.reduced("axes"))


def _l1_norm(x: Array, **along: Any) -> Any:
    return np.abs(x).sum(**along)


def _l2_norm(x: Array, **along: Any) -> Any:
    return np.sqrt(np.square(x).sum(**along))


def _sum_square(x: Array, **along: Any) -> Any:
    return np.square(x).sum(**along)


def _log_sum(x: Array, **along: Any) -> Any:
    return np.log(x.sum(**along))


def _log_sum_exp(x: Array, **along: Any) -> Any:
    return np.logaddexp.reduce(x, **along)


def _position(find: Callable[..., Any]) -> Evaluator:
    def evaluate(
        x: Array, axis: int = -1, keep_dims: bool = False, output_dtype: str = "int32"
    ) -> Array:
        found = find(x, axis=int(axis), keepdims=bool(keep_dims))
        return np.asarray(found).astype(output_dtype)

    return Evaluator(evaluate, batch.reduced("axis", -1))


def argsort(x: Array, axis: int = -1, ascending: bool = False) -> Array:
    """The order of the elements along ``axis``, greatest first unless ``ascending``."""
    return np.argsort(x if ascending else -x, axis=int(axis), kind="stable").astype(np.int32)


def topk(
    x: Array,
    k: int = 1,
    axis: int = -1,
    *,
    ascending: bool = False,
    return_indices: bool = True,
    output_indices_dtype: str = "int32",
) -> Array | tuple[Array, Array]:
    """The ``k`` greatest (or smallest) elements along ``axis``, best first, and where they stand.

    ``sort`` is ignored: where it is false any order is right.
    """
    order = argsort(x, axis, ascending).take(np.arange(int(k)), axis=int(axis))
    values = np.take_along_axis(x, order, axis=int(axis))
    return (values, order.astype(output_indices_dtype)) if return_indices else values


def cumsum(x: Array, axis: int = 0, exclusive: bool = False, reverse: bool = False) -> Array:
    """The running sum along ``axis``; ``exclusive`` leaves out the element itself."""
    turned = np.flip(x, int(axis)) if reverse else x
    total = np.cumsum(turned, axis=int(axis), dtype=x.dtype)
    total = total - turned if exclusive else total
    return np.flip(total, int(axis)) if reverse else total


EVALUATORS: dict[str, Evaluator] = {
    "reduce_sum": _reduction(np.sum),
    "reduce_mean": _reduction(np.mean),
    "reduce_max": _reduction(np.max),
    "reduce_min": _reduction(np.min),
    "reduce_prod": _reduction(np.prod),
    "reduce_l1_norm": _reduction(_l1_norm),
    "reduce_l2_norm": _reduction(_l2_norm),
    "reduce_sum_square": _reduction(_sum_square),
    "reduce_log_sum": _reduction(_log_sum),
    "reduce_log_sum_exp": _reduction(_log_sum_exp),
    "reduce_argmax": _position(np.argmax),
    "reduce_argmin": _position(np.argmin),
    "argsort": Evaluator(argsort, batch.apart_from("axis", -1)),
    "topk": Evaluator(topk, batch.apart_from("axis", -1), ignored=frozenset({"sort"})),
    "cumsum": Evaluator(cumsum, batch.apart_from("axis", 0)),
}

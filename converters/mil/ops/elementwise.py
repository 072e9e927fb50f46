"""Operations on each element by itself, and on pairs of elements by broadcasting.

Semantics: coremltools' ``iOS15.elementwise_unary``, ``iOS15.elementwise_binary``, ``iOS17.cast``
and ``iOS15.control_flow.select``. Floating types are all float32 here (see
``converters.mil.program``), so a ``cast`` between them changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from converters.mil import batch
from converters.mil.evaluator import Evaluator, Site
from converters.mil.ops.special import erf
from edge_sdk.backends.base import Array

_CASTS = {"fp16": "float32", "fp32": "float32", "fp64": "float32"}


def _unary(compute: Callable[[Array], Array]) -> Evaluator:
    def evaluate(x: Array) -> Array:
        return compute(x)

    return Evaluator(evaluate, batch.elementwise)


def _binary(compute: Callable[[Array, Array], Array]) -> Evaluator:
    def evaluate(x: Array, y: Array) -> Array:
        return compute(x, y)

    return Evaluator(evaluate, batch.elementwise)


def real_div(x: Array, y: Array) -> Array:
    """``x / y``, of fractions; MIL does not say which way its integers would round."""
    return np.divide(x, y)


def cast(x: Array, dtype: str) -> Array:
    """To another type; a fraction is dropped on the way to an integer."""
    return np.asarray(x).astype(_CASTS.get(dtype, dtype))


def clip(x: Array, alpha: Array, beta: Array) -> Array:
    """To ``[alpha, beta]``."""
    return np.minimum(np.maximum(x, alpha), beta)


def threshold(x: Array, alpha: Array) -> Array:
    """At least ``alpha``."""
    return np.maximum(x, alpha)


def inverse(x: Array, epsilon: float = 1e-4) -> Array:
    """``1 / (x + epsilon)``."""
    return np.reciprocal(x + epsilon)


def log(x: Array, epsilon: float = 1e-45) -> Array:
    """``log(x + epsilon)``; the default epsilon is float32's smallest number, so log(0) is -103."""
    return np.log(x + epsilon)


def rsqrt(x: Array, epsilon: float = 1e-12) -> Array:
    """``1 / sqrt(x + epsilon)``."""
    return np.reciprocal(np.sqrt(x + epsilon))


def select(cond: Array, a: Array, b: Array) -> Array:
    """``a`` where ``cond``, else ``b``."""
    return np.where(cond, a, b)


def identity(x: Any) -> Any:
    """``x`` itself."""
    return x


def _of_fractions(site: Site) -> bool:
    return site.dtypes[0] in ("float16", "float32")


_UNARY: dict[str, Callable[..., Array]] = {
    "abs": np.abs,
    "acos": np.arccos,
    "asin": np.arcsin,
    "atan": np.arctan,
    "atanh": np.arctanh,
    "ceil": np.ceil,
    "cos": np.cos,
    "cosh": np.cosh,
    "erf": erf,
    "exp": np.exp,
    "exp2": np.exp2,
    "floor": np.floor,
    "logical_not": np.logical_not,
    "round": np.rint,
    "sign": np.sign,
    "sin": np.sin,
    "sinh": np.sinh,
    "sqrt": np.sqrt,
    "square": np.square,
    "tan": np.tan,
    "tanh": np.tanh,
}

_BINARY: dict[str, Callable[..., Array]] = {
    "add": np.add,
    "equal": np.equal,
    "floor_div": np.floor_divide,
    "greater": np.greater,
    "greater_equal": np.greater_equal,
    "less": np.less,
    "less_equal": np.less_equal,
    "logical_and": np.logical_and,
    "logical_or": np.logical_or,
    "logical_xor": np.logical_xor,
    "maximum": np.maximum,
    "minimum": np.minimum,
    "mod": np.mod,
    "mul": np.multiply,
    "not_equal": np.not_equal,
    "pow": np.power,
    "sub": np.subtract,
}

EVALUATORS: dict[str, Evaluator] = {
    **{name: _unary(compute) for name, compute in _UNARY.items()},
    **{name: _binary(compute) for name, compute in _BINARY.items()},
    "cast": Evaluator(cast, batch.elementwise),
    "clip": Evaluator(clip, batch.elementwise),
    "threshold": Evaluator(threshold, batch.elementwise),
    "inverse": Evaluator(inverse, batch.elementwise),
    "log": Evaluator(log, batch.elementwise),
    "rsqrt": Evaluator(rsqrt, batch.elementwise),
    "real_div": Evaluator(real_div, batch.elementwise, covers=_of_fractions),
    "select": Evaluator(select, batch.elementwise),
    "identity": Evaluator(identity, batch.elementwise),
}

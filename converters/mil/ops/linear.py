"""Matrix products.

Semantics: coremltools' ``iOS15.linear``.
"""

from __future__ import annotations

import numpy as np

from converters.mil import batch
from converters.mil.evaluator import Evaluator, Site
from edge_sdk.backends.base import Array


def linear(x: Array, weight: Array, bias: Array | None = None) -> Array:
    """``x @ weight.T + bias``; ``x`` is ... x D_in, ``weight`` D_out x D_in."""
    out: Array = x @ weight.T
    return out if bias is None else out + bias


def matmul(x: Array, y: Array, transpose_x: bool = False, transpose_y: bool = False) -> Array:
    """The product of the last two axes, numpy's broadcasting over those before."""
    left = np.swapaxes(x, -1, -2) if transpose_x and x.ndim > 1 else x
    right = np.swapaxes(y, -1, -2) if transpose_y and y.ndim > 1 else y
    product: Array = np.matmul(left, right)
    return product


def einsum(values: tuple[Array, Array]) -> Array:
    """MIL's one contraction, ``nchw,nwhu->nchu`` or without ``n``; ``n`` and ``h`` broadcast."""
    x, y = values
    product: Array = np.swapaxes(x, -2, -3) @ np.swapaxes(y, -2, -3)
    return np.swapaxes(product, -2, -3)


def _is_the_contraction(site: Site) -> bool:
    order: dict[str, int] = {}
    letters = str(site.constants["equation"]).replace(" ", "").replace("->", ",")
    pattern = "".join(
        letter if letter == "," else str(order.setdefault(letter, len(order))) for letter in letters
    )
    return pattern in ("0123,0324,0124", "012,213,013")


EVALUATORS: dict[str, Evaluator] = {
    "linear": Evaluator(linear, batch.linear),
    "matmul": Evaluator(matmul, batch.matmul),
    "einsum": Evaluator(
        einsum, batch.einsum, covers=_is_the_contraction, ignored=frozenset({"equation"})
    ),
}

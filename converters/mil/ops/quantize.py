"""Affine quantization of activations: ``real = scale * (stored - zero_point)``.

Semantics: coremltools' ``iOS17.quantization_ops``. Quantized *weights* (``constexpr_*``) are
expanded while the program is read.
"""

from __future__ import annotations

import numpy as np

from converters.mil import batch
from converters.mil.evaluator import Evaluator
from edge_sdk.backends.base import Array


def quantize(
    input: Array,
    scale: Array,
    output_dtype: str,
    zero_point: Array | None = None,
    axis: int | None = None,
) -> Array:
    """``clip(round(input / scale) + zero_point)``, halves to even."""
    steps = np.rint(input / _along(scale, axis, input.ndim))
    if zero_point is not None:
        steps = steps + _along(zero_point, axis, input.ndim).astype(np.float32)
    limits = np.iinfo(output_dtype)
    return np.clip(steps, limits.min, limits.max).astype(output_dtype)


def dequantize(
    input: Array,
    scale: Array,
    zero_point: Array | None = None,
    axis: int | None = None,
) -> Array:
    """``scale * (input - zero_point)``."""
    steps = input.astype(np.float32)
    if zero_point is not None:
        steps = steps - _along(zero_point, axis, input.ndim).astype(np.float32)
    return steps * _along(scale, axis, input.ndim)


def _along(values: Array, axis: int | None, rank: int) -> Array:
    """A vector laid along ``axis`` of a tensor of ``rank`` axes; a scalar as it is."""
    if axis is None or values.ndim == 0:
        return values
    shape = [1] * rank
    shape[int(axis)] = -1
    return values.reshape(shape)


EVALUATORS: dict[str, Evaluator] = {
    "quantize": Evaluator(quantize, batch.elementwise),
    "dequantize": Evaluator(dequantize, batch.elementwise),
}

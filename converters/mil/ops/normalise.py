"""Normalisations.

Semantics: coremltools' ``iOS15.normalization``. Variances are of the whole population.
"""

from __future__ import annotations

import numpy as np

from converters.mil import batch
from converters.mil.evaluator import Evaluator, ints, positive
from converters.mil.ops.activation import per_channel
from edge_sdk.backends.base import Array


def batch_norm(
    x: Array,
    mean: Array,
    variance: Array,
    *,
    gamma: Array | None = None,
    beta: Array | None = None,
    epsilon: float = 1e-5,
) -> Array:
    """By statistics kept from training, one of each a channel (axis 1)."""
    scale = np.reciprocal(np.sqrt(variance + epsilon))
    scale = scale if gamma is None else scale * gamma
    shift = -mean * scale
    shift = shift if beta is None else shift + beta
    return x * per_channel(scale, x.ndim) + per_channel(shift, x.ndim)


def instance_norm(
    x: Array, gamma: Array | None = None, beta: Array | None = None, epsilon: float = 1e-5
) -> Array:
    """Each channel of each sample by its own mean and variance over the spatial axes."""
    out = _standardised(x, tuple(range(2, x.ndim)), epsilon)
    out = out if gamma is None else out * per_channel(gamma, x.ndim)
    return out if beta is None else out + per_channel(beta, x.ndim)


def layer_norm(
    x: Array,
    axes: Array,
    gamma: Array | None = None,
    beta: Array | None = None,
    epsilon: float = 1e-5,
) -> Array:
    """By mean and variance over ``axes``; ``gamma`` and ``beta`` have the shape of those axes."""
    worked = {positive(axis, x.ndim) for axis in ints(axes)}
    shape = [n if axis in worked else 1 for axis, n in enumerate(x.shape)]
    out = _standardised(x, tuple(sorted(worked)), epsilon)
    out = out if gamma is None else out * gamma.reshape(shape)
    return out if beta is None else out + beta.reshape(shape)


def l2_norm(x: Array, epsilon: float = 1e-6) -> Array:
    """Over the square root of the sum of squares of the last three axes."""
    total: Array = np.square(x).sum(axis=(-3, -2, -1), keepdims=True)
    return x / np.sqrt(total + epsilon)


def _standardised(x: Array, axes: tuple[int, ...], epsilon: float) -> Array:
    centred: Array = x - x.mean(axis=axes, keepdims=True)
    variance = np.square(centred).mean(axis=axes, keepdims=True)
    scaled: Array = centred / np.sqrt(variance + epsilon)
    return scaled


EVALUATORS: dict[str, Evaluator] = {
    "batch_norm": Evaluator(batch_norm, batch.leading),
    "instance_norm": Evaluator(instance_norm, batch.leading),
    "layer_norm": Evaluator(layer_norm, batch.apart_from("axes")),
    "l2_norm": Evaluator(l2_norm, batch.before_last(3)),
}

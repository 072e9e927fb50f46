"""Activations: the functions between a network's layers.

Semantics: coremltools' ``iOS15.activation``. All inputs are float32.
"""

from __future__ import annotations

import math

import numpy as np

from converters.mil import batch
from converters.mil.evaluator import Evaluator, Site
from converters.mil.ops.special import erf
from edge_sdk.backends.base import Array

_GELU_MODES = ("EXACT", "TANH_APPROXIMATION", "SIGMOID_APPROXIMATION")


def relu(x: Array) -> Array:
    """``max(x, 0)``."""
    return np.maximum(x, 0)


def relu6(x: Array) -> Array:
    """``min(max(x, 0), 6)``."""
    return np.minimum(np.maximum(x, 0), 6)


def leaky_relu(x: Array, alpha: Array) -> Array:
    """``x`` where ``x >= 0``, else ``alpha * x``."""
    return np.where(x >= 0, x, alpha * x)


def clamped_relu(x: Array, alpha: Array, beta: Array) -> Array:
    """``min(beta, leaky_relu(x, alpha))``."""
    return np.minimum(beta, leaky_relu(x, alpha))


def thresholded_relu(x: Array, alpha: Array) -> Array:
    """``x`` where ``x >= alpha``, else 0."""
    return np.where(x >= alpha, x, 0)


def prelu(x: Array, alpha: Array) -> Array:
    """``leaky_relu`` with an alpha for each channel (axis 1)."""
    return np.where(x > 0, x, per_channel(alpha, x.ndim) * x)


def elu(x: Array, alpha: Array) -> Array:
    """``x`` where ``x > 0``, else ``alpha * (e^x - 1)``."""
    return np.where(x > 0, x, alpha * np.expm1(np.minimum(x, 0)))


def sigmoid(x: Array) -> Array:
    """``1 / (1 + e^-x)``, by a form that no float32 overflows."""
    out: Array = np.tanh(x * 0.5) * 0.5 + 0.5
    return out


def sigmoid_hard(x: Array, alpha: Array, beta: Array) -> Array:
    """``min(max(alpha * x + beta, 0), 1)``."""
    return np.clip(linear_activation(x, alpha, beta), 0, 1)


def scaled_tanh(x: Array, alpha: Array, beta: Array) -> Array:
    """``alpha * tanh(beta * x)``."""
    out: Array = np.tanh(x * beta) * alpha
    return out


def silu(x: Array) -> Array:
    """``x * sigmoid(x)``."""
    return x * sigmoid(x)


def gelu(x: Array, mode: str = "EXACT") -> Array:
    """The Gaussian error linear unit, exact or by either of MIL's approximations."""
    share: Array
    if mode == "TANH_APPROXIMATION":
        share = np.tanh((x + 0.044715 * x * x * x) * math.sqrt(2 / math.pi)) * 0.5 + 0.5
    elif mode == "SIGMOID_APPROXIMATION":
        share = sigmoid(x * 1.702)
    else:
        share = erf(x * math.sqrt(0.5)) * 0.5 + 0.5
    return x * share


def softplus(x: Array) -> Array:
    """``log(1 + e^x)``."""
    return np.logaddexp(x, 0)


def softplus_parametric(x: Array, alpha: Array, beta: Array) -> Array:
    """``alpha * log(1 + e^(beta * x))`` with an alpha and a beta for each channel (axis 1)."""
    return per_channel(alpha, x.ndim) * softplus(per_channel(beta, x.ndim) * x)


def softsign(x: Array) -> Array:
    """``x / (1 + |x|)``."""
    out: Array = x / (np.abs(x) + 1)
    return out


def linear_activation(x: Array, alpha: Array, beta: Array) -> Array:
    """``alpha * x + beta``."""
    out: Array = alpha * x + beta
    return out


def softmax(x: Array, axis: int = -1) -> Array:
    """``e^x`` over its sum along ``axis``."""
    raised: Array = np.exp(x - x.max(axis=int(axis), keepdims=True))
    out: Array = raised / raised.sum(axis=int(axis), keepdims=True)
    return out


def per_channel(values: Array, rank: int) -> Array:
    """A vector laid along axis 1 of a tensor of ``rank`` axes."""
    return values.reshape(-1, *[1] * (rank - 2))


def _known_gelu(site: Site) -> bool:
    return str(site.constants.get("mode", "EXACT")) in _GELU_MODES


EVALUATORS: dict[str, Evaluator] = {
    "relu": Evaluator(relu, batch.elementwise),
    "relu6": Evaluator(relu6, batch.elementwise),
    "leaky_relu": Evaluator(leaky_relu, batch.elementwise),
    "clamped_relu": Evaluator(clamped_relu, batch.elementwise),
    "thresholded_relu": Evaluator(thresholded_relu, batch.elementwise),
    "prelu": Evaluator(prelu, batch.leading),
    "elu": Evaluator(elu, batch.elementwise),
    "sigmoid": Evaluator(sigmoid, batch.elementwise),
    "sigmoid_hard": Evaluator(sigmoid_hard, batch.elementwise),
    "scaled_tanh": Evaluator(scaled_tanh, batch.elementwise),
    "silu": Evaluator(silu, batch.elementwise),
    "gelu": Evaluator(gelu, batch.elementwise, covers=_known_gelu),
    "softplus": Evaluator(softplus, batch.elementwise),
    "softplus_parametric": Evaluator(softplus_parametric, batch.leading),
    "softsign": Evaluator(softsign, batch.elementwise),
    "linear_activation": Evaluator(linear_activation, batch.elementwise),
    "softmax": Evaluator(softmax, batch.apart_from("axis", -1)),
}

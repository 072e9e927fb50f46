"""Scores to probabilities, in float32, without overflow."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import numpy.typing as npt

Activation = Literal["none", "softmax", "sigmoid"]


def activate(scores: npt.NDArray[Any], activation: Activation) -> npt.NDArray[np.float32]:
    """Apply an activation along the last axis; ``none`` only makes it float32."""
    scores = scores.astype(np.float32, copy=False)
    if activation == "softmax":
        return softmax(scores)
    return sigmoid(scores) if activation == "sigmoid" else scores


def sigmoid(scores: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """``1 / (1 + exp(-x))``.

    Only ever exponentiates a negative number, so that no score can overflow; MediaPipe clips its
    scores at +-100 for the same end, and float32 cannot tell the two apart.
    """
    small = np.exp(-np.abs(scores))
    values: npt.NDArray[np.float32] = np.where(scores < 0, small, np.float32(1)) / (1 + small)
    return values


def softmax(scores: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """``exp(x) / sum(exp(x))`` along the last axis, shifted so that the largest x is 0."""
    powers: npt.NDArray[np.float32] = np.exp(scores - scores.max(axis=-1, keepdims=True))
    powers /= powers.sum(axis=-1, keepdims=True)
    return powers

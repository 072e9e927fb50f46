"""Quantized numbers: ``real = scale * (stored - zero_point)``, and the way back.

Going in, a real number becomes the nearest stored integer, halves to even, clipped to the type::

    stored = clip(rint(real / scale) + zero_point, lowest, highest)

in float32, which is what LiteRT's and ONNX Runtime's own quantize operations compute for all reals
but exact halves.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from edge_sdk.spec import Quantization

Array = npt.NDArray[Any]


def quantize(real: Array, quantization: Quantization, dtype: npt.DTypeLike) -> Array:
    """The stored integers of type ``dtype`` nearest to ``real``; any shape."""
    limits = np.iinfo(dtype)
    steps = np.rint(real.astype(np.float32) / np.float32(quantization.scale))
    steps += np.float32(quantization.zero_point)
    clipped: Array = np.clip(steps, limits.min, limits.max).astype(dtype)
    return clipped


def dequantize(stored: Array, quantization: Quantization) -> npt.NDArray[np.float32]:
    """The real numbers that ``stored`` stands for, float32; any shape."""
    real = stored.astype(np.float32)
    real -= np.float32(quantization.zero_point)
    real *= np.float32(quantization.scale)
    return real

"""Convolutions, as matrix products over im2col columns.

Semantics: coremltools' ``iOS15.conv``. ``x`` is batch x C_in x sizes, a ``conv``'s weight
C_out x C_in/groups x kernel, a ``conv_transpose``'s C_in x C_out/groups x kernel.
"""

from __future__ import annotations

import numpy as np

from converters.mil import batch
from converters.mil.evaluator import Evaluator, ints
from converters.mil.ops.activation import per_channel
from converters.mil.ops.window import Window, pad_spatial, spatial
from edge_sdk.backends.base import Array


def conv(
    x: Array,
    weight: Array,
    *,
    bias: Array | None = None,
    strides: Array | None = None,
    pad_type: str = "valid",
    pad: Array | None = None,
    dilations: Array | None = None,
    groups: int = 1,
) -> Array:
    """Convolution over one to three spatial axes."""
    window = Window(
        x.shape[2:],
        weight.shape[2:],
        strides=strides,
        pad_type=pad_type,
        pad=pad,
        dilations=dilations,
    )
    columns = window.columns(window.padded(x, 0))
    columns = columns.reshape(int(groups), weight[0].size, -1)
    # One product for each group over all samples and places: BLAS likes few and large ones.
    flat = (weight.reshape(int(groups), -1, weight[0].size) @ columns).reshape(len(weight), -1)
    if bias is not None:
        flat += bias[:, None]
    return flat.reshape(len(weight), len(x), *window.out).swapaxes(0, 1)


def conv_transpose(
    x: Array,
    weight: Array,
    *,
    bias: Array | None = None,
    pad: Array | None = None,
    output_shape: Array | None = None,
    pad_type: str = "valid",
    strides: Array | None = None,
    dilations: Array | None = None,
    groups: int = 1,
) -> Array:
    """The transpose of ``conv``: every input element adds its kernel to the output.

    The output's size decides what is cut off around the full result: with ``same``, as much as a
    ``conv`` from that size would have padded, the odd element after, as TensorFlow does.
    """
    samples, _, *sizes = x.shape
    kernel = weight.shape[2:]
    rank = len(sizes)
    step = ints(strides) if strides is not None else (1,) * rank
    dilation = ints(dilations) if dilations is not None else (1,) * rank
    spread = [
        (size - 1) * s + (k - 1) * d + 1
        for size, s, k, d in zip(sizes, step, kernel, dilation, strict=True)
    ]
    matrix = weight.reshape(int(groups), -1, weight[0].size).swapaxes(1, 2)
    columns = matrix @ x.reshape(samples, int(groups), matrix.shape[2], -1)
    columns = columns.reshape(samples, -1, *kernel, *sizes)
    full = np.zeros((samples, columns.shape[1], *spread), dtype=x.dtype)
    for index in np.ndindex(*kernel):
        at = [
            slice(i * d, i * d + (size - 1) * s + 1, s)
            for i, d, size, s in zip(index, dilation, sizes, step, strict=True)
        ]
        full[spatial(at)] += columns[spatial(index)]
    amounts = ints(pad) if pad is not None and pad_type == "custom" else (0,) * (2 * rank)
    if output_shape is not None:
        out = ints(output_shape)[2:]
    elif pad_type == "same":
        out = tuple(size * s for size, s in zip(sizes, step, strict=True))
    else:
        out = tuple(n - b - a for n, b, a in zip(spread, amounts[::2], amounts[1::2], strict=True))
    cut = [max(n - o, 0) // 2 for n, o in zip(spread, out, strict=True)]
    before = cut if pad_type == "same" else list(amounts[::2])
    result = _cropped(full, before, out)
    if bias is not None:
        result += per_channel(bias, result.ndim)
    return result


def _cropped(full: Array, before: list[int], out: tuple[int, ...]) -> Array:
    """``out`` elements of each spatial axis from ``before`` on; zeros where there are no more."""
    inner = [slice(b, b + o) for b, o in zip(before, out, strict=True)]
    kept = full[spatial(inner)]
    missing = tuple((0, o - n) for o, n in zip(out, kept.shape[2:], strict=True))
    return pad_spatial(kept, missing, 0)


EVALUATORS: dict[str, Evaluator] = {
    "conv": Evaluator(conv, batch.leading),
    "conv_transpose": Evaluator(conv_transpose, batch.leading),
}

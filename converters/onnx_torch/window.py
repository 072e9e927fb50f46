"""Windows over pictures and sequences: convolutions and pools.

ONNX pads each side by an amount of its own; PyTorch pads both sides alike, and a pool by no more
than half its window. What PyTorch cannot say is padded beforehand.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from converters.onnx_torch.node import Node, Operator, Tensor, lengths

LOWEST = float(np.finfo(np.float32).min)
Pads = list[tuple[int, int]]
"""Before and after, for each axis of the window."""


def _taken(at: Node, name: str, rank: int) -> tuple[int, ...]:
    return at.terms(name) or (1,) * rank


def _pads(at: Node, sizes: Sequence[int], kernel: Sequence[int]) -> Pads:
    """The padding, as given or as ``auto_pad`` says: ``ceil(size / stride)`` windows for SAME."""
    rank, way = len(kernel), at.attribute("auto_pad", "NOTSET")
    if way in ("NOTSET", ""):
        amounts = at.terms("pads") or (0,) * (2 * rank)
        return list(zip(amounts[:rank], amounts[rank:], strict=True))
    if way == "VALID":
        return [(0, 0)] * rank
    strides, dilations = _taken(at, "strides", rank), _taken(at, "dilations", rank)
    pads = []
    for size, k, stride, dilation in zip(sizes, kernel, strides, dilations, strict=True):
        total = max((-(-size // stride) - 1) * stride + (k - 1) * dilation + 1 - size, 0)
        less = total // 2
        pads.append((less, total - less) if way == "SAME_UPPER" else (total - less, less))
    return pads


def _padded(at: Node, x: Tensor, pads: Pads, value: float = 0.0) -> Tensor:
    if not any(before or after for before, after in pads):
        return x
    flat = [n for pair in reversed(pads) for n in pair]
    return at.torch.nn.functional.pad(x, flat, value=value)


def _conv(at: Node, x: Tensor, weight: Tensor, bias: Tensor = None) -> Tensor:
    sizes, kernel = lengths(x)[2:], lengths(weight)[2:]
    pads = _pads(at, sizes, kernel)
    if not all(before == after for before, after in pads):
        x, pads = _padded(at, x, pads), [(0, 0)] * len(kernel)
    function = getattr(at.torch.nn.functional, f"conv{len(kernel)}d")
    return function(
        x,
        weight,
        bias,
        _taken(at, "strides", len(kernel)),
        tuple(before for before, _ in pads),
        _taken(at, "dilations", len(kernel)),
        at.term("group", 1),
    )


def _conv_transpose(at: Node, x: Tensor, weight: Tensor, bias: Tensor = None) -> Tensor:
    """Made whole, then cut to what the padding leaves of it; zeros where it asks for more."""
    kernel, rank = lengths(weight)[2:], len(lengths(weight)) - 2
    strides, dilations = _taken(at, "strides", rank), _taken(at, "dilations", rank)
    function = getattr(at.torch.nn.functional, f"conv_transpose{rank}d")
    groups, extra = at.term("group", 1), at.terms("output_padding") or (0,) * rank
    whole = [
        (size - 1) * stride + (k - 1) * dilation + 1
        for size, stride, k, dilation in zip(
            lengths(x)[2:], strides, kernel, dilations, strict=True
        )
    ]
    pads = _transposed_pads(at, lengths(x)[2:], whole, strides, extra)
    if not any(extra) and all(before == after >= 0 for before, after in pads):
        alike = tuple(before for before, _ in pads)
        return function(x, weight, bias, strides, alike, 0, groups, dilations)
    made = function(x, weight, None, strides, 0, 0, groups, dilations)
    index: list[Any] = [slice(None), slice(None)]
    missing: Pads = []
    for length, (before, after), more in zip(whole, pads, extra, strict=True):
        last = length - after + more
        index.append(slice(before, min(last, length)))
        missing.append((0, max(last - length, 0)))
    made = _padded(at, made[tuple(index)], missing)
    return made if bias is None else made + bias.reshape(1, -1, *[1] * rank)


def _transposed_pads(
    at: Node,
    sizes: Sequence[int],
    whole: Sequence[int],
    strides: Sequence[int],
    extra: Sequence[int],
) -> Pads:
    """What is cut, before and after: as given, or so that the asked for lengths come out."""
    wanted, way = at.terms("output_shape"), at.attribute("auto_pad", "NOTSET")
    rank = len(whole)
    if wanted is None and way.startswith("SAME"):
        wanted = tuple(size * stride for size, stride in zip(sizes, strides, strict=True))
    if wanted is None:
        amounts = at.terms("pads") or (0,) * (2 * rank)
        return list(zip(amounts[:rank], amounts[rank:], strict=True))
    pads = []
    for length, more, asked in zip(whole, extra, wanted[-rank:], strict=True):
        total = length + more - asked
        less = total // 2
        pads.append((less, total - less) if way == "SAME_UPPER" else (total - less, less))
    return pads


def _pool_pads(at: Node, x: Tensor) -> tuple[tuple[int, ...], tuple[int, ...], Pads, Pads]:
    """Window, strides, declared padding, and the same with what ``ceil_mode`` reaches beyond.

    A last window that would begin in the padding is left out, as ONNX Runtime does.
    """
    kernel = at.terms("kernel_shape") or ()
    sizes, strides = lengths(x)[2:], _taken(at, "strides", len(kernel))
    pads = _pads(at, sizes, kernel)
    if not at.term("ceil_mode", 0):
        return kernel, strides, pads, pads
    reached = []
    for size, k, stride, (before, after) in zip(sizes, kernel, strides, pads, strict=True):
        count = -(-(size + before + after - k) // stride) + 1
        count -= (count - 1) * stride >= size + before
        reached.append((before, max(after, (count - 1) * stride + k - size - before)))
    return kernel, strides, pads, reached


def _max_pool(at: Node, x: Tensor) -> Tensor:
    kernel, strides, _, pads = _pool_pads(at, x)
    function = getattr(at.torch.nn.functional, f"max_pool{len(kernel)}d")
    if all(a == b <= k // 2 for (a, b), k in zip(pads, kernel, strict=True)):
        return function(x, kernel, strides, tuple(before for before, _ in pads))
    return function(_padded(at, x, pads, LOWEST), kernel, strides)


def _average_pool(at: Node, x: Tensor) -> Tensor:
    """Padding counts only where ``count_include_pad`` says so; what is beyond it never does."""
    kernel, strides, pads, reached = _pool_pads(at, x)
    function = getattr(at.torch.nn.functional, f"avg_pool{len(kernel)}d")
    counts = bool(at.term("count_include_pad", 0))
    if pads == reached and all(a == b <= k // 2 for (a, b), k in zip(pads, kernel, strict=True)):
        alike = tuple(before for before, _ in pads)
        return function(x, kernel, strides, alike, count_include_pad=counts)
    shares = np.ones((1, 1), np.float32)
    made = function(_padded(at, x, reached), kernel, strides)
    for axis, (size, k, stride) in enumerate(zip(lengths(x)[2:], kernel, strides, strict=True)):
        before, after = pads[axis]
        low, high = (0, before + size + after) if counts else (before, before + size)
        starts = np.arange(lengths(made)[2 + axis]) * stride
        inside = np.minimum(starts + k, high) - np.maximum(starts, low)
        shares = shares[..., None] * (k / inside).astype(np.float32)
    return made * at.constant(shares)


def _pool_lacks(at: Node) -> str:
    if set(at.terms("dilations") or ()) - {1}:
        return "a window with gaps"
    return "its second output, the places of the greatest" if at.asks(1) else ""


def _global_average(_at: Node, x: Tensor) -> Tensor:
    return x.mean(list(range(2, len(lengths(x)))), keepdim=True)


def _global_max(at: Node, x: Tensor) -> Tensor:
    return at.torch.amax(x, list(range(2, len(lengths(x)))), keepdim=True)


def _local_response(at: Node, x: Tensor) -> Tensor:
    """Each number by those of the channels around it: ``x / (k + a/n * sum of squares) ** b``."""
    size, channels = at.term("size", 1), lengths(x)[1]
    before = (size - 1) // 2
    around = [(0, 0)] * (len(lengths(x)) - 2)
    squares = _padded(at, x * x, [(before, size - 1 - before), *around])
    total = sum(squares.narrow(1, n, channels) for n in range(size))
    alpha, beta = at.attribute("alpha", 1e-4), at.attribute("beta", 0.75)
    return x / at.torch.pow(at.attribute("bias", 1.0) + total * (alpha / size), beta)


OPERATORS: dict[str, Operator] = {
    "AveragePool": Operator(_average_pool, _pool_lacks),
    "Conv": Operator(_conv),
    "ConvTranspose": Operator(_conv_transpose),
    "GlobalAveragePool": Operator(_global_average),
    "GlobalMaxPool": Operator(_global_max),
    "LRN": Operator(_local_response),
    "MaxPool": Operator(_max_pool, _pool_lacks),
}

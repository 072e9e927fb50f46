"""``Resize`` and ``Upsample``.

ONNX has six conventions of which pixel of the old grid lies under one of the new, and four of
rounding it. Where PyTorch has the same as one operation, that is taken, since devices have it too.
All others are separable: along each axis, nearest neighbours are looked up, and what is
interpolated is a product with a constant matrix, whose rows are the weights of the old pixels.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from converters.onnx_torch.node import Node, Operator, Tensor, lengths, positive
from edge_sdk.backends import Array

_ROUNDED: dict[str, Callable[[Array], Array]] = {
    "round_prefer_floor": lambda p: np.ceil(p - 0.5),
    "round_prefer_ceil": lambda p: np.floor(p + 0.5),
    "floor": np.floor,
    "ceil": np.ceil,
}
_HALF = ("half_pixel", "pytorch_half_pixel")
_CONVENTIONS = (*_HALF, "asymmetric", "align_corners", "tf_half_pixel_for_nn")
_SCALES, _SIZES = 2, 3
"""Inputs of ``Resize``; ``Upsample`` and the oldest ``Resize`` have their scales as the second."""


def _targets(at: Node, old: tuple[int, ...]) -> tuple[list[int], list[float]]:
    """The new lengths, and by how much each axis grows."""
    rank = len(old)
    sizes = at.terms("sizes", _SIZES)
    axes = [positive(a, rank) for a in at.terms("axes") or range(rank)]
    new, scales = list(old), [1.0] * rank
    if sizes:
        for axis, size in zip(axes, sizes, strict=True):
            new[axis], scales[axis] = size, size / old[axis]
        return new, scales
    place = 1 if len(at.inputs) == 2 else _SCALES
    given = at.known(place) if at.gives(place) else np.asarray(at.attribute("scales"))
    for axis, scale in zip(axes, np.asarray(given, np.float32).tolist(), strict=True):
        new[axis], scales[axis] = math.floor(old[axis] * scale), scale
    return new, scales


def _points(at: Node, old: int, new: int, scale: float) -> Array:
    """Where the centres of the new pixels lie on the old grid."""
    at_x = np.arange(new, dtype=np.float64)
    match _convention(at):
        case "align_corners":
            return at_x * (old - 1) / (new - 1) if new > 1 else at_x * 0
        case "asymmetric":
            return at_x / scale
        case "tf_half_pixel_for_nn":
            return (at_x + 0.5) / scale
        case "pytorch_half_pixel" if new == 1:
            return at_x * 0
    return (at_x + 0.5) / scale - 0.5


def _convention(at: Node) -> str:
    old = at.operation == "Upsample" or at.opset < 11
    return str(
        at.attribute("coordinate_transformation_mode", "asymmetric" if old else "half_pixel")
    )


def _weights(points: Array, old: int, cubic: float | None) -> Array:
    """The share that each old pixel has in each new one: new x old, edges repeated."""
    low = np.floor(points)
    part = points - low
    if cubic is None:
        shares = {0: 1 - part, 1: part}
    else:
        shares = {n: _cubic(np.abs(part - n), cubic) for n in (-1, 0, 1, 2)}
    matrix = np.zeros((len(points), old))
    for offset, share in shares.items():
        places = np.clip(low + offset, 0, old - 1).astype(np.int64)
        np.add.at(matrix, (np.arange(len(points)), places), share)
    return matrix


def _cubic(x: Array, a: float) -> Array:
    """Keys 1981, *Cubic convolution interpolation for digital image processing*, eq. 15."""
    near = (a + 2) * x**3 - (a + 3) * x**2 + 1
    far = a * (x**3 - 5 * x**2 + 8 * x - 4)
    return np.where(x <= 1, near, np.where(x < 2, far, 0))


def _resize(at: Node, x: Tensor, *_terms: Tensor) -> Tensor:
    old = lengths(x)
    new, scales = _targets(at, old)
    mode = "linear" if at.attribute("mode", "nearest") in ("linear", "bilinear") else "cubic"
    if at.attribute("mode", "nearest") == "nearest":
        return _nearest(at, x, new, scales)
    if mode == "linear" and (made := _as_pytorch(at, x, new, scales)) is not None:
        return made
    cubic = float(at.attribute("cubic_coeff_a", -0.75)) if mode == "cubic" else None
    for axis in range(len(old)):
        if new[axis] == old[axis] and scales[axis] == 1.0:
            continue
        points = _points(at, old[axis], new[axis], scales[axis])
        matrix = at.constant(_weights(points, old[axis], cubic).astype(np.float32))
        if axis == len(old) - 1:
            x = at.torch.matmul(x, matrix.t())
        elif axis == len(old) - 2:
            x = at.torch.matmul(matrix, x)
        else:
            x = at.torch.matmul(x.transpose(axis, -1), matrix.t()).transpose(axis, -1)
    return x


def _nearest(at: Node, x: Tensor, new: list[int], scales: list[float]) -> Tensor:
    old, places = lengths(x), {}
    rounded = _ROUNDED[at.attribute("nearest_mode", _default_rounding(at))]
    for axis, (length, wanted) in enumerate(zip(old, new, strict=True)):
        if length == wanted and scales[axis] == 1.0:
            continue
        found = rounded(_points(at, length, wanted, scales[axis]))
        places[axis] = np.clip(found, 0, length - 1).astype(np.int64)
    moved = [axis for axis, p in places.items() if not np.array_equal(p, np.arange(old[axis]))]
    repeated = all(
        new[a] % old[a] == 0
        and np.array_equal(places[a], np.arange(old[a]).repeat(new[a] // old[a]))
        for a in moved
    )
    if moved and repeated and len(old) == 4 and min(moved) >= 2:
        return at.torch.nn.functional.interpolate(x, size=new[2:], mode="nearest")
    for axis in moved:
        x = at.torch.index_select(x, axis, at.constant(places[axis]))
    return x


def _default_rounding(at: Node) -> str:
    return "floor" if at.operation == "Upsample" or at.opset < 11 else "round_prefer_floor"


def _as_pytorch(at: Node, x: Tensor, new: list[int], scales: list[float]) -> Tensor | None:
    """By PyTorch's own bilinear interpolation, where it is the same; else None."""
    old, convention = lengths(x), _convention(at)
    exact = all(s * a == n for s, a, n in zip(scales, old, new, strict=True))
    if len(old) != 4 or list(old[:2]) != new[:2] or min(new[2:]) < 2:
        return None
    interpolate = at.torch.nn.functional.interpolate
    if convention == "align_corners":
        return interpolate(x, size=new[2:], mode="bilinear", align_corners=True)
    growing = all(n % a == 0 for a, n in zip(old[2:], new[2:], strict=True))
    if convention in _HALF and exact and growing:
        return interpolate(x, size=new[2:], mode="bilinear", align_corners=False)
    return None


def _lacks(at: Node) -> str:
    for name in ("antialias", "exclude_outside"):
        if at.term(name, 0):
            return name
    if at.attribute("keep_aspect_ratio_policy", "stretch") != "stretch":
        return "keeping the aspect ratio"
    if _convention(at) not in _CONVENTIONS:
        return f"the coordinates {_convention(at)}"
    return at.unknown(1) if len(at.inputs) == 2 else at.unknown(_SCALES, _SIZES)


OPERATORS: dict[str, Operator] = {
    "Resize": Operator(_resize, _lacks),
    "Upsample": Operator(_resize, _lacks),
}

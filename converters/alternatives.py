"""The classic mistakes in front of a model: what a declaration or an array may have meant instead.

RGB for BGR, 0..1 for -1..1, stretched for letterboxed, planes for pixels: none of them raises an
error, each only costs accuracy. So each is written down here as an alternative that can be tried.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import msgspec
import numpy as np

from edge_sdk.backends import Array
from edge_sdk.spec import ImageInput

Numbers = tuple[float, ...]

NORMALISATIONS: tuple[tuple[Numbers, Numbers, str], ...] = (
    ((0.0,), (255.0,), "0..1"),
    ((127.5,), (127.5,), "-1..1"),
    ((0.0,), (1.0,), "0..255"),
    ((123.675, 116.28, 103.53), (58.395, 57.12, 57.375), "ImageNet's, rgb"),
    ((103.53, 116.28, 123.675), (57.375, 57.12, 58.395), "ImageNet's, bgr"),
    ((103.939, 116.779, 123.68), (1.0,), "Caffe's, bgr"),
)
"""(mean, std) in byte units, and what they are called."""


@dataclass(frozen=True)
class Alternative:
    """One other way of feeding the model.

    Attributes:
        what: in words that go behind "with": ``channels bgr instead of rgb``.
        remedy: what to write, or to do.
        spec: the declaration, changed; None where the data are arrays.
        change: the arrays, changed; None where the data are pictures.
    """

    what: str
    remedy: str
    spec: ImageInput | None = None
    change: Callable[[Array], Array] | None = None


def other_declarations(spec: ImageInput) -> Iterator[Alternative]:
    """Every declaration that differs from ``spec`` by one classic mistake."""
    if spec.channels != "gray":
        yield _changed(spec, channels="bgr" if spec.channels == "rgb" else "rgb")
    three = spec.channels != "gray"
    for mean, std, name in NORMALISATIONS:
        if (mean, std) != (spec.mean, spec.std) and (three or len(mean) == 1):
            other = msgspec.structs.replace(spec, mean=mean, std=std)
            yield Alternative(
                f"mean {_plain(mean)} and std {_plain(std)} ({name}) instead of "
                f"{_plain(spec.mean)} and {_plain(spec.std)}",
                f"mean = {list(mean)}, std = {list(std)}",
                other,
            )
    for resize in ("stretch", "letterbox", "crop"):
        if resize != spec.resize:
            yield _changed(spec, resize=resize)
    for interpolation in ("nearest", "bilinear", "area"):
        if interpolation != spec.interpolation:
            yield _changed(spec, interpolation=interpolation)


def other_arrays(sample: Array) -> Iterator[Alternative]:
    """Every classic mistake that arrays for a picture's tensor may hold.

    Args:
        sample: some of the data, first axis the samples: its values say which scales are possible.
    """
    if sample.ndim != 4 or sample.dtype.kind != "f":
        return
    channels_last = sample.shape[-1] in (1, 3)
    axis = 3 if channels_last else 1
    if sample.shape[axis] not in (1, 3):
        return
    height, width = (n for i, n in enumerate(sample.shape[1:], 1) if i != axis)
    low, high = float(sample.min()), float(sample.max())
    if sample.shape[axis] == 3:
        yield _arrays(
            "the channels reversed (bgr for rgb, or rgb for bgr)",
            f"reverse them: numpy.flip(x, axis={axis})",
            lambda x: np.ascontiguousarray(np.flip(x, axis=axis)),
        )
        if channels_last:
            yield _arrays(
                "the numbers read as planes (chw) instead of pixels (hwc)",
                "transpose planes, do not reshape them: x.transpose(0, 2, 3, 1)",
                lambda x: _pixels(x.reshape(len(x), 3, height, width)),
            )
        else:
            yield _arrays(
                "the numbers read as pixels (hwc) instead of planes (chw)",
                "transpose pixels, do not reshape them: x.transpose(0, 3, 1, 2)",
                lambda x: _planes(x.reshape(len(x), height, width, 3)),
            )
    if height == width:
        turn = (0, 2, 1, 3) if channels_last else (0, 1, 3, 2)
        yield _arrays(
            "rows and columns swapped",
            f"swap them: x.transpose{turn}",
            lambda x: np.ascontiguousarray(x.transpose(turn)),
        )
    if high > 2:
        yield _arrays("the numbers divided by 255", "x / 255", lambda x: x / x.dtype.type(255))
        yield _arrays(
            "the numbers in -1..1", "x / 127.5 - 1", lambda x: x / x.dtype.type(127.5) - 1
        )
    else:
        zero_to_one: Callable[[Array], Array] = _as_they_are if low >= 0 else _halved
        now = "0..1" if low >= 0 else "-1..1"
        yield _arrays(
            f"the numbers in 0..255 instead of {now}",
            "x * 255" if low >= 0 else "(x + 1) * 127.5",
            lambda x: zero_to_one(x) * x.dtype.type(255),
        )
        yield (
            _arrays("the numbers in -1..1 instead of 0..1", "x * 2 - 1", lambda x: x * 2 - 1)
            if low >= 0
            else _arrays("the numbers in 0..1 instead of -1..1", "(x + 1) / 2", _halved)
        )


def combined(first: Alternative, second: Alternative) -> Alternative:
    """Two mistakes at once; the second was found on top of the first."""
    return replace(
        second, what=f"{first.what} and {second.what}", remedy=f"{first.remedy}, {second.remedy}"
    )


def _changed(spec: ImageInput, **field: Any) -> Alternative:
    ((name, value),) = field.items()
    return Alternative(
        f"{name} {value} instead of {getattr(spec, name)}",
        f'{name} = "{value}"',
        msgspec.structs.replace(spec, **field),
    )


def _arrays(what: str, remedy: str, change: Callable[[Array], Array]) -> Alternative:
    return Alternative(what, remedy, change=change)


def _pixels(planes: Array) -> Array:
    return np.ascontiguousarray(planes.transpose(0, 2, 3, 1))


def _planes(pixels: Array) -> Array:
    return np.ascontiguousarray(pixels.transpose(0, 3, 1, 2))


def _plain(numbers: Numbers) -> str:
    return " ".join(f"{number:g}" for number in numbers)


def _as_they_are(x: Array) -> Array:
    return x


def _halved(x: Array) -> Array:
    """-1..1 as 0..1."""
    half: Array = (x + 1) / 2
    return half

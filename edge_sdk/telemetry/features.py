"""What is measured of one inference: a few numbers about its input and its answer.

They are chosen to move when a deployment goes wrong, and to say nothing of what was seen: a lens
that fogs loses ``sharpness``, a lamp that dies takes ``brightness`` and ``contrast``, a new kind of
object shows in ``confidence`` and ``margin`` before anybody labels it.

    picture      brightness, contrast, sharpness; in colour also saturation    (0..255)
    classes      confidence, margin                                            (0..1)
    boxes        objects, confidence
    other        NAME.mean, NAME.std of each tensor

A picture is measured as the model sees it: the input tensor, its normalisation undone. So the
converter, which may never have had the pictures, and the device, whose build may take integers,
measure the same thing: they use this one module. Of a colour picture only the middle channel,
green, is measured, which is most of what the eye calls brightness and a thirtieth of the work.

Numbers are rounded: their last bits are the engine's and the processor's.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from edge_sdk.processing import Processing, dequantize
from edge_sdk.processing.activation import activate
from edge_sdk.spec import Boxes, Classification, Detection, ImageInput, Signature, TensorSpec

Array: TypeAlias = npt.NDArray[Any]
Numbers: TypeAlias = tuple[float, ...]

MAX_TENSORS = 4
"""Undeclared inputs, and outputs, that are measured at most."""
_DIGITS = 3


class Probe:
    """Measures the inferences of one session, or of anything that is fed and read as it is.

    Args:
        processing: what is declared of the model.
        signature: its inputs and outputs in the original's terms.
        engine_signature: the same as the loaded build sees them; inputs may come in either terms.

    Attributes:
        names: of the features, in the order of ``measure``.
    """

    def __init__(
        self, processing: Processing, signature: Signature, engine_signature: Signature
    ) -> None:
        self._parts: list[_Part] = []
        if processing.preprocess is not None:
            self._parts.append(_picture(processing.preprocess, engine_signature))
        else:
            self._parts += [_input(spec) for spec in engine_signature.inputs[:MAX_TENSORS]]
        if isinstance(processing.postprocess, Classification):
            self._parts.append(_classes(processing.postprocess))
        elif isinstance(processing.postprocess, Detection):
            self._parts.append(_boxes())
        else:
            self._parts += [_output(spec) for spec in signature.outputs[:MAX_TENSORS]]
        self.names = tuple(name for names, _ in self._parts for name in names)

    def measure(
        self, inputs: Mapping[str, Array], outputs: Mapping[str, Array], result: object
    ) -> Numbers:
        """The features of one inference; NaN where one has no value.

        Args:
            inputs: as they were fed, one sample.
            outputs: in the signature's terms.
            result: what ``Processing.after`` made of them.
        """
        sample = _Sample(inputs, outputs, result)
        return tuple(number for _, measure in self._parts for number in measure(sample))


class _Sample(NamedTuple):
    """One inference: what was fed, what came out, what it means."""

    inputs: Mapping[str, Array]
    outputs: Mapping[str, Array]
    result: object


_Part: TypeAlias = tuple[tuple[str, ...], Callable[[_Sample], Sequence[float]]]
"""Names, and a measurement that gives as many numbers."""


def _picture(declared: ImageInput, signature: Signature) -> _Part:
    spec = next(tensor for tensor in signature.inputs if tensor.name == declared.input)
    channels = 1 if declared.channels == "gray" else 3
    means, stds = (
        np.broadcast_to(np.asarray(each, np.float32), (channels,))
        for each in (declared.mean, declared.std)
    )
    height, width = declared.size
    shape = (height, width, channels) if declared.layout == "hwc" else (channels, height, width)
    axis = 2 if declared.layout == "hwc" else 0
    middle = channels // 2

    def plane(picture: Array, channel: int) -> npt.NDArray[np.float32]:
        """One channel in byte units, a copy."""
        values: npt.NDArray[np.float32] = picture.take(channel, axis).astype(np.float32)
        values *= stds[channel]
        values += means[channel]
        return values

    def measure(sample: _Sample) -> list[float]:
        picture = _real(sample.inputs[declared.input].reshape(shape), spec)
        gray = plane(picture, middle)
        steps = np.abs(gray[:, 1:] - gray[:, :-1]).mean() if width > 1 else 0.0
        rises = np.abs(gray[1:] - gray[:-1]).mean() if height > 1 else 0.0
        brightness = gray.mean()
        gray -= brightness
        contrast = math.sqrt(np.dot(gray.ravel(), gray.ravel()) / gray.size)
        found = [float(brightness), contrast, float(steps + rises) / 2]
        if channels == 3:
            found.append(float(np.abs(plane(picture, 0) - plane(picture, 2)).mean()))
        return [round(number, _DIGITS) for number in found]

    names = ("brightness", "contrast", "sharpness", "saturation")
    return names[: 3 if channels == 1 else 4], measure


def _classes(declared: Classification) -> _Part:
    def measure(sample: _Sample) -> list[float]:
        scores = activate(sample.outputs[declared.output].reshape(-1), declared.activation)
        if scores.size < 2:
            return [round(float(scores[0]), _DIGITS), math.nan]
        second, first = np.partition(scores, scores.size - 2)[-2:].tolist()
        return [round(first, _DIGITS), round(first - second, _DIGITS)]

    return ("confidence", "margin"), measure


def _boxes() -> _Part:
    def measure(sample: _Sample) -> list[float]:
        found = sample.result.found if isinstance(sample.result, Boxes) else ()
        best = max((box.score for box in found), default=0.0)
        return [float(len(found)), round(best, _DIGITS)]

    return ("objects", "confidence"), measure


def _input(spec: TensorSpec) -> _Part:
    def measure(sample: _Sample) -> Numbers:
        return _mean_and_std(_real(sample.inputs[spec.name], spec))

    return (f"{spec.name}.mean", f"{spec.name}.std"), measure


def _output(spec: TensorSpec) -> _Part:
    def measure(sample: _Sample) -> Numbers:
        return _mean_and_std(sample.outputs[spec.name])

    return (f"{spec.name}.mean", f"{spec.name}.std"), measure


def _real(array: Array, spec: TensorSpec) -> Array:
    """Real numbers, whether the array came so or in the engine's integers."""
    if spec.quantization is None or array.dtype.kind == "f":
        return array
    return dequantize(array, spec.quantization)


def _mean_and_std(array: Array) -> Numbers:
    if not array.size or array.dtype.kind not in "fiu":
        return (math.nan, math.nan)
    values = array.astype(np.float64)
    mean, std = float(values.mean()), float(values.std())
    return (mean, std) if math.isfinite(std) else (math.nan, math.nan)

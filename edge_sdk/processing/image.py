"""A picture becomes a tensor: fit, colour, lay out, normalise, quantize. In that order, always.

A byte has 256 values, so for a quantized input the whole of ``quantize((byte - mean) / std)`` is a
table of 256 entries, and a pixel costs a look-up and no arithmetic. For a float input, arithmetic
on whole rows beats a table (10 against 12-28 microseconds for 128 x 128 x 3) and gives the same
bits.

Resampling needs OpenCV (``pip install 'edgeloop[vision]'``). A picture of the right size does not,
and gives the same numbers with or without it.
"""

from __future__ import annotations

from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from edge_sdk.errors import UsageError
from edge_sdk.processing.affine import quantize
from edge_sdk.processing.geometry import Fit, Geometry, fit
from edge_sdk.processing.opencv import import_cv2
from edge_sdk.processing.picture import Picture, check_picture, interleave, luma, planes, turned
from edge_sdk.processing.table import BYTES, ByteTable
from edge_sdk.spec import ImageInput, Quantization, TensorSpec

Array: TypeAlias = npt.NDArray[Any]

_INTEGERS = ("int8", "uint8", "int16", "uint16", "int32", "int64")
_FLOATS = ("float16", "float32", "float64")
_PLAIN = Quantization(scale=1.0, zero_point=0)


class ImagePreprocessor:
    """Feeds pictures to one input tensor, as its ``ImageInput`` declares.

    Args:
        spec: what is to be done.
        tensor: the tensor to be fed, in the engine's own type. Integers without a quantization take
            the normalised value itself, rounded.

    Raises:
        UsageError: the two do not agree, or the declaration contradicts itself.
    """

    def __init__(self, spec: ImageInput, tensor: TensorSpec) -> None:
        self.spec = spec
        self._channels = 1 if spec.channels == "gray" else 3
        self._shape = _shape_to_feed(spec, tensor, self._channels)
        self._dtype = np.dtype(tensor.dtype)
        mean = _per_channel("mean", spec.mean, self._channels)
        std = _per_channel("std", spec.std, self._channels)
        if not std.all():
            raise UsageError("preprocess.std holds a zero.", "For values 0..1: std = [255.0]")
        self._tables: tuple[ByteTable, ...] = ()
        if tensor.dtype in _INTEGERS:
            values = (BYTES.astype(np.float32) - mean[:, None]) / std[:, None]
            entries = quantize(values, tensor.quantization or _PLAIN, self._dtype)
            alike = bool((entries == entries[0]).all())
            self._tables = tuple(ByteTable(row) for row in (entries[:1] if alike else entries))
        self._mean, self._std = self._along_rows(mean), self._along_rows(std)
        self._last: tuple[tuple[int, ...], Fit] | None = None

    def prepare(
        self, frame: Array, colour: Literal["rgb", "bgr"] = "rgb"
    ) -> tuple[Array, Geometry]:
        """One picture as a batch of one.

        Args:
            frame: uint8, height x width x 3, or height x width in gray.
            colour: order of the picture's channels. They are turned after resizing, when few
                pixels are left.

        Returns:
            A new C-contiguous array of the tensor's shape and type, and the way back from its
            coordinates to the picture's.

        Raises:
            UsageError: it is not such a picture.
            UnavailableError: it must be resized and OpenCV is not installed.
        """
        picture = check_picture(frame)
        plan = self._plan(picture.shape[:2])
        pixels = self._place(picture, plan)
        if colour == "bgr" and pixels.ndim == 3:
            pixels = turned(pixels)
        pixels = self._colour(pixels)
        if self.spec.layout == "chw":
            pixels = planes(pixels)
        numbers = self._look_up(pixels) if self._tables else self._normalise(pixels)
        return numbers.reshape(self._shape), plan.geometry

    def _plan(self, size: tuple[int, ...]) -> Fit:
        # The frames of a video are all of one size: the last plan usually serves again.
        last = self._last
        if last is None or last[0] != size:
            last = self._last = size, fit((size[0], size[1]), self.spec.size, self.spec.resize)
        return last[1]

    def _place(self, picture: Picture, plan: Fit) -> Picture:
        """The picture at the model's size, in its own channels."""
        taken, placed = plan.taken, plan.placed
        part = picture[taken.rows, taken.columns]
        if part.shape[:2] != placed.shape:
            part = self._resample(part, placed.width, placed.height)
        if placed.shape == self.spec.size:
            return part
        canvas: Picture = np.zeros(self.spec.size + picture.shape[2:], np.uint8)
        canvas[placed.rows, placed.columns] = part
        return canvas

    def _resample(self, part: Picture, width: int, height: int) -> Picture:
        cv2 = import_cv2("Resizing a picture")
        modes = {
            "nearest": cv2.INTER_NEAREST,
            "bilinear": cv2.INTER_LINEAR,
            "area": cv2.INTER_AREA,
        }
        mode = modes[self.spec.interpolation]
        resized: Picture = cv2.resize(part, (width, height), interpolation=mode)
        return resized

    def _colour(self, pixels: Picture) -> Picture:
        """The model's channels, height x width x channels."""
        if self.spec.channels == "gray":
            return (pixels if pixels.ndim == 2 else luma(pixels))[..., None]
        if pixels.ndim == 2:
            return interleave(pixels, pixels, pixels)
        if self.spec.channels == "bgr":
            return turned(pixels)
        return pixels

    def _normalise(self, pixels: Picture) -> Array:
        """``(byte - mean) / std`` in float32."""
        values = pixels.reshape(len(pixels), -1).astype(np.float32)
        if self._mean.any():
            values -= self._mean
        values /= self._std
        return values.astype(self._dtype, copy=False)

    def _along_rows(self, numbers: Array) -> Array:
        """Numbers per channel in a shape that broadcasts over whole rows, as `_normalise` works.

        Broadcasting triples over pixels instead takes six times as long.
        """
        if (numbers == numbers[0]).all():
            return numbers[:1]
        return (
            numbers[:, None] if self.spec.layout == "chw" else np.tile(numbers, self.spec.size[1])
        )

    def _look_up(self, pixels: Picture) -> Array:
        if len(self._tables) == 1:
            return self._tables[0](pixels)
        axis = 0 if self.spec.layout == "chw" else 2
        stored = np.empty(pixels.shape, self._dtype)
        for i, table in enumerate(self._tables):
            np.moveaxis(stored, axis, 0)[i] = table(np.moveaxis(pixels, axis, 0)[i])
        return stored


def _shape_to_feed(spec: ImageInput, tensor: TensorSpec, channels: int) -> tuple[int, ...]:
    """The shape of one prepared picture; gray may come with or without its channel axis."""
    height, width = spec.size
    if height < 1 or width < 1:
        raise UsageError(f"preprocess.size is {list(spec.size)}.", "Both must be at least 1.")
    if tensor.dtype not in _INTEGERS + _FLOATS:
        raise UsageError(
            f"A picture cannot be fed to {tensor}.", "Leave [preprocess] out and run it on arrays."
        )
    pixels = (1, height, width, channels) if spec.layout == "hwc" else (1, channels, height, width)
    for shape in (pixels, (1, height, width)):
        if tensor.accepts(shape) and (channels == 1 or shape == pixels):
            return shape
    turned = (1, *pixels[2:], pixels[1]) if spec.layout == "chw" else (1, channels, height, width)
    hint = "Correct size (height, width), channels or layout under [preprocess]."
    if tensor.accepts(turned):
        hint = f"The model takes {'hwc' if spec.layout == 'chw' else 'chw'}: correct layout."
    raise UsageError(
        f"Preprocessing gives {'x'.join(map(str, pixels))} ({spec.channels}, {spec.layout}), "
        f"but the model wants {tensor}.",
        hint,
    )


def _per_channel(name: str, numbers: tuple[float, ...], channels: int) -> npt.NDArray[np.float32]:
    if len(numbers) not in (1, channels) or not np.isfinite(numbers).all():
        raise UsageError(
            f"preprocess.{name} is {list(numbers)}.",
            f"Give one finite number, or one per channel ({channels}).",
        )
    return np.broadcast_to(np.asarray(numbers, np.float32), (channels,)).copy()

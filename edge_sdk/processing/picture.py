"""Pictures as arrays: bytes, height x width x 3 in RGB order, or height x width in gray."""

from __future__ import annotations

import sys
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from edge_sdk.errors import UsageError

Picture: TypeAlias = npt.NDArray[np.uint8]

_BGR2RGB = 4
"""OpenCV's number for it, and for the way back."""
_LUMA_SHIFT = 15
_LUMA = (9798, 19235, 3735)
"""ITU-R BT.601 luma (.299, .587, .114) in units of 2**-15, as OpenCV rounds them."""


def check_picture(frame: npt.NDArray[Any]) -> Picture:
    """The picture itself, C-contiguous; a single channel loses its axis.

    Raises:
        UsageError: it is not a picture; says what it is instead.
    """
    if not isinstance(frame, np.ndarray):
        raise UsageError(
            f"A picture is a numpy array, not {type(frame).__name__}.",
            "Read files with edge_sdk.pipeline.read_picture(path).",
        )
    if frame.dtype != np.uint8:
        raise UsageError(
            f"A picture holds bytes (uint8, 0..255), this one {frame.dtype}.",
            "For floats 0..1: (picture * 255).round().astype('uint8').",
        )
    if frame.ndim == 3 and frame.shape[2] == 1:
        frame = frame[..., 0]
    if frame.ndim != 2 and (frame.ndim != 3 or frame.shape[2] != 3):
        raise UsageError(
            f"A picture is height x width x 3 (RGB) or height x width (gray), not {_by(frame)}.",
            "Pass one picture at a time, and without an alpha channel: picture[..., :3].",
        )
    if frame.size == 0:
        raise UsageError(f"The picture is empty ({_by(frame)}).", "Check where it comes from.")
    return np.ascontiguousarray(frame)


def luma(pixels: Picture) -> Picture:
    """The gray of RGB pixels, height x width, equal to OpenCV's to the bit."""
    total = np.full(pixels.shape[:2], 1 << (_LUMA_SHIFT - 1), np.uint32)
    for channel, weight in enumerate(_LUMA):
        total += np.multiply(pixels[..., channel], np.uint32(weight), dtype=np.uint32)
    total >>= np.uint32(_LUMA_SHIFT)
    return total.astype(np.uint8)


def turned(pixels: Picture) -> Picture:
    """A copy of a colour picture with its channels in reverse order: RGB for BGR."""
    # Whoever has pictures in BGR has loaded OpenCV, which takes a twentieth of numpy's time. While
    # another thread is still importing it, it has no such function.
    turn = getattr(sys.modules.get("cv2"), "cvtColor", None)
    if turn is not None:
        copy: Picture = turn(pixels, _BGR2RGB)
        return copy
    return interleave(pixels[..., 2], pixels[..., 1], pixels[..., 0])


def interleave(*planes: Picture) -> Picture:
    """Planes of height x width as the channels of one picture."""
    # Three strided copies take a third of the time of numpy.stack or a fancy index.
    pixels = np.empty((*planes[0].shape, len(planes)), np.uint8)
    for i, plane in enumerate(planes):
        pixels[..., i] = plane
    return pixels


def planes(pixels: Picture) -> Picture:
    """Channels first: height x width x channels becomes channels x height x width."""
    return np.ascontiguousarray(pixels.transpose(2, 0, 1))


def _by(frame: npt.NDArray[Any]) -> str:
    return " x ".join(map(str, frame.shape)) or "a single number"

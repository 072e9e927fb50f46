"""What is wrong with a picture, from a copy of at most 160 pixels, in a fraction of a millisecond.

``dark``, ``bright``  mean of the luma, 0..255
``burnt out``         share of pixels at 250 and above
``blank``             standard deviation of the luma
``blurred``           variance of the Laplacian (Pertuz et al., 2013: LAPV)
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np

from edge_sdk.processing.opencv import import_cv2
from edge_sdk.processing.picture import Picture
from edge_sdk.spec.guard import InputLimits

_SIDE = 160
_BURNT = 250


def fault_of_picture(
    picture: Picture, limits: InputLimits, colour: Literal["rgb", "bgr"] = "rgb"
) -> str:
    """The first limit that a picture does not keep, in a word or two; empty if it keeps all.

    Args:
        picture: bytes, height x width x 3 or height x width.
        limits: what it must keep.
        colour: order of its channels.

    Raises:
        UnavailableError: OpenCV is not installed.
    """
    height, width = picture.shape[:2]
    (min_width, min_height), (max_width, max_height) = limits.min_size, limits.max_size
    if width < min_width or height < min_height:
        return "too small"
    if width > max_width or height > max_height:
        return "too large"
    cv2 = import_cv2("The input guard")
    gray = _small(cv2, picture, colour)
    return _fault_of_light(cv2, gray, limits) or _fault_of_focus(cv2, gray, limits)


def _fault_of_light(cv2: Any, gray: Picture, limits: InputLimits) -> str:
    (mean,), (deviation,) = (each[0] for each in cv2.meanStdDev(gray))
    if deviation < limits.min_contrast:
        return "blank"
    if mean < limits.min_luma:
        return "dark"
    if mean > limits.max_luma:
        return "bright"
    burnt = limits.max_burnt < 1 and np.count_nonzero(gray >= _BURNT) > limits.max_burnt * gray.size
    return "burnt out" if burnt else ""


def _fault_of_focus(cv2: Any, gray: Picture, limits: InputLimits) -> str:
    if limits.min_sharpness <= 0:
        return ""
    edges = cv2.Laplacian(gray, cv2.CV_16S)
    return "blurred" if float(edges.var()) < limits.min_sharpness else ""


def _small(cv2: Any, picture: Picture, colour: str) -> Any:
    height, width = picture.shape[:2]
    shrink = max(1.0, max(height, width) / _SIDE)
    if shrink > 1:
        size = max(1, round(width / shrink)), max(1, round(height / shrink))
        picture = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
    if picture.ndim == 2:
        return picture
    return cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY if colour == "bgr" else cv2.COLOR_RGB2GRAY)

"""Answers drawn onto pictures, legibly on 176 x 144 as on 4K.

Every length is a multiple of one unit that grows with the picture, so that a drawing looks the same
at any size, down to the pixel or two that a line and a letter need to be seen at all.
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np

from edge_sdk.explain import Explanation
from edge_sdk.pipeline.pool import PicturePool
from edge_sdk.processing import Mask
from edge_sdk.processing.opencv import import_cv2
from edge_sdk.processing.picture import Picture
from edge_sdk.spec import Box, Boxes, Classes, ClassScore

_COLOURS = (
    (76, 217, 100),
    (255, 179, 0),
    (64, 156, 255),
    (255, 92, 92),
    (190, 120, 255),
    (0, 200, 200),
    (255, 128, 192),
    (200, 200, 80),
)
"""RGB, by class; bright enough for dark text on them."""
_INK = (16, 16, 16)
_PAPER = (245, 245, 245)

_DIMMED = 3
"""What the brightness outside of a mask is divided by."""
_MOST_HEAT = 0.75
"""How much of the picture an explanation's strongest colour covers."""

_UNIT_OF = 360
"""The shorter side of a picture whose unit is one pixel."""
_LEAST_SIDE, _MOST_TIMES = 120, 8
"""A picture whose shorter side has fewer pixels is enlarged: letters need room."""
_TEXT_PX, _LEAST_TEXT_PX = 13.0, 9.0
"""Height of a capital letter, in units, and the least that is legible, in pixels."""
_HERSHEY_PX = 22.0
"""The same of OpenCV's simplex font at scale 1."""


def draw(
    picture: Picture,
    result: Boxes | Classes | Mask | Explanation,
    colour: Literal["rgb", "bgr"] = "rgb",
    pool: PicturePool | None = None,
) -> Picture:
    """A copy of a picture with the answer drawn on it.

    A picture too small for letters is enlarged first, by a whole factor.

    Args:
        picture: bytes, height x width x 3.
        result: boxes with their keypoints and labels, or classes, of which the best are listed in
            the upper left corner, or a mask, outside of which the picture is dimmed, or an
            explanation: what the score rests on glows, dark red to yellow, on a gray picture.
        colour: order of the picture's channels.
        pool: has the memory for the copy.

    Raises:
        UnavailableError: OpenCV is not installed.
    """
    pen = _Pen(_enlarged(picture, pool or PicturePool()), colour)
    if isinstance(result, Boxes):
        for box in reversed(result.found):  # the surest on top
            pen.outline(box)
        for box in reversed(result.found):
            pen.name(box)
    elif isinstance(result, Classes):
        pen.listing(result)
    elif isinstance(result, Explanation):
        pen.glow(result)
    else:
        pen.lift_out(result)
    return pen.picture


def load_font() -> None:
    """What OpenCV does at the first letter of a process, for 50 to 90 ms."""
    cv2 = import_cv2("Drawing")
    cv2.getTextSize("A", cv2.FONT_HERSHEY_SIMPLEX, 1, 1)


class _Pen:
    """Draws on one picture, in its unit."""

    def __init__(self, picture: Picture, colour: Literal["rgb", "bgr"]) -> None:
        self._cv2: Any = import_cv2("Drawing")
        self.picture = picture
        self._bgr = colour == "bgr"
        self._colours = _COLOURS if colour == "rgb" else tuple(each[::-1] for each in _COLOURS)
        self._height, self._width = self.picture.shape[:2]
        unit = min(self._height, self._width) / _UNIT_OF
        self._line = max(1, round(2 * unit))
        self._dot = max(1, round(2.5 * unit))
        text_px = max(_LEAST_TEXT_PX, _TEXT_PX * unit)
        self._font: int = self._cv2.FONT_HERSHEY_SIMPLEX
        self._scale = text_px / _HERSHEY_PX
        self._weight = max(1, round(text_px / 14))
        self._capital, self._descent = round(text_px), round(text_px * 0.25)
        self._margin = max(1, round(text_px * 0.15))

    def outline(self, box: Box) -> None:
        """The box's edges and keypoints."""
        cv2 = self._cv2
        colour = self._colours[box.index % len(_COLOURS)]
        corners = self._pixel(box.left, box.top), self._pixel(box.right, box.bottom)
        # A dark edge around the bright line keeps it visible on any background.
        if self._line > 1:
            cv2.rectangle(self.picture, *corners, _INK, self._line + 2, cv2.LINE_AA)
        cv2.rectangle(self.picture, *corners, colour, self._line, cv2.LINE_AA)
        for x, y in box.keypoints:
            centre = self._pixel(x, y)
            cv2.circle(self.picture, centre, self._dot + 1, _INK, cv2.FILLED, cv2.LINE_AA)
            cv2.circle(self.picture, centre, self._dot, colour, cv2.FILLED, cv2.LINE_AA)

    def lift_out(self, mask: Mask) -> None:
        """What belongs stays as it is, with a line around; all else is dimmed."""
        cv2 = self._cv2
        belongs = mask.over(self._height, self._width) >= mask.min_score
        self.picture[~belongs] //= _DIMMED
        edges, _ = cv2.findContours(
            belongs.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE
        )
        cv2.drawContours(self.picture, edges, -1, self._colours[0], self._line, cv2.LINE_AA)

    def glow(self, explanation: Explanation) -> None:
        """What speaks for the target in colours, and its name and score on a plate."""
        cv2 = self._cv2
        for_it = np.maximum(explanation.over(self._height, self._width), 0)
        heat = for_it / for_it.max() if explanation.depends and for_it.any() else for_it
        colours = cv2.applyColorMap(np.rint(255 * heat).astype(np.uint8), cv2.COLORMAP_HOT)
        gray = self.picture.mean(axis=2, keepdims=True)
        colours = colours if self._bgr else colours[..., ::-1]
        share = _MOST_HEAT * heat[..., None]
        self.picture[:] = np.rint(gray + share * (colours - gray))
        label = ClassScore(
            index=explanation.index or 0, label=explanation.target, score=explanation.score
        )
        self.listing(Classes(top=(label,)))

    def name(self, box: Box) -> None:
        """The box's label and score on a plate: above it, or within it at the picture's edge."""
        text = f"{box.label} {box.score:.2f}"
        width, height = self._plate_size(text)
        left, top = self._pixel(box.left, box.top)
        left = max(0, min(left - self._line // 2, self._width - width))
        top = top - height if top >= height else top
        self._plate(text, left, top, self._colours[box.index % len(_COLOURS)])

    def listing(self, classes: Classes) -> None:
        """The likeliest classes, one plate below the other; the best one in colour."""
        texts = [f"{found.label} {found.score:.2f}" for found in classes.top]
        top = 0
        for at, text in enumerate(texts):
            _, height = self._plate_size(text)
            if top + height > self._height and at:
                break
            self._plate(text, 0, top, self._colours[0] if at == 0 else _PAPER)
            top += height

    def _pixel(self, x: float, y: float) -> tuple[int, int]:
        return round(x * (self._width - 1)), round(y * (self._height - 1))

    def _plate_size(self, text: str) -> tuple[int, int]:
        (width, _), _ = self._cv2.getTextSize(text, self._font, self._scale, self._weight)
        return width + 4 * self._margin, self._capital + self._descent + 2 * self._margin

    def _plate(self, text: str, left: int, top: int, colour: tuple[int, int, int]) -> None:
        width, height = self._plate_size(text)
        self.picture[top : top + height, left : left + width] = colour
        self._cv2.putText(
            self.picture,
            text,
            (left + 2 * self._margin, top + self._margin + self._capital),
            self._font,
            self._scale,
            _INK,
            self._weight,
            self._cv2.LINE_AA,
        )


def _enlarged(picture: Picture, pool: PicturePool) -> Picture:
    """A copy, large enough for letters."""
    times = min(_MOST_TIMES, -(-_LEAST_SIDE // min(picture.shape[:2])))
    if times == 1:
        return pool.copy(picture)
    return picture.repeat(times, axis=0).repeat(times, axis=1)

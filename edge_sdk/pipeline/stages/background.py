"""The room behind a person, blurred or replaced.

Fast on one core, by doing little at full size:

* the mask is made firm and steady at the model's size, and enlarged once;
* the blur is made at a fraction of the size, where three small box filters are as good as one wide
  Gaussian. The person is left out of it, or there would be a halo of skin and shirt around them;
* pictures are blended only in the rectangle where the person is; elsewhere the background is all.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from edge_sdk.errors import UsageError
from edge_sdk.pipeline.frames import Frame
from edge_sdk.pipeline.picture_file import read_picture
from edge_sdk.pipeline.pool import PicturePool
from edge_sdk.pipeline.stages.answers import answer
from edge_sdk.processing import Geometry, Mask
from edge_sdk.processing.opencv import import_cv2
from edge_sdk.processing.picture import Picture

Floats = npt.NDArray[np.float32]

_SMALL = 72
"""About how many pixels the shorter side has where the blur is made."""
_FIRM = 0.18
"""Scores so far below the mask's threshold are background, so far above it the person."""


class Background:
    """Keeps the person, changes the rest.

    Args:
        of: the stage with the person's ``Mask``.
        look: ``"blur"``, a colour such as ``"#00b140"``, or a picture file.
        name: of this stage.
        strength: of the blur, 1.0 is that of a portrait.
        steady: how much of the mask of the frame before stays, 0 to 0.9; less flicker, more trail.

    Raises:
        UsageError: the look is none of these.
    """

    def __init__(
        self,
        of: str = "person",
        look: str | Path = "blur",
        name: str = "background",
        *,
        strength: float = 1.0,
        steady: float = 0.35,
    ) -> None:
        if not 0 <= steady <= 0.9 or not strength > 0:
            raise UsageError(
                f"steady is {steady:g} and strength {strength:g}.", "steady 0..0.9, strength over 0"
            )
        self.name = name
        self._cv2 = import_cv2("Changing the background")
        self._of, self._strength, self._steady = of, strength, steady
        self._scene: Picture | None = None  # BGR
        if str(look) != "blur":
            self._scene = _scene(str(look))
        self._fitted: tuple[tuple[int, ...], str, Picture] | None = None
        self._masks: dict[str, Floats] = {}
        self._pool = PicturePool()
        self._weight: Floats | None = None  # of the person's pixels; memory that is used again
        self._rest: Floats | None = None  # what is missing to 1

    def process(self, frame: Frame) -> Frame:
        """The frame with another background, on a picture of its own."""
        found = answer(frame, self._of, Mask)
        picture = frame.with_colour()
        height, width = frame.picture.shape[:2]
        person = self._firm(frame, found)
        if found.geometry != Geometry():
            person = Mask(person, found.geometry, found.min_score).over(height, width)
        if self._scene is None:
            behind = self._blurred(picture, person)
        else:
            behind = self._pool.copy(self._fit(self._scene, frame.colour, height, width))
        self._put_person(picture, person, behind)
        return frame.shows(behind)

    def _firm(self, frame: Frame, mask: Mask) -> Floats:
        """Scores with their slope made steep, and mixed with those of the frame before."""
        scores = mask.scores
        height, width = frame.picture.shape[:2]
        if mask.geometry == Geometry() and scores.shape[0] > height and scores.shape[1] > width:
            # A mask is finer than a small picture: what the picture cannot show costs nothing.
            cv2 = self._cv2
            scores = cv2.resize(scores, (width, height), interpolation=cv2.INTER_LINEAR)
        firm: Floats = scores - (mask.min_score - _FIRM)
        firm *= 0.5 / _FIRM
        firm.clip(0, 1, out=firm)
        before = self._masks.get(frame.stream)
        if frame.time_s is not None and before is not None and before.shape == firm.shape:
            firm = self._cv2.addWeighted(firm, 1 - self._steady, before, self._steady, 0)
        self._masks[frame.stream] = firm
        return firm

    def _blurred(self, picture: Picture, person: Floats) -> Picture:
        cv2 = self._cv2
        height, width = picture.shape[:2]
        shrink = max(1, min(height, width) // _SMALL)
        size = max(1, width // shrink), max(1, height // shrink)
        small = cv2.resize(picture, size, interpolation=cv2.INTER_AREA).astype(np.float32)
        room = 1.001 - cv2.resize(person, size, interpolation=cv2.INTER_AREA)
        side = max(3, round(min(size) * 0.075 * self._strength) | 1)
        summed = cv2.merge([*(cv2.split(small * room[..., None])), room])
        for _ in range(3):
            summed = cv2.blur(summed, (side, side))
        blurred = summed[..., :3] / summed[..., 3:]
        grown: Picture = cv2.resize(
            blurred.clip(0, 255).astype(np.uint8),
            (width, height),
            self._pool.empty(picture.shape),
            interpolation=cv2.INTER_LINEAR,
        )
        return grown

    def _put_person(self, picture: Picture, person: Floats, behind: Picture) -> None:
        """Blend the person into the background, where there is one."""
        cv2 = self._cv2
        height, width = picture.shape[:2]
        rows_of, columns_of = person.shape
        (down,) = np.nonzero(person.max(axis=1) > 0.01)
        (across,) = np.nonzero(person.max(axis=0) > 0.01)
        if not down.size:
            return
        # One more on each side: enlarging reaches over to the neighbours.
        top, bottom = _span(down, rows_of, height)
        left, right = _span(across, columns_of, width)
        whole = person
        if person.shape != (height, width):
            whole = self._weight = cv2.resize(
                person, (width, height), self._weight, interpolation=cv2.INTER_LINEAR
            )
        if self._rest is None or self._rest.shape != (height, width):
            self._rest = np.empty((height, width), np.float32)
        # In place, on views: the copies around it would cost as much as the blend itself.
        here = slice(top, bottom), slice(left, right)
        weight, rest, room = whole[here], self._rest[here], behind[here]
        cv2.subtract(1.0, weight, rest)
        cv2.blendLinear(picture[here], room, weight, rest, room)

    def _fit(self, scene: Picture, colour: str, height: int, width: int) -> Picture:
        """The scene, cut and scaled to fill the picture; kept for the next frame."""
        key = (height, width)
        if self._fitted is None or self._fitted[:2] != (key, colour):
            grow = max(height / scene.shape[0], width / scene.shape[1])
            size = (
                max(width, round(scene.shape[1] * grow)),
                max(height, round(scene.shape[0] * grow)),
            )
            large = self._cv2.resize(scene, size, interpolation=self._cv2.INTER_AREA)
            top, left = (size[1] - height) // 2, (size[0] - width) // 2
            cut = large[top : top + height, left : left + width]
            if colour == "rgb":
                cut = cut[..., ::-1]
            self._fitted = key, colour, np.ascontiguousarray(cut)
        return self._fitted[2]


def _span(places: Any, of: int, pixels: int) -> tuple[int, int]:
    low, high = max(0, int(places[0]) - 1), min(of, int(places[-1]) + 2)
    return low * pixels // of, -(-high * pixels // of)


def _scene(look: str) -> Picture:
    """The picture to put behind, BGR."""
    if look.startswith("#"):
        try:
            red, green, blue = bytes.fromhex(look[1:])
        except ValueError as error:
            raise UsageError(f"{look!r} is no colour.", "'#00b140' is a studio's green") from error
        return np.full((8, 8, 3), (blue, green, red), np.uint8)
    if not Path(look).exists():
        raise UsageError(
            f"{look!r} is neither 'blur', nor a colour such as '#00b140', nor a picture file.",
            "--background blur",
        )
    return np.ascontiguousarray(read_picture(look)[..., ::-1])

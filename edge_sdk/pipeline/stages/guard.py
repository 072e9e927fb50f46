"""The input guard: pictures that no model should be asked about go no further, and are counted.

A lens cap, a camera that looks into the sun, one out of focus: a model answers such pictures as
confidently as others. The measures are taken on a copy of at most 160 pixels, in a fraction of a
millisecond:

``dark``, ``bright``  mean of the luma, 0..255
``burnt out``         share of pixels at 250 and above
``blank``             standard deviation of the luma
``blurred``           variance of the Laplacian, on 160 pixels (Pertuz et al., 2013: LAPV)
"""

from __future__ import annotations

from typing import Any

import numpy as np

from edge_sdk.errors import UsageError
from edge_sdk.pipeline.frames import Frame
from edge_sdk.pipeline.pipeline import Refused, Running
from edge_sdk.processing.opencv import import_cv2

_SIDE = 160
_BURNT = 250


class Guard:
    """Lets good pictures through. Every limit is off at its default but those of blank pictures.

    Args:
        min_size, max_size: (width, height) in pixels.
        min_luma, max_luma: of the mean.
        max_burnt: share of pixels.
        min_contrast: standard deviation; a lens cap has about 1.
        min_sharpness: variance of the Laplacian; 20 is soft, 100 ordinary, by camera and scene.
        most_per_s: a rate limit for each stream, by the time the frames were taken.
        name: of the stage; the reports count what it refused by it.

    Raises:
        UsageError: limits that nothing can pass.
    """

    def __init__(
        self,
        *,
        min_size: tuple[int, int] = (1, 1),
        max_size: tuple[int, int] = (16384, 16384),
        min_luma: float = 0.0,
        max_luma: float = 255.0,
        max_burnt: float = 1.0,
        min_contrast: float = 2.0,
        min_sharpness: float = 0.0,
        most_per_s: float | None = None,
        name: str = "guard",
    ) -> None:
        self.name = name
        if (
            min_luma >= max_luma
            or max_burnt < 0
            or any(low > high for low, high in zip(min_size, max_size, strict=True))
            or (most_per_s is not None and most_per_s <= 0)
        ):
            raise UsageError(
                "No picture can pass these limits.", "Guard(min_luma=20, max_luma=235)"
            )
        self._sizes = min_size, max_size
        self._luma = min_luma, max_luma
        self._max_burnt = max_burnt
        self._min_contrast = min_contrast
        self._min_sharpness = min_sharpness
        self._period_s = None if most_per_s is None else 1 / most_per_s
        self._next_s: dict[str, float] = {}
        self._cv2 = import_cv2("The input guard")

    def begin(self, running: Running) -> None:
        """Called by the pipeline."""
        self._next_s.clear()

    def process(self, frame: Frame) -> Frame:
        """The frame itself. Raises Refused with the reason."""
        reason = self._fault(frame)
        if reason:
            raise Refused(reason)
        return frame

    def _fault(self, frame: Frame) -> str:
        height, width = frame.picture.shape[:2]
        (min_width, min_height), (max_width, max_height) = self._sizes
        if width < min_width or height < min_height:
            return "too small"
        if width > max_width or height > max_height:
            return "too large"
        return self._looks(self._small(frame)) or self._pace(frame)

    def _small(self, frame: Frame) -> Any:
        cv2 = self._cv2
        picture = frame.picture
        height, width = picture.shape[:2]
        shrink = max(1.0, max(height, width) / _SIDE)
        if shrink > 1:
            size = max(1, round(width / shrink)), max(1, round(height / shrink))
            picture = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
        if picture.ndim == 2:
            return picture
        order = cv2.COLOR_BGR2GRAY if frame.colour == "bgr" else cv2.COLOR_RGB2GRAY
        return cv2.cvtColor(picture, order)

    def _looks(self, gray: Any) -> str:
        (mean,), (deviation,) = (each[0] for each in self._cv2.meanStdDev(gray))
        if deviation < self._min_contrast:
            return "blank"
        if mean < self._luma[0]:
            return "dark"
        if mean > self._luma[1]:
            return "bright"
        if self._max_burnt < 1 and np.count_nonzero(gray >= _BURNT) / gray.size > self._max_burnt:
            return "burnt out"
        if self._min_sharpness > 0:
            edges = self._cv2.Laplacian(gray, self._cv2.CV_16S)
            if float(edges.var()) < self._min_sharpness:
                return "blurred"
        return ""

    def _pace(self, frame: Frame) -> str:
        """The rate limit: a token every period, of which none can be saved up."""
        if self._period_s is None:
            return ""
        due = self._next_s.get(frame.stream, frame.taken_s)
        if frame.taken_s < due - 1e-6:
            return "too many a second"
        self._next_s[frame.stream] = max(due, frame.taken_s - self._period_s) + self._period_s
        return ""

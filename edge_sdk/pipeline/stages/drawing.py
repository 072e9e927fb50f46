"""Answers drawn onto the picture, and the picture beside what it was."""

from __future__ import annotations

import threading

from edge_sdk.errors import UsageError
from edge_sdk.pipeline.draw import draw, load_font
from edge_sdk.pipeline.frames import Frame
from edge_sdk.pipeline.pool import PicturePool
from edge_sdk.pipeline.stages.answers import answer
from edge_sdk.pipeline.stages.tracker import Tracks
from edge_sdk.processing import Mask
from edge_sdk.processing.opencv import import_cv2
from edge_sdk.spec import Boxes, Classes

ORIGINAL = "original"


class Drawing:
    """Draws what a stage has found (``edge_sdk.pipeline.draw``).

    Args:
        of: the stage whose answers are drawn.
        name: of this stage.
    """

    def __init__(self, of: str, name: str = "drawing") -> None:
        self.name = name
        self._of = of
        self._pool = PicturePool()
        self._font: threading.Thread | None = None

    def __enter__(self) -> Drawing:
        # While the first frames come: a live pipeline would pause at the first thing it finds.
        self._font = threading.Thread(target=load_font, name="font", daemon=True)
        self._font.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._font is not None:
            self._font.join()

    def process(self, frame: Frame) -> Frame:
        """The frame with the drawing; as it is where the answer is none that can be drawn.

        Raises:
            UsageError: there is no such answer.
        """
        found = answer(frame, self._of)
        if isinstance(found, Tracks):
            found = Boxes(found=tuple(track.box for track in found.tracks if not track.unseen))
        if not isinstance(found, Boxes | Classes | Mask):
            return frame
        return frame.shows(draw(frame.with_colour(), found, frame.colour, self._pool))


class SideBySide:
    """The picture of an earlier moment on the left, the one of now on the right.

    Put ``SideBySide.keep`` where that moment is.

    Args:
        name: of this stage.
    """

    def __init__(self, name: str = "side by side") -> None:
        self.name = name
        self.keep = _Keep()

    def process(self, frame: Frame) -> Frame:
        """The frame, twice as wide. Raises UsageError if nothing was kept."""
        cv2 = import_cv2("Side by side")
        if ORIGINAL not in frame.answers:
            raise UsageError(
                "There is nothing to show beside the picture.",
                "beside = SideBySide(); stages=[beside.keep, …, beside]",
            )
        before: Frame = frame.answers[ORIGINAL]
        left = before.picture if before.colour == frame.colour else before.turned()
        height, width = frame.picture.shape[:2]
        if left.shape[:2] != (height, width):
            left = cv2.resize(left, (width, height), interpolation=cv2.INTER_AREA)
        return frame.shows(cv2.hconcat([left, frame.picture]))


class _Keep:
    name = "keep"
    inline = True

    def process(self, frame: Frame) -> Frame:
        """The frame, remembering what it looks like now: the picture must not be changed later."""
        return frame.answered(ORIGINAL, frame)

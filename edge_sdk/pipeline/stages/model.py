"""Models as stages: one on the whole picture, and one on each thing that another has found."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from edge_sdk.errors import UsageError
from edge_sdk.pipeline.frames import Frame
from edge_sdk.pipeline.parts import Refused, Running
from edge_sdk.pipeline.stages.answers import answer
from edge_sdk.pipeline.stages.tracker import Tracks
from edge_sdk.processing.picture import Picture
from edge_sdk.runtime import Session
from edge_sdk.runtime.batches import answer_many
from edge_sdk.spec import Boxes


class Model:
    """Asks a session about every frame; its answer is ``frame.answers[name]``.

    The picture is fed as the camera gives it: a model sees few pixels, and only those are turned to
    the order it wants. A frame that does not keep the limits of the session's guard goes no further
    and is counted by the reason; the rate is that of the video, or of when frames were taken.

    Args:
        session: a model that declares its preprocessing; stays the caller's to close.
        name: of the stage and of its answers.
        most: up to so many waiting frames, of whatever streams, are run as one batch. Worth it for
            a model whose number of rows is open; others are run row by row.

    Raises:
        UsageError: the model takes no pictures, or ``most`` is no number of frames.
    """

    def __init__(self, session: Session, name: str = "model", *, most: int = 1) -> None:
        self.session = session
        self.name = name
        self.most = at_least_one(most)
        if session.processing.preprocess is None:
            raise UsageError(
                f"The model of the stage {name!r} declares no preprocessing, so it takes no "
                "pictures.",
                "edge_sdk.load(…, preprocess=ImageInput(…))",
            )

    def begin(self, running: Running) -> None:
        """Called by the pipeline."""
        if self.session.guard is not None:
            self.session.guard.begin_anew()

    def process(self, frame: Frame) -> Frame:
        """The frame with the model's answer. Raises Refused with the reason of the guard."""
        if reason := _refusal(self.session, frame.picture, frame, frame.stream):
            raise Refused(reason)
        processing = self.session.processing
        inputs, geometry = processing.before(frame.picture, frame.colour)
        return frame.answered(self.name, processing.after(self.session.run(inputs), geometry))

    def process_many(self, frames: Sequence[Frame]) -> list[Frame | Refused]:
        """The frames with their answers, of one run, and what the guard says of the others."""
        reasons = [_refusal(self.session, each.picture, each, each.stream) for each in frames]
        told = list(zip(frames, reasons, strict=True))
        asked = [(frame.picture, frame.colour) for frame, reason in told if not reason]
        answers = iter(answer_many(self.session, asked))
        return [
            Refused(reason) if reason else frame.answered(self.name, next(answers))
            for frame, reason in told
        ]


class Crops:
    """Asks a session about each thing that an earlier stage has found: a classifier on crops.

    ``frame.answers[name]`` is a tuple, an answer for each of the boxes, in their order; None for
    those that the session's guard refuses, which counts them. To a rate limit the first boxes of a
    stream's frames are one stream, the second ones another, and so on.

    Args:
        session: as for ``Model``.
        of: the stage whose ``Boxes`` or ``Tracks`` say where to look.
        name: of this stage and of its answers.
        margin: how much wider than the box to look, in parts of its sides.
        most: of so many boxes at most, the surest; what is not asked about is None.
    """

    def __init__(
        self, session: Session, of: str, name: str = "crops", *, margin: float = 0.1, most: int = 16
    ) -> None:
        self.session = session
        self.name = name
        self._of, self._margin, self._most_boxes = of, margin, at_least_one(most)

    def begin(self, running: Running) -> None:
        """Called by the pipeline."""
        if self.session.guard is not None:
            self.session.guard.begin_anew()

    def process(self, frame: Frame) -> Frame:
        """The frame with the answers about its boxes."""
        boxes = boxes_of(frame, self._of)
        height, width = frame.picture.shape[:2]
        surest = sorted(range(len(boxes.found)), key=lambda at: -boxes.found[at].score)
        asked: list[int] = []
        pictures: list[tuple[Any, Any]] = []
        for at in sorted(surest[: self._most_boxes]):
            box = boxes.found[at]
            wider = self._margin * (box.right - box.left), self._margin * (box.bottom - box.top)
            left, right = _pixels(box.left - wider[0], box.right + wider[0], width)
            top, bottom = _pixels(box.top - wider[1], box.bottom + wider[1], height)
            crop = frame.picture[top:bottom, left:right]
            if not _refusal(self.session, crop, frame, f"{frame.stream} {at}"):
                asked.append(at)
                pictures.append((crop, frame.colour))
        answers = dict(zip(asked, answer_many(self.session, pictures), strict=True))
        return frame.answered(self.name, tuple(map(answers.get, range(len(boxes.found)))))


def at_least_one(most: int) -> int:
    """The number itself. Raises UsageError if it is none of things to work on."""
    if not isinstance(most, int) or most < 1:
        raise UsageError(f"most is {most!r}.", "most=1, or more")
    return most


def _refusal(session: Session, picture: Picture, frame: Frame, stream: str) -> str:
    """Why the guard, if there is one, does not want this to be asked; empty if it does.

    Raises:
        RefusedInput: it is no picture.
    """
    if session.guard is None:
        return ""
    # For those alone who have limits.
    from edge_sdk.guard.guard import DOES_NOT_FIT, RefusedInput

    try:
        session.guard.admit(picture, colour=frame.colour, stream=stream, at_s=frame.moment_s)
    except RefusedInput as refused:
        if refused.reason == DOES_NOT_FIT:
            raise  # no picture: a mistake of who made the frame, and no poor one of the camera's
        return refused.reason
    return ""


def _pixels(low: float, high: float, length: int) -> tuple[int, int]:
    """A span of at least one pixel."""
    first = min(max(0, int(low * length)), length - 1)
    return first, max(first + 1, min(length, int(np.ceil(high * length))))


def boxes_of(frame: Frame, stage: str) -> Boxes:
    """The boxes that a stage found.

    Raises:
        UsageError: there is no such stage before, or it finds no boxes.
    """
    found: Boxes | Tracks = answer(frame, stage, Boxes, Tracks)
    if isinstance(found, Tracks):
        return Boxes(found=tuple(track.box for track in found.tracks))
    return found

"""Models as stages: one on the whole picture, and one on each thing that another has found."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from edge_sdk.errors import UsageError
from edge_sdk.pipeline.frames import Frame
from edge_sdk.pipeline.stages.answers import answer
from edge_sdk.pipeline.stages.tracker import Tracks
from edge_sdk.runtime import Session
from edge_sdk.spec import Boxes


class Model:
    """Asks a session about every frame; its answer is ``frame.answers[name]``.

    The picture is fed as the camera gives it: a model sees few pixels, and only those are turned to
    the order it wants.

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

    def process(self, frame: Frame) -> Frame:
        """The frame with the model's answer."""
        processing = self.session.processing
        inputs, geometry = processing.before(frame.picture, frame.colour)
        return frame.answered(self.name, processing.after(self.session.run(inputs), geometry))

    def process_many(self, frames: Sequence[Frame]) -> list[Frame]:
        """The frames with their answers, of one run."""
        answers = ask_many(self.session, [(frame.picture, frame.colour) for frame in frames])
        return [
            frame.answered(self.name, answer) for frame, answer in zip(frames, answers, strict=True)
        ]


class Crops:
    """Asks a session about each thing that an earlier stage has found: a classifier on crops.

    ``frame.answers[name]`` is a tuple, an answer for each of the boxes, in their order.

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

    def process(self, frame: Frame) -> Frame:
        """The frame with the answers about its boxes."""
        boxes = boxes_of(frame, self._of)
        height, width = frame.picture.shape[:2]
        surest = sorted(range(len(boxes.found)), key=lambda at: -boxes.found[at].score)
        asked = sorted(surest[: self._most_boxes])
        pictures: list[tuple[Any, Any]] = []
        for box in (boxes.found[at] for at in asked):
            wider = self._margin * (box.right - box.left), self._margin * (box.bottom - box.top)
            left, right = _pixels(box.left - wider[0], box.right + wider[0], width)
            top, bottom = _pixels(box.top - wider[1], box.bottom + wider[1], height)
            pictures.append((frame.picture[top:bottom, left:right], frame.colour))
        answers = dict(zip(asked, ask_many(self.session, pictures), strict=True))
        return frame.answered(self.name, tuple(map(answers.get, range(len(boxes.found)))))


def at_least_one(most: int) -> int:
    """The number itself. Raises UsageError if it is none of things to work on."""
    if not isinstance(most, int) or most < 1:
        raise UsageError(f"most is {most!r}.", "most=1, or more")
    return most


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


def ask_many(session: Session, pictures: Sequence[tuple[Any, Any]]) -> list[Any]:
    """What a session says of each picture (with its colour order), as one batch where it can be."""
    if not pictures:
        return []
    processing = session.processing
    fed = [processing.before(picture, colour) for picture, colour in pictures]
    if len(fed) == 1 or len(session.engine_signature.inputs) != 1:
        return [processing.after(session.run(inputs), geometry) for inputs, geometry in fed]
    (name,) = fed[0][0]
    outputs = session.run_batch({name: np.concatenate([inputs[name] for inputs, _ in fed])})
    return [
        processing.after({key: rows[at : at + 1] for key, rows in outputs.items()}, geometry)
        for at, (_, geometry) in enumerate(fed)
    ]

"""Objects that last: the boxes of one frame matched with those of the frames before.

After SORT (Bewley et al., 2016): each object has a Kalman filter of constant velocity, which says
where it should be now; boxes go to the objects they overlap most, best pair first; a box that
nobody claims begins an object, and an object that nobody has seen for a while ends. Centre, width
and height are filtered alike and independently, so one 2 x 2 covariance serves all four.

Units are fractions of the picture and frames: noise is given in parts of the box's own size.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import msgspec
import numpy as np
import numpy.typing as npt

from edge_sdk.errors import UsageError
from edge_sdk.pipeline.frames import Frame
from edge_sdk.pipeline.stages.answers import answer
from edge_sdk.processing.detection import overlap
from edge_sdk.spec import Box, Boxes, Word

Floats = npt.NDArray[np.float64]

_MEASURED = 0.05
"""How far a detector's box lies from the truth, one sigma, in parts of the box's size."""
_CHANGES = 0.02
"""How much the velocity changes in a frame, likewise."""


class Track(Word, frozen=True, kw_only=True):
    """One object.

    Attributes:
        id: its own for as long as the run lasts.
        box: where it is; smoothed, and predicted while it is not seen.
        frames: for how many frames it has been there.
        seen: in how many of them it was detected.
        unseen: how many frames ago it was last detected.
        velocity: of its centre, in fractions of the picture a frame.
    """

    id: int
    box: Box
    frames: int
    seen: int
    unseen: int
    velocity: tuple[float, float]


class Tracks(Word, frozen=True, kw_only=True, tag_field="kind", tag="tracks"):
    """The objects of one frame, the oldest first."""

    tracks: tuple[Track, ...]


@dataclass
class _Object:
    """One object's filter: (centre x, centre y, width, height) and their velocities."""

    id: int
    box: Box
    state: Floats
    velocity: Floats = field(default_factory=lambda: np.zeros(4))
    covariance: Floats = field(
        default_factory=lambda: np.array([[_MEASURED**2, 0], [0, 4 * _MEASURED**2]])
    )
    frames: int = 1
    seen: int = 1
    unseen: int = 0

    def predict(self) -> None:
        self.state = self.state + self.velocity
        self.state[2:] = np.maximum(self.state[2:], 1e-4)
        step = np.array([[1.0, 1.0], [0.0, 1.0]])
        noise = _CHANGES**2 * np.array([[0.25, 0.5], [0.5, 1.0]])
        self.covariance = step @ self.covariance @ step.T + noise
        self.frames += 1
        self.unseen += 1

    def correct(self, box: Box) -> None:
        gain = self.covariance[:, 0] / (self.covariance[0, 0] + _MEASURED**2)
        surprise = _centred(box) - self.state
        self.state = self.state + gain[0] * surprise
        self.velocity = self.velocity + gain[1] * surprise
        self.covariance = self.covariance - np.outer(gain, self.covariance[0])
        self.box, self.seen, self.unseen = box, self.seen + 1, 0

    def corners(self) -> Floats:
        x, y, width, height = self.state
        return np.array([x - width / 2, y - height / 2, x + width / 2, y + height / 2])

    def track(self) -> Track:
        left, top, right, bottom = self.corners().clip(0.0, 1.0).tolist()
        moved = msgspec.structs.replace(
            self.box,
            left=left,
            top=top,
            right=right,
            bottom=bottom,
            keypoints=self.box.keypoints if self.unseen == 0 else (),
        )
        return Track(
            id=self.id,
            box=moved,
            frames=self.frames,
            seen=self.seen,
            unseen=self.unseen,
            velocity=(float(self.velocity[0]), float(self.velocity[1])),
        )


class Tracker:
    """Follows the objects that a detector finds; each stream has its own.

    Args:
        of: the detector's stage.
        name: of this stage and of its answers, ``Tracks``.
        min_overlap: intersection over union from which on a box can be an object seen before.
        patience: for how many frames an object that is not seen is kept, and told of.
    """

    inline = True

    def __init__(
        self, of: str, name: str = "tracks", *, min_overlap: float = 0.2, patience: int = 10
    ) -> None:
        if not 0 < min_overlap <= 1 or patience < 0:
            raise UsageError(
                f"min_overlap is {min_overlap:g} and patience {patience}.",
                "min_overlap over 0, at most 1; patience 0 frames or more",
            )
        self.name = name
        self._of, self._min_overlap, self._patience = of, min_overlap, patience
        self._objects: dict[str, list[_Object]] = {}
        self._last_id = 0

    def process(self, frame: Frame) -> Frame:
        """The frame with its objects."""
        found = answer(frame, self._of, Boxes)
        objects = self._objects.setdefault(frame.stream, [])
        for each in objects:
            each.predict()
        left = self._match(objects, list(found.found))
        objects[:] = [each for each in objects if each.unseen <= self._patience]
        for box in left:
            self._last_id += 1
            objects.append(_Object(self._last_id, box, _centred(box)))
        return frame.answered(self.name, Tracks(tracks=tuple(each.track() for each in objects)))

    def _match(self, objects: list[_Object], boxes: list[Box]) -> list[Box]:
        """Correct each object with its box; answers the boxes of no object."""
        if not objects or not boxes:
            return boxes
        corners = np.array([[b.left, b.top, b.right, b.bottom] for b in boxes], np.float32)
        pairs = np.array([overlap(each.corners().astype(np.float32), corners) for each in objects])
        for row, each in enumerate(objects):
            for column, box in enumerate(boxes):
                if box.index != each.box.index:
                    pairs[row, column] = -1
        taken: set[int] = set()
        while pairs.max() >= self._min_overlap:
            best_row, best_column = divmod(int(pairs.argmax()), len(boxes))
            objects[best_row].correct(boxes[best_column])
            taken.add(best_column)
            pairs[best_row, :] = pairs[:, best_column] = -1
        return [box for at, box in enumerate(boxes) if at not in taken]


def _centred(box: Box) -> Floats:
    return np.array(
        [
            (box.left + box.right) / 2,
            (box.top + box.bottom) / 2,
            box.right - box.left,
            box.bottom - box.top,
        ]
    )

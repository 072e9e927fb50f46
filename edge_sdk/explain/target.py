"""What is explained: one number that every answer of a model has.

==============  ==================================================================================
classification  the score of a class, after the declared activation
detection       how sure a box is, times how well it covers the one found in the whole picture; of
                all boxes of its class the greatest (D-RISE: Petsiuk et al., CVPR 2021)
segmentation    the mean score of what belongs to the mask in the whole picture
anything        a function of yours, of what ``session.predict`` answers
==============  ==================================================================================
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from edge_sdk.errors import UsageError
from edge_sdk.processing import Geometry, Mask, Processing
from edge_sdk.processing.activation import activate
from edge_sdk.processing.classification import not_a_number
from edge_sdk.spec import Box, Boxes, Classification
from edge_sdk.text import nearest

Outputs: TypeAlias = dict[str, npt.NDArray[Any]]
_LONGEST_HINT = 300
Score: TypeAlias = Callable[[Any], float]
"""From an answer of ``session.predict`` to the number that is to be explained."""


@dataclass(frozen=True, slots=True)
class Target:
    """What is explained.

    Attributes:
        name: for people: a class's label, or what else it is.
        index: of the class; None where it is none.
        score: of one picture's outputs.
    """

    name: str
    index: int | None
    score: Callable[[Outputs], float]


def find_target(
    processing: Processing,
    outputs: Outputs,
    geometry: Geometry,
    asked: int | str | None,
    score: Score | None,
) -> Target:
    """The target that is asked for, or else the one that the model is surest of.

    Args:
        processing: of the session.
        outputs, geometry: of the whole picture.
        asked: a class by index or label.
        score: a function of the caller's, instead.

    Raises:
        UsageError: there is no such class, the model finds nothing that could be explained, or it
            declares no postprocessing and there is no function.
        UnavailableError: the model answered something that is not a number.
    """
    if score is not None:
        if asked is not None:
            raise UsageError(
                "A class and a score of your own were asked for.", "Give one of the two."
            )
        return _own(processing, geometry, score)
    spec = processing.postprocess
    if spec is None:
        raise UsageError(
            "This model declares no postprocessing: which of its numbers is to be explained?",
            "session.explain(picture, score=lambda outputs: float(outputs['NAME'][0, 3]))",
        )
    if isinstance(spec, Classification):
        return _of_class(processing, spec, outputs, asked)
    answer = processing.after(outputs, geometry)
    if isinstance(answer, Boxes):
        return _box(processing, geometry, _chosen(answer, processing.labels, asked))
    if asked is not None:
        raise UsageError(
            f"A mask has no classes, and {asked!r} was asked for.", "Leave the class out."
        )
    assert isinstance(answer, Mask)
    return _mask(processing, geometry, answer)


def _own(processing: Processing, geometry: Geometry, score: Score) -> Target:
    def measure(outputs: Outputs) -> float:
        found = score(processing.after(outputs, geometry))
        try:
            number = float(found)
        except (TypeError, ValueError):
            number = np.nan
        if not np.isfinite(number):
            raise UsageError(f"The score is {found!r}, no finite number.", "Return a float.")
        return number

    return Target(getattr(score, "__name__", "score").strip("<>"), None, measure)


def _of_class(
    processing: Processing, spec: Classification, outputs: Outputs, asked: int | str | None
) -> Target:
    def scores(outputs: Outputs) -> npt.NDArray[np.float32]:
        found = activate(outputs[spec.output].reshape(-1), spec.activation)
        if np.isnan(found).any():
            raise not_a_number(spec.output)
        return found

    processing.after(outputs)  # says what is wrong, should this not be one picture's scores
    whole = scores(outputs)
    index = int(whole.argmax()) if asked is None else _index(asked, processing.labels, whole.size)
    name = processing.labels[index] if processing.labels else str(index)
    return Target(name, index, lambda outputs: float(scores(outputs)[index]))


def _index(asked: int | str, labels: tuple[str, ...], count: int) -> int:
    """The class that is meant: a label goes before a number that is written out."""
    if isinstance(asked, str) and asked in labels:
        return labels.index(asked)
    if isinstance(asked, int) or (asked.isascii() and asked.isdecimal()):
        if 0 <= int(asked) < count:
            return int(asked)
        raise UsageError(
            f"There is no class {asked}: the model has {count}.", f"Give 0 to {count - 1}."
        )
    if not labels:
        raise UsageError(
            f"The model's classes have no names, and {asked!r} is none of their numbers.",
            f"Give 0 to {count - 1}.",
        )
    hint = nearest(asked, labels)
    if len(hint) > _LONGEST_HINT:  # none is near, and there are too many to list
        hint = f"Give one of its {count} labels, or 0 to {count - 1}."
    raise UsageError(f"There is no class {asked!r}.", hint)


def _chosen(boxes: Boxes, labels: tuple[str, ...], asked: int | str | None) -> Box:
    if not boxes.found:
        raise UsageError(
            "The model finds nothing in this picture: there is no box to explain.",
            "Take a picture in which it finds something, or declare a lower min_score.",
        )
    if asked is None:
        return boxes.found[0]
    index = _index(asked, labels, len(labels) or 1 + max(box.index for box in boxes.found))
    for box in boxes.found:
        if box.index == index:
            return box
    raise UsageError(f"The model finds no {asked!r} in this picture.", f"It finds: {boxes}.")


def _box(processing: Processing, geometry: Geometry, wanted: Box) -> Target:
    def measure(outputs: Outputs) -> float:
        found = processing.after(outputs, geometry)
        assert isinstance(found, Boxes)
        alike = (b.score * overlap(b, wanted) for b in found.found if b.index == wanted.index)
        return max(alike, default=0.0)

    return Target(wanted.label, wanted.index, measure)


def overlap(one: Box, other: Box) -> float:
    """Intersection over union of two boxes, 0..1."""
    width = min(one.right, other.right) - max(one.left, other.left)
    height = min(one.bottom, other.bottom) - max(one.top, other.top)
    if width <= 0 or height <= 0:
        return 0.0
    areas = sum((b.right - b.left) * (b.bottom - b.top) for b in (one, other))
    return width * height / (areas - width * height)


def _mask(processing: Processing, geometry: Geometry, whole: Mask) -> Target:
    inside = whole.scores >= whole.min_score
    if not inside.any():
        raise UsageError(
            "The model's mask covers nothing of this picture: there is nothing to explain.",
            "Take a picture of what it looks for, or declare a lower min_score.",
        )

    def measure(outputs: Outputs) -> float:
        found = processing.after(outputs, geometry)
        assert isinstance(found, Mask)
        return float(found.scores[inside].mean())

    return Target("mask", None, measure)

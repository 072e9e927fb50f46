"""Boxes and scores per anchor become the objects in a picture.

The steps are MediaPipe's, so that a detector of theirs answers here as it does there: decode every
box relative to its anchor, keep the likely ones, blend those that overlap, map back. After
``tensors_to_detections_calculator.cc`` and ``non_max_suppression_calculator.cc`` (WEIGHTED,
INTERSECTION_OVER_UNION). Two things differ: boxes of different classes never blend, and a box
without area, or entirely outside the picture in a letterbox's bars, is dropped.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from edge_sdk.errors import UsageError
from edge_sdk.processing.activation import activate
from edge_sdk.processing.anchors import anchor_centres
from edge_sdk.processing.classification import not_a_number
from edge_sdk.processing.geometry import Geometry
from edge_sdk.spec import Box, Boxes, Detection

Floats: TypeAlias = npt.NDArray[np.float32]


class Detector:
    """Decodes one model's outputs.

    Args:
        spec: what the outputs are.
        size: (height, width) of the model's input in pixels.
        labels: one per class; without any, a class is called by its index.

    Raises:
        UsageError: the declaration contradicts itself.
    """

    def __init__(self, spec: Detection, size: tuple[int, int], labels: Sequence[str] = ()) -> None:
        self.spec = spec
        self.centres = anchor_centres(spec.anchors, size)
        self._labels = labels
        self._size = np.array([size[1], size[0]], np.float32)

    def detect(
        self, boxes: npt.NDArray[Any], scores: npt.NDArray[Any], geometry: Geometry
    ) -> Boxes:
        """The objects found, surest first.

        Args:
            boxes: 1 x anchors x (4 + 2 * keypoints), real numbers.
            scores: 1 x anchors x classes, real numbers.
            geometry: the way back to the original picture.

        Raises:
            UsageError: the outputs do not have the shapes that the declaration gives them.
            UnavailableError: the model answered something that is not a number.
        """
        self.check(boxes.shape, scores.shape)
        raw = scores[0]
        one_class = raw.shape[1] == 1
        best = raw[:, 0] if one_class else raw.max(axis=1)
        probability = activate(best, self.spec.activation)
        if np.isnan(probability.max()):
            raise not_a_number(self.spec.scores)
        (likely,) = np.nonzero(probability >= self.spec.min_score)
        if not likely.size:
            return Boxes(found=())
        order = likely[np.argsort(-probability[likely], kind="stable")]
        values = self._decode(boxes[0, order].astype(np.float32, copy=False), self.centres[order])
        if np.isnan(values).any():
            raise not_a_number(self.spec.boxes)
        classes = np.zeros(len(order), np.intp) if one_class else raw[order].argmax(axis=1)
        kept = blend(values, probability[order], classes, self.spec.max_overlap, self.spec.top)
        return self._to_picture(kept, geometry)

    def check(self, boxes: Sequence[int | str], scores: Sequence[int | str]) -> None:
        """Whether outputs of these shapes are what the declaration says; a named length may be any.

        Raises:
            UsageError: they are not; says which and how.
        """
        anchors, values = len(self.centres), 4 + 2 * self.spec.keypoints
        for name, shape, want in (
            (self.spec.boxes, boxes, (1, anchors, values)),
            (self.spec.scores, scores, (1, anchors, len(self._labels) or None)),
        ):
            fits = len(shape) == 3 and all(
                wanted is None or isinstance(length, str) or length == wanted
                for length, wanted in zip(shape, want, strict=True)
            )
            if not fits:
                raise UsageError(
                    f"Output {name!r} is {'x'.join(map(str, shape))}; the declaration makes it "
                    f"{'x'.join('classes' if n is None else str(n) for n in want)} "
                    f"({anchors} anchors, {self.spec.keypoints} keypoints"
                    f"{f', {len(self._labels)} labels' if self._labels else ''}).",
                    "Correct anchors, keypoints or the output names under [postprocess].",
                )

    def _decode(self, rows: Floats, centres: Floats) -> Floats:
        """Rows to left, top, right, bottom and keypoints, in fractions of the model's input."""
        points = rows.reshape(len(rows), -1, 2) / self._size
        centre, half = points[:, 0] + centres, points[:, 1] * np.float32(0.5)
        points[:, 2:] += centres[:, None]
        points[:, 0] = centre - half
        points[:, 1] = centre + half
        return points.reshape(len(rows), -1)

    def _to_picture(self, kept: list[tuple[Floats, float, int]], geometry: Geometry) -> Boxes:
        scale = np.array([geometry.scale_x, geometry.scale_y])
        shift = np.array([geometry.shift_x, geometry.shift_y])
        found = []
        for values, score, index in kept:
            points = values.reshape(-1, 2) * scale + shift
            (left, top), (right, bottom) = points[:2].clip(0.0, 1.0).tolist()
            if left < right and top < bottom:
                label = self._labels[index] if self._labels else str(index)
                found.append(
                    Box(
                        left=left,
                        top=top,
                        right=right,
                        bottom=bottom,
                        score=score,
                        index=index,
                        label=label,
                        keypoints=tuple((x, y) for x, y in points[2:].tolist()),
                    )
                )
        return Boxes(found=tuple(found))


def blend(
    values: Floats, scores: Floats, classes: npt.NDArray[np.intp], max_overlap: float, top: int
) -> list[tuple[Floats, float, int]]:
    """Non-maximum suppression that averages instead of forgetting.

    The surest box takes every box of its class that overlaps it by more than ``max_overlap``; their
    coordinates, keypoints included, are averaged with the scores as weights, and the result keeps
    the surest one's score. Then the next that is left. On video this is steadier than plain
    suppression, which jumps between neighbouring anchors.

    Args:
        values: boxes x (left, top, right, bottom, …), surest first.
        scores: one per box, descending.
        classes: one per box.
        max_overlap: intersection over union.
        top: how many to give at most.

    Returns:
        (values, score, class) of each object, surest first.
    """
    kept: list[tuple[Floats, float, int]] = []
    while len(scores) and len(kept) < top:
        same = (overlap(values[0], values) > max_overlap) & (classes == classes[0])
        same[0] = True  # a box without area overlaps nothing, not even itself
        weights = scores[same]
        total = weights.sum()
        average = weights @ values[same] / total if total > 0 else values[0]
        kept.append((average, float(scores[0]), int(classes[0])))
        rest = ~same
        values, scores, classes = values[rest], scores[rest], classes[rest]
    return kept


def overlap(one: Floats, many: Floats) -> Floats:
    """Intersection over union of one box with many (left, top, right, bottom, …), 0..1."""
    corner = np.minimum(one[2:4], many[:, 2:4]) - np.maximum(one[:2], many[:, :2])
    width, height = corner.clip(0).T
    shared = width * height
    sides = many[:, 2:4] - many[:, :2]
    area = (one[2] - one[0]) * (one[3] - one[1])
    together = area + sides[:, 0] * sides[:, 1] - shared
    ratio: Floats = np.divide(shared, together, out=np.zeros_like(shared), where=together > 0)
    return ratio

"""Whether two versions of a model say the same of one input.

Nobody knows the right answer on a device, but the version that serves has proven itself, and a
candidate that often says something else needs an explanation. For classes it is the likeliest that
counts, not its score. For boxes it is the objects: as many, of the same classes, each in its place.
Answers without a declared meaning are compared as numbers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from edge_sdk.spec import Box, Boxes, Classes

Answer: TypeAlias = Classes | Boxes | Mapping[str, npt.NDArray[Any]]

SAME_PLACE = 0.5
"""Intersection over union from which on two boxes mark one object (PASCAL VOC's measure)."""
SAME_NUMBERS = 0.1
"""Root-mean-square difference, as a share of what serves, up to which two outputs are alike."""


def agree(served: Answer, candidate: Answer) -> bool:
    """Whether the candidate's answer means what the served one means."""
    if isinstance(served, Classes) and isinstance(candidate, Classes):
        return served.top[0].label == candidate.top[0].label
    if isinstance(served, Boxes) and isinstance(candidate, Boxes):
        return _same_objects(served.found, candidate.found)
    if isinstance(served, Mapping) and isinstance(candidate, Mapping):
        return served.keys() == candidate.keys() and all(
            _alike(served[name], candidate[name]) for name in served
        )
    return False


def _same_objects(served: Sequence[Box], candidate: Sequence[Box]) -> bool:
    """Whether every served box finds a candidate of its own, surest first, and none is left."""
    left = list(candidate)
    if len(served) != len(left):
        return False
    for box in served:
        partner = max(left, key=lambda other: overlap(box, other))
        if partner.label != box.label or overlap(box, partner) < SAME_PLACE:
            return False
        left.remove(partner)
    return True


def overlap(a: Box, b: Box) -> float:
    """Intersection over union, 0..1; 0 for boxes without an area."""
    width = min(a.right, b.right) - max(a.left, b.left)
    height = min(a.bottom, b.bottom) - max(a.top, b.top)
    if width <= 0 or height <= 0:
        return 0.0
    shared = width * height
    return shared / (_area(a) + _area(b) - shared)


def _area(box: Box) -> float:
    return (box.right - box.left) * (box.bottom - box.top)


def _alike(served: npt.NDArray[Any], candidate: npt.NDArray[Any]) -> bool:
    if served.shape != candidate.shape:
        return False
    if served.dtype.kind not in "fiu":
        return bool((served == candidate).all())
    expected, found = served.astype(np.float64), candidate.astype(np.float64)
    gap, size = np.linalg.norm(found - expected), np.linalg.norm(expected)
    return bool(gap <= SAME_NUMBERS * size)

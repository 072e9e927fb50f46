"""Which output is the answer, and how many answers there are: one notion for data and verdicts."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from edge_sdk.backends import Array
from edge_sdk.spec import Classification, Dim, Postprocess, Signature

YES = 0.5
"""A single score above it says yes, the second of two classes."""
_SURPRISES = 2.0
"""Standard deviations above guessing from which an accuracy is taken for more than luck."""


def scores_output(
    signature: Signature, postprocess: Postprocess | None, *, labelled: bool = False
) -> str | None:
    """The output that holds the scores: the declared one, or the only vector of numbers.

    Args:
        signature: the source's.
        postprocess: as declared; None if it is not.
        labelled: whether there are classes to compare with; then a model's only output, if it is a
            single number, is the score of the second of two classes, and else it is a quantity.
    """
    if isinstance(postprocess, Classification):
        return postprocess.output
    if postprocess is not None:
        return None
    vectors = [t.name for t in signature.outputs if len(t.shape) == 2 and t.shape[1] not in (0, 1)]
    if not vectors and labelled and len(signature.outputs) == 1:
        (only,) = signature.outputs
        vectors = [only.name] if _width(only.shape) == 1 else []
    return vectors[0] if len(vectors) == 1 else None


def class_count(signature: Signature, scores: str | None, labels: Sequence[str] = ()) -> int | None:
    """How many classes ``scores`` tells apart; None if that is open."""
    if labels:
        return len(labels)
    width = next((_width(t.shape) for t in signature.outputs if t.name == scores), None)
    return 2 if width == 1 else width


def answers(scores: Array) -> npt.NDArray[np.int64]:
    """The class of each sample (first axis): the highest score's, or yes or no of a single one."""
    rows = np.asarray(scores).reshape(len(scores), -1)
    found: npt.NDArray[Any] = rows[:, 0] > YES if rows.shape[1] == 1 else rows.argmax(axis=1)
    return found.astype(np.int64)


def is_guessing(accuracy: float, samples: int, classes: int) -> bool:
    """Whether so many samples answered so well may be luck alone."""
    share = 1 / classes
    return accuracy <= share + _SURPRISES * math.sqrt(share * (1 - share) / samples)


def _width(shape: tuple[Dim, ...]) -> int | None:
    last = shape[-1] if shape else 1
    return last if isinstance(last, int) else None

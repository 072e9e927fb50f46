"""Stages that share a thread, and how frames go through them.

A stage that is there several times (``stages.Parallel``) makes a lane of several threads. They take
from one queue, and frames leave in the order in which they were taken.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from edge_sdk.errors import UsageError
from edge_sdk.pipeline.channel import Channel
from edge_sdk.pipeline.clock import Clock
from edge_sdk.pipeline.failures import message_of, placed
from edge_sdk.pipeline.frames import Frame
from edge_sdk.pipeline.metrics import Metrics
from edge_sdk.pipeline.parts import Refused, Stage

Row = list[Stage]
"""The stages of one thread, in order."""


def rows_of(stages: Sequence[Stage]) -> list[list[Row]]:
    """Stages by lane and thread: an inline one joins the thread of the one before it.

    It does not if that one has several: what remembers anything wants its frames one at a time.
    """
    lanes: list[list[Row]] = []
    for stage in stages:
        if lanes and len(lanes[-1]) == 1 and getattr(stage, "inline", False):
            lanes[-1][0].append(stage)
        else:
            lanes.append([[copy] for copy in getattr(stage, "copies", [stage])])
    return lanes


class Lane:
    """Takes frames here and passes them on.

    Args:
        rows: one for each thread; of several, all do the same.
        here, onward: where frames come from, and where they go to.
        clock: measures what stages take.
        metrics: are told.
        skip: whether a frame on which a stage fails is dropped; or else the error is raised.
    """

    def __init__(
        self,
        rows: list[Row],
        here: Channel[Frame],
        onward: Channel[Frame],
        *,
        clock: Clock,
        metrics: Metrics,
        skip: bool,
    ) -> None:
        self.rows = rows
        self.name = rows[0][0].name
        self._here, self._onward = here, onward
        self._clock, self._metrics, self._skip = clock, metrics, skip
        self._most = max(getattr(stage, "most", 1) for stage in rows[0])
        self._at_work = len(rows)
        self._queue, self._door = clock.condition(), clock.condition()
        self._taken = self._left = 0
        self._never: set[int] = set()

    def work(self, row: Row) -> None:
        """What the thread of a row does until there is no more. Raises what a stage raises."""
        try:
            while True:
                turn, frames = self._take()
                if not frames:
                    return
                try:
                    for stage in row:
                        frames = self._through(stage, frames)
                except BaseException:
                    self._leave_out(turn)
                    raise
                self._leave(turn, frames)
        finally:
            with self._door:
                self._at_work -= 1
                last = self._at_work == 0
            if last:
                self._onward.end()

    def _take(self) -> tuple[int, list[Frame]]:
        """The next frames, and when it is their turn to leave."""
        with self._queue:
            frames = self._here.take(self._most)
            self._taken += 1
            return self._taken - 1, frames

    def _leave(self, turn: int, frames: list[Frame]) -> None:
        with self._door:
            while self._left != turn:
                self._door.wait()
            for frame in frames:
                if not self._onward.put(frame):
                    self._metrics.drop("ended", "after an error")
            self._next()

    def _leave_out(self, turn: int) -> None:
        """These never leave, and nobody is to wait for them."""
        with self._door:
            self._never.add(turn)
            if turn == self._left:
                self._next()

    def _next(self) -> None:
        self._left += 1
        while self._left in self._never:
            self._left += 1
        self._door.notify_all()

    def _through(self, stage: Stage, frames: list[Frame]) -> list[Frame]:
        at_once = len(frames) if getattr(stage, "most", 1) > 1 else 1
        batches = [frames[at : at + at_once] for at in range(0, len(frames), at_once)]
        passed: list[Frame] = []
        for batch in batches:
            self._metrics.begin(stage.name, batch[0])
            started = self._clock.now()
            try:
                for answer in whole(stage, _asked(stage, batch), len(batch)):
                    if isinstance(answer, Refused):
                        self._metrics.drop(stage.name, answer.reason)
                    else:
                        passed.append(answer)
            except Refused as refusal:
                self._metrics.drop(stage.name, refusal.reason, len(batch))
            except Exception as error:  # noqa: BLE001 - raised there, with its place, or counted
                self._failed(stage, error, batch)
            finally:
                self._metrics.work(stage.name, self._clock.now() - started, len(batch))
        return passed

    def _failed(self, stage: Stage, error: Exception, frames: list[Frame]) -> None:
        """Raise it with its place, or count the frames and go on."""
        found = placed(error, stage.name, frames[0], may_be_skipped=True)
        if not self._skip:
            raise found from error
        self._metrics.drop(stage.name, f"failed with {type(error).__name__}", len(frames))
        self._metrics.warn(message_of(found))


def _asked(stage: Any, batch: list[Frame]) -> list[Any]:
    return [stage.process(batch[0])] if len(batch) == 1 else stage.process_many(batch)


def whole(stage: Stage, answered: list[Any], count: int) -> list[Frame | Refused]:
    """What a stage answered, ``Refused`` in the place of a frame that goes no further.

    Raises:
        UsageError: it is nothing of the kind; here, or the next stage would have the blame.
    """
    if len(answered) != count:
        raise UsageError(
            f"It answered {len(answered)} frames for {count}.",
            "To drop one of a batch, answer Refused('why') in its place.",
        )
    for each in answered:
        if not isinstance(each, Frame | Refused):
            raise UsageError(
                f"It answered {type(each).__name__}, not a Frame.",
                f"Let {type(stage).__name__}.process return the frame, or raise Refused('why').",
            )
    return answered

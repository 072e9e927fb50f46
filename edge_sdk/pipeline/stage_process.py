"""The child of ``edge_sdk.pipeline.stages.OwnProcess``: makes a stage and works as it is told.

It is started afresh, by a command line: a process that was forked after OpenCV or XNNPACK were used
has locks whose holders do not exist in it, and hangs. What it prints goes to stderr. It ends when
its parent hangs up, or is no more.
"""

from __future__ import annotations

import os
import pickle
import select
import socket
import threading
import time
import traceback
from collections.abc import Callable
from importlib import import_module
from typing import Any

import numpy as np

from edge_sdk.errors import UsageError
from edge_sdk.pipeline.clock import Clock, WallClock
from edge_sdk.pipeline.frames import Frame
from edge_sdk.pipeline.lane import whole
from edge_sdk.pipeline.metrics import PipelineReport
from edge_sdk.pipeline.parts import Refused
from edge_sdk.pipeline.passing import Bytes, Connection, SharedMemory
from edge_sdk.pipeline.stage_words import Did, Failed, Made, Make, difference
from edge_sdk.processing.picture import Picture

GRACE_S = 5.0
"""How long a stage may go on after its parent is gone."""


starting = threading.Event()
"""Whether this is such a child, still importing the program that wants it."""


def main(end: int, memory: int) -> None:
    """Work until the parent hangs up.

    Args:
        end: descriptor of our end of the socket.
        memory: of the shared memory.
    """
    starting.set()
    parent = socket.socket(fileno=end)
    threading.Thread(target=_follow, args=(parent.dup(),), daemon=True).start()
    connection = Connection(parent, SharedMemory(memory))
    running = _Running()
    try:
        wish = connection.receive()
        made = _answer(lambda: _made(wish, running), running)
        if isinstance(made, Failed):
            connection.send(made)
            return
        starting.clear()
        connection.send(Made())
        kept: list[Bytes] = []
        try:
            while True:
                frames = connection.receive().frames
                _say(connection, lambda: _did(made, frames, running, kept), running)  # noqa: B023
        finally:
            if hasattr(made, "__exit__"):
                made.__exit__(None, None, None)
    except (EOFError, BrokenPipeError, ConnectionError):
        pass  # the parent has what it wanted
    finally:
        connection.close()


def _follow(parent: socket.socket) -> None:
    """Not to be left behind: a stage that hangs would never read that the parent is gone."""
    gone = select.poll()
    gone.register(parent, 0)  # its end alone
    gone.poll()
    time.sleep(GRACE_S)
    os._exit(1)


def _made(wish: Make, running: _Running) -> Any:
    if wish.main is not None:
        from multiprocessing import spawn

        spawn.prepare(wish.main)
    make: Any = import_module(wish.module)
    for name in wish.function.split("."):
        make = getattr(make, name)
    stage = make(*wish.args)
    if not hasattr(stage, "process"):
        raise UsageError(
            f"{wish.module}:{wish.function} makes a {type(stage).__name__}, which is no stage.",
            "A stage has a name and process(frame).",
        )
    if hasattr(stage, "__enter__"):
        stage = stage.__enter__()
    if hasattr(stage, "begin"):
        stage.begin(running)
    return stage


def _answer(work: Callable[[], Any], running: _Running) -> Any:
    try:
        return work()
    except BaseException as error:  # noqa: BLE001 - whatever it is, it is the parent's to raise
        return Failed(
            error=_pickled(error),
            kind=type(error).__name__,
            text=str(error),
            trace="".join(traceback.format_exception(error)),
            notes=running.told(),
        )


def _say(connection: Connection, work: Callable[[], Any], running: _Running) -> None:
    """Answer what the work comes to; where that cannot go over, why."""
    try:
        connection.send(_answer(work, running))
    except OSError:
        raise  # nobody hears it
    except Exception as error:  # noqa: BLE001 - pickle raises whatever the thing's class does
        refusal = UsageError(
            f"What it answers cannot go to another process: {error}.",
            "Let it answer plain numbers, texts, arrays and the words of edge_sdk.",
        )
        connection.send(_answer(lambda: _raise(refusal), running))


def _raise(error: Exception) -> None:
    raise error


def _did(stage: Any, frames: list[Frame], running: _Running, kept: list[Bytes]) -> Did:
    before = [_kept(kept, at, frame.picture) for at, frame in enumerate(frames)]
    after: list[Any]
    if len(frames) > 1 and hasattr(stage, "process_many"):
        after = stage.process_many(frames)
    elif len(frames) > 1:
        after = [_processed(stage, frame) for frame in frames]
    else:
        after = [stage.process(frames[0])]
    whole(stage, after, len(frames))
    return Did(
        frames=[difference(*each) for each in zip(frames, before, after, strict=True)],
        notes=running.told(),
    )


def _processed(stage: Any, frame: Frame) -> Any:
    try:
        return stage.process(frame)
    except Refused as refusal:
        return refusal


def _kept(kept: list[Bytes], at: int, picture: Picture) -> Bytes:
    """A copy of the picture's bytes, in memory that is used again: new memory costs more."""
    if at == len(kept) or kept[at].size != picture.size:
        kept[at:] = [np.empty(picture.size, np.uint8)]
    np.copyto(kept[at], picture.reshape(-1))
    return kept[at]


def _pickled(error: BaseException) -> bytes | None:
    try:
        pickled = pickle.dumps(error)
        pickle.loads(pickled)
    except Exception:  # noqa: BLE001 - an exception may do anything when it is asked that
        return None
    return pickled


class _Running:
    """The pipeline, as a stage in another process sees it (``edge_sdk.pipeline.Running``)."""

    stopping = False
    """Such a stage is asked for one frame at a time, and not while the run ends."""

    def __init__(self) -> None:
        self.clock: Clock = WallClock()
        self.metrics = self
        self._notes: list[tuple[str, tuple[Any, ...]]] = []

    def told(self) -> list[tuple[str, tuple[Any, ...]]]:
        """What was said since the last time."""
        notes, self._notes = self._notes, []
        return notes

    def pause(self, seconds: float) -> None:
        """Wait."""
        self.clock.sleep(seconds)

    def stop(self) -> None:
        """End the run."""
        self._notes.append(("stop", ()))

    def warn(self, text: str) -> None:
        """See ``Metrics.warn``."""
        self._notes.append(("warn", (text,)))

    def drop(self, where: str, reason: str, count: int = 1) -> None:
        """See ``Metrics.drop``."""
        self._notes.append(("drop", (where, reason, count)))

    def miss(self, sink: str, reason: str, count: int = 1) -> None:
        """See ``Metrics.miss``."""
        self._notes.append(("miss", (sink, reason, count)))

    def report(self) -> PipelineReport:
        """Is the parent's to know."""
        raise UsageError(
            "A stage in a process of its own cannot ask for the pipeline's report.",
            "Pipeline.report() in the program itself",
        )

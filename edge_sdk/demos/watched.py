"""A pipeline while a person looks at it: told how far it is, ended by Ctrl-C."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

from edge_sdk.pipeline import Frame, Pipeline, PipelineReport
from edge_sdk.pipeline.parts import FrameSource
from edge_sdk.pipeline.sources import ClipSource, FolderSource
from edge_sdk.spec import Boxes

_TELL_S = 0.5


class Counted:
    """Counts the frames, and those with faces in them; tells a person how far it is.

    Attributes:
        with_faces: so many.
        at_first: is done at the first frame.
    """

    def __init__(self, progress: Callable[[int, int], None] | None, length: int) -> None:
        self.with_faces = 0
        self.at_first: Callable[[], None] | None = None
        self._progress, self._length = progress, length
        self._frames, self._told_s = 0, time.monotonic()

    def count(self, frame: Frame) -> None:
        """Count one."""
        if self.at_first is not None and not self._frames:
            self.at_first()
        found = frame.answers.get("faces")
        self.with_faces += isinstance(found, Boxes) and bool(found.found)
        self._frames += 1
        if self._progress is not None and time.monotonic() - self._told_s > _TELL_S:
            self._told_s = time.monotonic()
            self._progress(self._frames, self._length)

    def rest(self) -> None:
        """All is done: a line about how far it is would be in the way."""
        if self._progress is not None:
            self._progress(self._length, self._length)


def length(source: FrameSource) -> int:
    """About how many frames will come, 0 where nobody knows."""
    if isinstance(source, FolderSource):
        return len(source.stills)
    return source.clip.expected if isinstance(source, ClipSource) and not source.live else 0


def run_until_told(pipeline: Pipeline) -> PipelineReport:
    """Run a pipeline whose good end is Ctrl-C: what it records is then finished, and kept."""
    outcome: list[Any] = []
    done = threading.Event()

    def work() -> None:
        try:
            outcome.append(pipeline.run())
        except BaseException as error:  # noqa: BLE001 - raised below, in the main thread
            outcome.append(error)
        finally:
            done.set()

    thread = threading.Thread(target=work, name="pipeline", daemon=True)
    try:
        thread.start()
        while not done.wait(0.2):
            pass
    except KeyboardInterrupt:
        if not thread.is_alive() and not outcome:
            raise  # it came before there was anything to end
        pipeline.stop()
        done.wait()
    (found,) = outcome
    if isinstance(found, BaseException):
        raise found
    report: PipelineReport = found
    return report

"""Captures that may hang, and a limit for each of their calls.

A driver, or a GStreamer pipeline whose elements wait for each other, may never return from being
opened or read; no exception, no signal gets it out of there. So its calls are made in a thread of
its own. One that takes too long is given up with its thread, which stays behind (it does not keep
the program alive); the source opens it anew, in another one.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import numpy as np

from edge_sdk.pipeline.sources.live import Capture
from edge_sdk.processing.picture import Picture

OPEN_TIMEOUT_S = 10.0
READ_TIMEOUT_S = 5.0


class Limited:
    """A capture in a thread of its own.

    Args:
        opened: opens it; called in that thread.
        open_timeout_s, read_timeout_s: what is too long.

    Raises:
        TimeoutError: it was not opened in time.
        Exception: what ``opened`` raised.
    """

    def __init__(
        self,
        opened: Callable[[], Capture],
        *,
        open_timeout_s: float = OPEN_TIMEOUT_S,
        read_timeout_s: float = READ_TIMEOUT_S,
    ) -> None:
        self._calls: queue.SimpleQueue[_Call | None] = queue.SimpleQueue()
        self._read_timeout_s = read_timeout_s
        threading.Thread(target=self._work, name="capture", daemon=True).start()
        try:
            self.capture: Capture = self._ask(opened, open_timeout_s)
        except BaseException:
            self._calls.put(None)
            raise

    def read(self) -> tuple[bool, Picture]:
        """See ``Capture.read``."""
        try:
            found: tuple[bool, Picture] = self._ask(self.capture.read, self._read_timeout_s)
        except TimeoutError:
            return False, np.empty((0, 0, 3), np.uint8)
        return found

    def release(self) -> None:
        """See ``Capture.release``. Waited for as long as a read: it may hang where that does."""
        with suppress(TimeoutError):
            self._ask(self.capture.release, self._read_timeout_s)
        self._calls.put(None)

    def _ask(self, work: Callable[[], Any], seconds: float) -> Any:
        call = _Call(work)
        self._calls.put(call)
        if not call.done.wait(seconds):
            raise TimeoutError
        if call.error is not None:
            raise call.error
        return call.answer

    def _work(self) -> None:
        while (call := self._calls.get()) is not None:
            try:
                call.answer = call.work()
            except BaseException as error:  # noqa: BLE001 - raised where it was asked for
                call.error = error
            call.done.set()


class _Call:
    """What is to be done, and what came of it."""

    def __init__(self, work: Callable[[], Any]) -> None:
        self.work = work
        self.done = threading.Event()
        self.answer: Any = None
        self.error: BaseException | None = None

"""Time and threads, as a pipeline asks for them.

Whatever waits in a pipeline waits through its clock. ``WallClock`` hands out what Python's
``threading`` has; ``edge_sdk.pipeline.fake_clock.FakeClock`` runs the very same code one thread at
a time in a time of its own, so that a test of seconds takes milliseconds and always ends the same.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Protocol


class Condition(Protocol):
    """A lock that can be waited on, as ``threading.Condition``."""

    def __enter__(self) -> object: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> object: ...

    def wait(self, timeout: float | None = None) -> bool:
        """Wait to be notified; False if the time ran out first."""

    def notify_all(self) -> None:
        """Wake all who wait."""


class Thread(Protocol):
    """Work under way."""

    def join(self, timeout: float | None = None) -> None:
        """Wait for its end, at most ``timeout`` seconds."""

    def is_alive(self) -> bool:
        """Whether it has not ended."""


class Clock(Protocol):
    """Where a pipeline gets its time and its threads from."""

    def now(self) -> float:
        """Seconds from some beginning; never goes back."""

    def sleep(self, seconds: float) -> None:
        """Do nothing for so long."""

    def condition(self) -> Condition:
        """A new condition."""

    def start(self, name: str, work: Callable[[], None]) -> Thread:
        """Begin ``work`` in a thread of that name."""


class WallClock:
    """The machine's own."""

    def now(self) -> float:
        """See ``Clock.now``."""
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        """See ``Clock.sleep``."""
        time.sleep(seconds)

    def condition(self) -> Condition:
        """See ``Clock.condition``."""
        return threading.Condition()

    def start(self, name: str, work: Callable[[], None]) -> Thread:
        """See ``Clock.start``. A thread that hangs in a driver does not keep the program alive."""
        thread = threading.Thread(target=work, name=name, daemon=True)
        thread.start()
        return thread

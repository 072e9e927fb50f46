"""A clock for tests: real threads, one at a time, in a time that jumps.

Only the thread that holds the baton runs. It gives the baton away when it sleeps, waits or ends;
the next is whoever has been ready the longest, and if nobody is, time jumps to the earliest
sleeper. So a program's course depends on nothing but the program. If all wait and nobody sleeps,
that is a deadlock: it is raised in every one of them.
"""

from __future__ import annotations

import heapq
import threading
from collections import deque
from collections.abc import Callable
from types import TracebackType


class DeadlockError(RuntimeError):
    """All threads wait for each other."""


class _Task:
    def __init__(self) -> None:
        self.turn = threading.Semaphore(0)
        self.timed_out = False
        self.waits = 0
        self.done = False


class FakeClock:
    """See above; the thread that makes it is the first to hold the baton."""

    def __init__(self) -> None:
        self._now = 0.0
        self._running = _Task()
        self._ready: deque[_Task] = deque()
        self._timers: list[tuple[float, int, int, _Task]] = []
        self._timer_count = 0
        self._waiting: set[_Task] = set()
        self._stuck = False

    def now(self) -> float:
        """Seconds since the clock was made."""
        return self._now

    def sleep(self, seconds: float) -> None:
        """Let the others run until that time has come."""
        self._wait(max(0.0, seconds))

    def condition(self) -> FakeCondition:
        """A condition; nobody else runs between two waits, so its lock is none."""
        return FakeCondition(self)

    def start(self, name: str, work: Callable[[], None]) -> FakeThread:
        """Make a thread ready to run."""
        task = _Task()
        thread = FakeThread(self, task)

        def body() -> None:
            task.turn.acquire()
            try:
                work()
            finally:
                task.done = True
                with thread.ended:
                    thread.ended.notify_all()
                self._pass_on()

        threading.Thread(target=body, name=name, daemon=True).start()
        self._ready.append(task)
        return thread

    def _wait(self, seconds: float | None, among: list[_Task] | None = None) -> bool:
        """Give the baton away until woken or timed out; whether woken."""
        task = self._running
        task.timed_out = False
        task.waits += 1
        if among is not None:
            among.append(task)
        if seconds is not None:
            self._timer_count += 1
            entry = (self._now + seconds, self._timer_count, task.waits, task)
            heapq.heappush(self._timers, entry)
        self._waiting.add(task)
        self._pass_on()
        task.turn.acquire()
        if self._stuck:
            raise DeadlockError("every thread waits for another one")
        return not task.timed_out

    def _wake(self, task: _Task) -> None:
        if task in self._waiting:
            self._waiting.remove(task)
            task.waits += 1  # its timer is void
            self._ready.append(task)

    def _pass_on(self) -> None:
        while not self._ready and self._timers:
            at, _, waits, task = heapq.heappop(self._timers)
            if task.waits == waits and task in self._waiting:
                self._now = at
                task.timed_out = True
                self._waiting.remove(task)
                self._ready.append(task)
        if self._ready:
            self._running = self._ready.popleft()
            self._running.turn.release()
        elif self._waiting:
            self._stuck = True
            for task in list(self._waiting):
                task.turn.release()


class FakeCondition:
    """As ``threading.Condition``, in a fake clock's time."""

    def __init__(self, clock: FakeClock) -> None:
        self._clock = clock
        self._waiting: list[_Task] = []

    def __enter__(self) -> FakeCondition:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        pass

    def wait(self, timeout: float | None = None) -> bool:
        """Wait to be notified; False if the time ran out first."""
        return self._clock._wait(timeout, self._waiting)

    def notify_all(self) -> None:
        """Make all who wait ready."""
        waiting, self._waiting = self._waiting, []
        for task in waiting:
            self._clock._wake(task)


class FakeThread:
    """Work under a fake clock."""

    def __init__(self, clock: FakeClock, task: _Task) -> None:
        self.ended = FakeCondition(clock)
        self._task = task

    def join(self, timeout: float | None = None) -> None:
        """Wait for its end."""
        if not self._task.done:
            self.ended.wait(timeout)

    def is_alive(self) -> bool:
        """Whether it has not ended."""
        return not self._task.done

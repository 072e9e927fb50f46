"""The threads of a run: who is still at it, and for how long they are waited for.

Not by ``Thread.join``: a Ctrl-C within it makes Python 3.11 take the thread for ended. And what
hangs in a driver cannot be ended; it can only be left behind.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from edge_sdk.pipeline.clock import Clock

PATIENCE_S = 10.0
"""So long may nothing move, once the run is to end."""
SOURCE_PATIENCE_S = 2.0
"""A source that is to end, and waits in its driver, has no frame that would be lost."""
_LOOK_S = 0.5


@dataclass(eq=False)
class Member:
    """One thread.

    Attributes:
        name: of the stage, source or sink.
        source: whether it is a source's.
        left_behind: nobody waits for it any more, and nobody takes what it gives.
    """

    name: str
    source: bool = False
    left_behind: bool = False


class Crew:
    """See above.

    Args:
        clock: starts threads and measures patience.
        moved: a number that changes whenever a frame gets on.
        failed: is told of what a thread raised.
        done: is told of a thread that has ended, or was left behind.
    """

    def __init__(
        self,
        clock: Clock,
        moved: Callable[[], int],
        failed: Callable[[BaseException, str], None],
        done: Callable[[Member], None],
    ) -> None:
        self._clock, self._moved, self._failed, self._done = clock, moved, failed, done
        self._at_work: list[Member] = []
        self._changed = clock.condition()

    def enlist(self, member: Member, work: Callable[..., None], *args: Any) -> None:
        """Begin ``work`` in a thread of its own."""

        def body() -> None:
            try:
                work(*args)
            except BaseException as error:  # noqa: BLE001 - whatever it is, the run ends with it
                if not member.left_behind:
                    self._failed(error, member.name)
            finally:
                self._dismiss(member)

        self._at_work.append(member)
        self._clock.start(member.name, body)

    def wait(self, is_to_end: Callable[[], bool]) -> bool:
        """Wait until none is at work; False if those who are do not move, and are given up.

        Args:
            is_to_end: whether there is an end to patience.
        """
        ending_since: float | None = None
        moved, moved_at = -1, 0.0
        with self._changed:
            while self._at_work:
                now = self._clock.now()
                if is_to_end():
                    ending_since = now if ending_since is None else ending_since
                    if self._moved() != moved:
                        moved, moved_at = self._moved(), now
                    if now - moved_at >= PATIENCE_S:
                        return False
                    if now - ending_since >= SOURCE_PATIENCE_S:
                        self._leave_sources_behind()
                self._changed.wait(_LOOK_S)  # in slices: without end it would hold Ctrl-C back
        return True

    @property
    def names(self) -> list[str]:
        """Of those at work."""
        return [member.name for member in self._at_work]

    def _leave_sources_behind(self) -> None:
        for member in [each for each in self._at_work if each.source]:
            member.left_behind = True
            self._at_work.remove(member)
            self._done(member)

    def _dismiss(self, member: Member) -> None:
        with self._changed:
            if member in self._at_work:
                self._at_work.remove(member)
                self._done(member)
            self._changed.notify_all()

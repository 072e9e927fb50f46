"""Whether a model is asked anything, and since when it is not. Pure.

An application without input does nothing wrong and nothing at all: its numbers stand still, and
nobody would look. So it is said, once, in one sentence that stays the same until it is over. A
single input that is missing is no drought, nor is a pause between two.
"""

from __future__ import annotations

from edge_sdk.text import utc_text

MISSED = 3
"""So many inputs in a row that could not be read, or that the guard refused."""
AFTER_S = 5.0
"""And nothing else for so long: a source that stutters is not told of every second."""


class Drought:
    """One role's. Times are of any clock that does not go back, and of the wall."""

    def __init__(self, monotonic_s: float, wall_ms: int) -> None:
        """It has just begun to wait."""
        self.problem = ""
        self._missed = 0
        self._fed_s, self._fed_ms = monotonic_s, wall_ms

    @property
    def waiting(self) -> bool:
        """Whether the last input was missing."""
        return self._missed > 0

    def fed(self, monotonic_s: float, wall_ms: int) -> None:
        """It was asked."""
        self.problem = ""
        self._missed = 0
        self._fed_s, self._fed_ms = monotonic_s, wall_ms

    def missed(self, why: str, monotonic_s: float) -> None:
        """It could not be asked.

        Args:
            why: in a sentence; that of the moment when it is first told stays.
            monotonic_s: now.
        """
        self._missed += 1
        dry = self._missed >= MISSED and monotonic_s - self._fed_s >= AFTER_S
        if dry and not self.problem:
            self.problem = f"no input since {utc_text(self._fed_ms)}: {why}"

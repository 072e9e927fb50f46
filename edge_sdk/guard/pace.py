"""A rate limit: a token every period for each stream, of which none can be saved up."""

from __future__ import annotations

TOO_MANY = "too many a second"
_ROUNDED_S = 1e-6


class Pace:
    """Counts by the time of the inputs, not by a clock of its own."""

    def __init__(self, most_per_s: float | None) -> None:
        self._period_s = None if most_per_s is None else 1 / most_per_s
        self._next_s: dict[str, float] = {}

    def fault(self, stream: str, at_s: float) -> str:
        """The reason to refuse what came at that time; empty, and a token taken, if there is none.

        Args:
            stream: each has a pace of its own.
            at_s: seconds, of any clock; one that goes back (a clip from its beginning) begins anew.
        """
        if self._period_s is None:
            return ""
        due = self._next_s.get(stream, at_s)
        if due - at_s > self._period_s + _ROUNDED_S:
            due = at_s
        if at_s < due - _ROUNDED_S:
            return TOO_MANY
        self._next_s[stream] = max(due, at_s - self._period_s) + self._period_s
        return ""

    def clear(self) -> None:
        """Begin anew."""
        self._next_s.clear()

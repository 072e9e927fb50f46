"""Placement: where a model really runs, next to where it was asked to.

Engines fall back in silence, and some say "fully accelerated" of a plain CPU. A placement is
computed from what the engine did, never from what it claims.
"""

from __future__ import annotations

import msgspec

from edge_sdk.spec.word import Word


class Attempt(Word, frozen=True, kw_only=True):
    """One delegate that was tried.

    Attributes:
        delegate: its name, or the path of its library.
        active: whether it took at least one operation.
        operations: how many operations of the model it took; None where the engine does not tell.
        reason: why it is not active, or what limits it; empty if all is as asked.
        kinds: the operations it took, counted by kind; empty where the engine does not tell.
        partitions: in how many pieces of the model they lie; None where the engine does not tell.
        handed_over_bytes: what goes into and out of those pieces at every run; None if untold.
        driver: what tells one build of what runs them from the next: a library's digest, a graphics
            adapter; empty where the engine itself runs them.
    """

    delegate: str
    active: bool
    operations: int | None = 0
    reason: str = ""
    kinds: dict[str, int] = msgspec.field(default_factory=dict)
    partitions: int | None = None
    handed_over_bytes: int | None = None
    driver: str = ""


class Placement(Word, frozen=True, kw_only=True):
    """What was requested, what was attempted, and what runs.

    Attributes:
        backend, backend_version: the engine.
        requested: delegates in the order asked for.
        attempts: one per delegate tried, in order; ``cpu``, the engine's own kernels, comes last if
            anything is left for it.
        operations: how many operations the model has; None where the engine does not tell.
        threads: threads that CPU kernels may use.
    """

    backend: str
    backend_version: str
    requested: tuple[str, ...]
    attempts: tuple[Attempt, ...]
    operations: int | None
    threads: int

    @property
    def actual(self) -> tuple[str, ...]:
        """The delegates that run at least one operation."""
        return tuple(a.delegate for a in self.attempts if a.active)

    @property
    def refused(self) -> tuple[Attempt, ...]:
        """The attempts that came to nothing."""
        return tuple(a for a in self.attempts if not a.active)

    @property
    def fallback(self) -> str:
        """What of the model does not run where it was asked to first, and what that costs.

        The cost is told as what the engine must do because of it: pieces that work is handed to,
        and bytes that are handed over at every run. ``edge bench`` measures it in time.
        """
        first = next(iter(self.requested), None)
        elsewhere = [a for a in self.attempts if a.active and a.delegate != first]
        if first is None or not elsewhere:
            return ""
        names = " and ".join(a.delegate for a in elsewhere)
        if self.operations is None or any(a.operations is None for a in elsewhere):
            return f"an unknown part of the model falls back to {names}"
        count = sum(a.operations or 0 for a in elsewhere)
        if not count:
            return ""
        kinds: dict[str, int] = {}
        for attempt in elsewhere:
            for kind, times in attempt.kinds.items():
                kinds[kind] = kinds.get(kind, 0) + times
        which = ", ".join(f"{kind} {times}" for kind, times in sorted(kinds.items()))
        text = f"{count} of {self.operations} operations ({100 * count / self.operations:.0f} %)"
        text += f" fall back to {names}" + (f": {which}" if which else "")
        taker = next((a for a in self.attempts if a.delegate == first and a.active), None)
        if taker is not None and taker.partitions and taker.handed_over_bytes is not None:
            text += (
                f"; {first} has {taker.partitions} piece{'s' * (taker.partitions > 1)} of the "
                f"model, {taker.handed_over_bytes} bytes handed over at every run"
            )
        return text

    def __str__(self) -> str:
        took = ", ".join(
            a.delegate
            if a.operations is None
            else f"{a.delegate} {a.operations}/{self.operations} ops"
            for a in self.attempts
            if a.active
        )
        lines = [f"{self.backend} {self.backend_version}: {took or 'nothing runs'}"]
        lines += [f"  {a.delegate} refused: {a.reason}" for a in self.refused]
        lines += [f"  {a.delegate}: {a.reason}" for a in self.attempts if a.active and a.reason]
        lines += [f"  {self.fallback}"] if self.fallback else []
        return "\n".join(lines)

"""Placement: where a model really runs, next to where it was asked to.

Engines fall back in silence, and some say "fully accelerated" of a plain CPU. A placement is
computed from what the engine did, never from what it claims.
"""

from __future__ import annotations

from edge_sdk.spec.word import Word


class Attempt(Word, frozen=True, kw_only=True):
    """One delegate that was tried.

    Attributes:
        delegate: its name, or the path of its library.
        active: whether it took at least one operation.
        operations: how many operations of the model it took; None where the engine does not tell.
        reason: why it is not active, or what limits it; empty if all is as asked.
    """

    delegate: str
    active: bool
    operations: int | None = 0
    reason: str = ""


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
        return "\n".join(lines)

"""A stage that is there several times, for what takes longer than all the others."""

from __future__ import annotations

from collections.abc import Sequence

from edge_sdk.errors import UsageError
from edge_sdk.pipeline.frames import Frame
from edge_sdk.pipeline.parts import Stage


class Parallel:
    """Copies of a stage, each in a thread of its own: every frame goes to one of them.

    Frames leave in the order in which they came. It is for stages that remember nothing from one
    frame to the next: models without a state, above all. Two sessions of one thread each do more
    than one session of two, since no layer waits for its other half; they hold twice the memory.

        Parallel([Model(edge_sdk.load(path, threads=1), "faces") for _ in range(2)])

    Args:
        copies: of one name; two with the same session take turns at it, unless its engine runs a
            model for several at once.

    Raises:
        UsageError: there are none, their names differ, one is there twice, or it wants all frames.
    """

    def __init__(self, copies: Sequence[Stage]) -> None:
        if not copies:
            raise UsageError("A stage without a copy does nothing.", "Parallel([Model(…), …])")
        self.copies = list(copies)
        self.name = self.copies[0].name
        if other := next((each.name for each in copies if each.name != self.name), None):
            raise UsageError(
                f"Copies of a stage have one name, and not {self.name!r} and {other!r}.",
                f"Model(session, {self.name!r})",
            )
        if len({id(each) for each in copies}) < len(copies):
            raise UsageError(
                f"One and the same {self.name!r} cannot be in two threads at once.",
                "Parallel([make() for _ in range(2)])   # and not [stage] * 2",
            )
        if any(getattr(each, "inline", False) for each in copies):
            raise UsageError(
                f"{self.name!r} remembers what it has seen, so it must see every frame.",
                "Leave it as it is: it takes next to no time.",
            )

    def process(self, frame: Frame) -> Frame:
        """Outside of a pipeline: what the first copy makes of it."""
        return self.copies[0].process(frame)

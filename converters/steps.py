"""The steps of a long work: which is under way, how far it is, and how long each took."""

from __future__ import annotations

import time
from collections.abc import Callable

from edge_sdk import interrupt

OnStep = Callable[[str, int, int], None]
"""Told (step, done, total); total is 0 where it is not known."""


class Steps:
    """Steps one after another; beginning one ends the one before.

    Attributes:
        seconds: wall time by step, for those that are over.
    """

    def __init__(self, on_step: OnStep | None = None) -> None:
        self.seconds: dict[str, float] = {}
        self._on_step = on_step
        self._name = ""
        self._since = 0.0

    def begin(self, name: str, total: int = 0) -> None:
        """A step begins. Raises KeyboardInterrupt if an engine swallowed one in the step before."""
        self.end()
        self._name, self._since = name, time.perf_counter()
        self.progress(0, total)

    def progress(self, done: int, total: int) -> None:
        """The step under way has done so much of it. Raises KeyboardInterrupt as ``begin``."""
        interrupt.check()
        if self._on_step is not None:
            self._on_step(self._name, done, total)

    def end(self) -> None:
        """The step under way is over."""
        if self._name:
            self.seconds[self._name] = round(time.perf_counter() - self._since, 3)
        self._name = ""

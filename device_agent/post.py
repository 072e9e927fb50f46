"""A role that is filled: a model, and all that is counted of it since it took the role."""

from __future__ import annotations

import time
from collections import Counter
from typing import Literal, TypeAlias

from device_agent import ipc
from device_agent.core.drought import Drought
from device_agent.core.window import OpenWindow
from device_agent.inference import Inference, Model
from device_agent.sources import Input
from device_agent.trail import Trail
from edge_sdk.guard import RefusedInput
from edge_sdk.guard.pace import TOO_MANY

Role: TypeAlias = Literal["serve", "shadow"]


class Post:
    """A role that is filled: its model, its open window, its counts since it took the role."""

    def __init__(
        self, role: Role, model: Model, configuration: ipc.Configure, trail: Trail | None
    ) -> None:
        self.role: Role = role
        self._trail = trail if role == "serve" else None
        self.model = model
        self.inferences = self.errors = self.unread = self.unrecorded = 0
        self.refused: Counter[str] = Counter()
        self.last_error = ""
        self.drought = Drought(time.monotonic(), wall_ms())
        self._configuration = configuration
        self.window = self._open()

    def answer(self, given: Input) -> Inference | None:
        """Answer and count; None if its limits refuse the input, or it failed."""
        try:
            if self._refuses(given):
                return None
            self.drought.fed(time.monotonic(), wall_ms())
            inference = self.model.answer(given)
        except Exception as error:  # noqa: BLE001 - engines and delegates raise what they like
            self.errors += 1
            self.last_error = f"{type(error).__name__}: {error}"
            self.window.failed()
            return None
        self.inferences += 1
        self.window.answered(inference.latency_us, inference.classes)
        if self._trail is not None and not self._trail.record(self.model, given, inference):
            self.unrecorded += 1
            self.window.unrecorded()
        return inference

    def missed(self, error: Exception) -> None:
        """The source gave nothing to ask it."""
        self.unread += 1
        self.window.unread()
        self.drought.missed(ipc.sentence(error), time.monotonic())

    def _refuses(self, given: Input) -> bool:
        if self.model.guard is None:
            return False
        try:
            self.model.guard.admit(given)
        except RefusedInput as refused:
            self.refused[refused.reason] += 1
            self.window.refused(refused.reason)
            if refused.reason != TOO_MANY:  # of those there are enough
                why = f"{self.model.whose} limits refuse it: {refused.reason}"
                self.drought.missed(why, time.monotonic())
            return True
        return False

    def turn(self, memory_bytes: int) -> ipc.Closed:
        """Close the window and open the next."""
        closed = self.window.close(
            ended_ms=wall_ms(), monotonic_ms=monotonic_ms(), memory_bytes=memory_bytes
        )
        self.window = self._open()
        return ipc.Closed(window=closed)

    def _open(self) -> OpenWindow:
        return OpenWindow(
            app=self._configuration.app,
            artifact=self.model.digest,
            role=self.role,
            boot=self._configuration.boot,
            baseline=self.model.baseline,
            started_ms=wall_ms(),
            monotonic_ms=monotonic_ms(),
        )


def monotonic_ms() -> int:
    """Now, on the clock that never goes back."""
    return time.monotonic_ns() // 1_000_000


def wall_ms() -> int:
    """Now, in Unix milliseconds."""
    return time.time_ns() // 1_000_000

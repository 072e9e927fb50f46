"""The worker's main loop: one input after the other through what serves and what shadows.

All that answers happens in one thread, which never waits for a model to load: models come to it
warm, over a queue, and between two inputs the new one takes the place of the old. So an input is
answered by the one or by the other, and after ``Serving`` was said never again by the old.

What goes wrong is counted, not fatal: an inference that fails counts against its artifact; an input
that cannot be read, or that the artifact's limits refuse, and a record that cannot be written count
against nobody.
"""

from __future__ import annotations

import queue
import random
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from device_agent import ipc
from device_agent.core.backoff import Backoff
from device_agent.inference import Inference, Model
from device_agent.post import Post, Role, monotonic_ms
from device_agent.shadow import agree
from device_agent.sources import open_source
from device_agent.trail import Trail

BEAT_S = 1.0
FEATURE_SHARE = 0.02
"""Of the time that goes by, how much measuring features may take: all inferences are measured where
there are pauses between them, and some of them where there are none."""
_RETRY = Backoff(first_s=0.2, longest_s=5.0)


@dataclass(frozen=True, slots=True)
class Swap:
    """Put a model into a role, in place of what is there.

    Attributes:
        model: None leaves the role empty.
    """

    role: Role
    model: Model | None


@dataclass(frozen=True, slots=True)
class Confirm:
    """Say again what is in a role."""

    role: Role


@dataclass(frozen=True, slots=True)
class End:
    """Close everything and end."""


Order: TypeAlias = Swap | Confirm | End


class Serving:
    """The main loop of one application.

    Attributes:
        orders: what the loader wants done, from its thread.
    """

    def __init__(self, configuration: ipc.Configure, line: ipc.WorkerEnd) -> None:
        self.orders: queue.SimpleQueue[Order] = queue.SimpleQueue()
        self._configuration = configuration
        self._line = line
        self._source = open_source(configuration.source)
        self._posts: dict[Role, Post] = {}
        self._trail = Trail(Path(configuration.audit)) if configuration.audit else None
        self._unread_in_a_row = 0
        now = time.monotonic()
        self._next_input = self._next_beat = now
        self._next_turn = now + configuration.window_s
        self._measured_until = now

    def run(self) -> None:
        """Work until ``End``.

        Raises:
            OSError: the supervisor is gone.
        """
        while True:
            due = [self._next_beat, self._next_turn, *([self._next_input] if self._posts else [])]
            order = self._order(min(due) - time.monotonic())
            if isinstance(order, End):
                break
            if order is not None:
                self._obey(order)
            self._keep_time()
            if "serve" in self._posts and time.monotonic() >= self._next_input:
                self._next()
        for role in tuple(self._posts):
            self._vacate(role)
        self._source.close()

    def _order(self, wait_s: float) -> Order | None:
        try:
            return self.orders.get(block=wait_s > 0, timeout=max(wait_s, 0))
        except queue.Empty:
            return None

    def _obey(self, order: Swap | Confirm) -> None:
        if isinstance(order, Swap):
            # The old one answers nothing any more before the new one is announced.
            self._vacate(order.role)
            if order.model is None:
                return
            self._posts[order.role] = Post(
                order.role, order.model, self._configuration, self._trail
            )
        if order.role in self._posts:
            model = self._posts[order.role].model
            word = ipc.Serving if order.role == "serve" else ipc.Shadowing
            self._line.send(word(artifact=model.digest, placement=model.placement))

    def _vacate(self, role: Role) -> None:
        post = self._posts.pop(role, None)
        if post is not None:
            self._line.send(post.turn(memory_bytes()))
            post.model.close()

    def _keep_time(self) -> None:
        """Beat and turn the windows, if it is time."""
        now = time.monotonic()
        if now >= self._next_beat:
            self._next_beat = now + BEAT_S
            self._line.send(self._beat())
        if now >= self._next_turn:
            self._next_turn = now + self._configuration.window_s
            memory = memory_bytes()
            for post in self._posts.values():
                self._line.send(post.turn(memory))

    def _beat(self) -> ipc.Beat:
        serve, shadow = self._posts.get("serve"), self._posts.get("shadow")
        return ipc.Beat(
            monotonic_ms=monotonic_ms(),
            artifact=serve.model.digest if serve else "",
            inferences=serve.inferences if serve else 0,
            errors=serve.errors if serve else 0,
            last_error=serve.last_error if serve else "",
            unread=serve.unread if serve else 0,
            waiting=serve.drought.waiting if serve else False,
            refused=dict(serve.refused) if serve else {},
            unrecorded=serve.unrecorded if serve else 0,
            no_input=serve.drought.problem if serve else "",
            no_record=self._trail.problem if self._trail else "",
            shadow=shadow.model.digest if shadow else "",
            shadow_inferences=shadow.inferences if shadow else 0,
            shadow_errors=shadow.errors if shadow else 0,
            shadow_last_error=shadow.last_error if shadow else "",
            shadow_no_input=shadow.drought.problem if shadow else "",
        )

    def _next(self) -> None:
        """One input through every role."""
        self._next_input = time.monotonic() + self._configuration.source.interval_ms / 1000
        serve, shadow = self._posts["serve"], self._posts.get("shadow")
        try:
            given = self._source.next(serve.model.takes)
        except Exception as error:  # noqa: BLE001 - decoders too raise what they like
            self._unreadable(serve, error)
            return
        self._unread_in_a_row = 0
        served = serve.answer(given)
        candidate = shadow.answer(given) if shadow else None
        if served and candidate and shadow:
            shadow.window.compared(agreed=agree(served.answer, candidate.answer))
        self._measure((serve, served), (shadow, candidate))

    def _unreadable(self, serve: Post, error: Exception) -> None:
        serve.missed(error)
        self._unread_in_a_row += 1
        if self._unread_in_a_row > 1:
            delay_s = _RETRY.delay_s(self._unread_in_a_row - 1, random.random)
            self._next_input = max(self._next_input, time.monotonic() + delay_s)

    def _measure(self, *pairs: tuple[Post | None, Inference | None]) -> None:
        """Measure features, unless that would take too large a share of the time."""
        started = time.monotonic()
        if started < self._measured_until:
            return
        for post, inference in pairs:
            if post and inference and post.model.baseline:
                post.window.measured(post.model.names, post.model.measure(inference))
        elapsed = time.monotonic() - started
        self._measured_until = started + elapsed / FEATURE_SHARE


def memory_bytes() -> int:
    """This process's proportional set size; 0 where the kernel does not tell."""
    try:
        lines = Path("/proc/self/smaps_rollup").read_text(encoding="ascii").splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:")), 0)

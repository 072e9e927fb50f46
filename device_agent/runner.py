"""Keeps one application's worker running exactly what it should, whatever happens to it.

The supervisor says what should run (``want``); the worker says what does. Between them stands this
loop: start, tell, listen, and when it ends without having been asked to, say so, wait, start again.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from msgspec import field
from msgspec.structs import replace

from device_agent.child import Worker
from device_agent.core.backoff import Backoff
from device_agent.ipc import (
    Beat,
    Checked,
    Closed,
    Configure,
    Failed,
    Serve,
    Serving,
    Shadow,
    Shadowing,
    StopShadow,
)
from device_agent.slots import Slots
from edge_sdk.errors import UnavailableError
from edge_sdk.spec.placement import Placement
from edge_sdk.spec.sketch import Window
from edge_sdk.spec.word import Word
from edge_sdk.timeouts import timeout

_log = logging.getLogger(__name__)


class WorkerStatus(Word, frozen=True, kw_only=True):
    """How an application's worker is.

    Attributes:
        pid: 0 if none runs.
        starts, crashes: since the agent began.
        serving, shadow: digests of what it really runs; empty for nothing.
        placement: where the operations of what serves run.
        inferences, errors, unread, refused, unrecorded: of what serves, since it began to; see
            ``ipc.Beat``.
        no_input, no_record: see there.
        problem: what does not work just now; empty if all does.
    """

    pid: int = 0
    starts: int = 0
    crashes: int = 0
    serving: str = ""
    shadow: str = ""
    placement: Placement | None = None
    inferences: int = 0
    errors: int = 0
    unread: int = 0
    refused: dict[str, int] = field(default_factory=dict)
    unrecorded: int = 0
    no_input: str = ""
    no_record: str = ""
    problem: str = ""


class Listener(Protocol):
    """Who hears what became of it."""

    def on_serving(self, digest: str) -> None:
        """From now on it answers."""

    def on_shadowing(self, digest: str) -> None:
        """From now on it runs in shadow."""

    def on_not_run(self, digest: str, reason: str) -> None:
        """It could not be taken into service or shadow."""

    def on_crash(self, reason: str) -> None:
        """The worker ended without having been asked to."""

    def on_beat(self, beat: Beat) -> None:
        """The worker lives."""

    def on_window(self, window: Window) -> None:
        """A telemetry window is complete."""


@dataclass(frozen=True, slots=True)
class Patience:
    """Limits in time.

    Attributes:
        silence_s: a worker that says nothing for so long is killed.
        stop_s: for a worker to end by itself.
        restart: waits before a worker that crashed is started again.
        settled_s: one that lived so long may be started again at once.
    """

    silence_s: float
    stop_s: float
    restart: Backoff
    settled_s: float = 60.0


class Runner:
    """One application's worker."""

    def __init__(
        self,
        configure: Configure,
        slots: Slots,
        listener: Listener,
        patience: Patience,
        *,
        random: Callable[[], float],
        now_ms: Callable[[], int],
        monotonic_ms: Callable[[], int],
    ) -> None:
        """Nothing runs before ``run``, nor before something is wanted."""
        self._configure = configure
        self._slots = slots
        self._listener = listener
        self._patience = patience
        self._random = random
        self._now_ms = now_ms
        self._monotonic_ms = monotonic_ms
        self._serve = self._shadow = ""
        self._changed = asyncio.Event()
        self.status = WorkerStatus()

    def want(self, serve: str, shadow: str) -> None:
        """From now on let these digests run, empty for nothing; answers come even if they do."""
        self._serve, self._shadow = serve, shadow
        self._changed.set()

    async def run(self) -> None:
        """Keep it so until cancelled; then end the worker, hearing its last windows."""
        failures = 0
        while True:
            while not self._serve:
                await self._changed.wait()
                self._changed.clear()
            started = self._monotonic_ms()
            reason = await self._live()
            if reason:
                lived_ms = self._monotonic_ms() - started
                failures = 1 if lived_ms > self._patience.settled_s * 1000 else failures + 1
                wait_s = self._patience.restart.delay_s(failures, self._random)
                _log.error(
                    "%s: the worker %s; again in %.1f s", self._configure.app, reason, wait_s
                )
                await self._rest(wait_s)

    async def _rest(self, wait_s: float) -> None:
        """Wait, unless something else is wanted meanwhile."""
        self._changed.clear()
        try:
            async with timeout(wait_s):
                await self._changed.wait()
        except asyncio.TimeoutError:
            return

    async def _live(self) -> str:
        """One life of a worker; answers how it crashed, or nothing if it was asked to end."""
        try:
            worker = await Worker.start(self._configure)
        except UnavailableError as error:
            self._mark(problem=error.message)
            return error.message
        self._mark(pid=worker.pid, starts=self.status.starts + 1, problem="")
        listening = asyncio.create_task(self._listen(worker))
        try:
            while self._serve:
                self._changed.clear()
                await self._tell(worker)
                changed = asyncio.create_task(self._changed.wait())
                await asyncio.wait({listening, changed}, return_when=asyncio.FIRST_COMPLETED)
                changed.cancel()
                if listening.done():
                    return self._crashed(await worker.kill())
            return ""
        finally:
            if not listening.done():
                await self._end(worker, listening)
            self._mark(pid=0, serving="", shadow="", placement=None, no_input="", no_record="")

    async def _tell(self, worker: Worker) -> None:
        """Say all of what should run; a worker that does so already just answers again."""
        if not self._shadow:
            await worker.send(StopShadow())
        await worker.send(Serve(slot=self._slot(self._serve), artifact=self._serve))
        if self._shadow:
            await worker.send(Shadow(slot=self._slot(self._shadow), artifact=self._shadow))

    async def _end(self, worker: Worker, listening: asyncio.Task[None]) -> None:
        """Ask it to end and hear it out; kill it if that takes too long."""
        await worker.stop()
        done, _ = await asyncio.wait({listening}, timeout=self._patience.stop_s)
        listening.cancel()
        await asyncio.gather(listening, return_exceptions=True)
        ended = await worker.kill()
        if not done:
            _log.warning("%s: the worker did not stop: it %s", self._configure.app, ended)

    async def _listen(self, worker: Worker) -> None:
        """Pass on what the worker says, until its line ends."""
        while (notice := await worker.receive(self._patience.silence_s)) is not None:
            match notice:
                case Beat():
                    self._beat(notice)
                    self._listener.on_beat(notice)
                case Closed():
                    self._listener.on_window(notice.window)
                case Serving():
                    self._mark(serving=notice.artifact, placement=notice.placement, problem="")
                    self._listener.on_serving(notice.artifact)
                case Shadowing():
                    self._mark(shadow=notice.artifact)
                    self._listener.on_shadowing(notice.artifact)
                case Failed():
                    self._failed(notice)
                case Checked():
                    _log.warning("%s: an unasked check was answered", self._configure.app)

    def _beat(self, beat: Beat) -> None:
        before = self.status
        no_input = beat.no_input
        if beat.shadow_no_input and not no_input:
            no_input = f"in shadow: {beat.shadow_no_input}"
        self._mark(
            inferences=beat.inferences,
            errors=beat.errors,
            unread=beat.unread,
            refused=beat.refused,
            unrecorded=beat.unrecorded,
            no_input=no_input,
            no_record=beat.no_record,
        )
        for was, what in ((before.no_input, no_input), (before.no_record, beat.no_record)):
            if what and what != was:
                _log.error("%s: %s", self._configure.app, what)
            elif was and not what:
                _log.info("%s: over: %s", self._configure.app, was)

    def _failed(self, notice: Failed) -> None:
        self._mark(problem=f"{notice.what}: {notice.reason}")
        _log.error("%s: %s: %s", self._configure.app, notice.what, notice.reason)
        self._listener.on_not_run(notice.artifact, notice.reason)
        if notice.artifact == self._serve:  # nobody wants another now: it is all there is
            wait_s = self._patience.restart.delay_s(8, self._random)
            asyncio.get_running_loop().call_later(wait_s, self._changed.set)

    def _crashed(self, ended: str) -> str:
        """Count it; its windows are lost with it, so a window that says so takes their place."""
        crashes = self.status.crashes + 1
        self._mark(crashes=crashes, problem=f"the worker {ended}")
        now_ms = self._now_ms()
        self._listener.on_window(
            Window(
                app=self._configure.app,
                artifact=self.status.serving or self._serve,
                role="serve",
                started_ms=now_ms,
                ended_ms=now_ms,
                boot=self._configure.boot,
                monotonic_ms=self._monotonic_ms(),
                crashes=1,
            )
        )
        self._listener.on_crash(f"the worker {ended}")
        return ended

    def _slot(self, digest: str) -> str:
        return str(self._slots.path(digest))

    def _mark(self, **changes: object) -> None:
        self.status = replace(self.status, **changes)

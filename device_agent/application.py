"""One application on this device: hears events, asks the table, writes the journal, does the rest.

Everything that happens to an application goes through one queue and is answered one at a time, in
this order: the table says what it means; the journal holds it; the fleet is told; the effects are
performed. Whatever takes long (fetching, checking) runs beside the queue and ends as an event.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

from msgspec.structs import replace

from device_agent import child
from device_agent.core import effects as do
from device_agent.core import events as ev
from device_agent.core.backoff import Backoff
from device_agent.core.probation import Outcome, Terms, judge
from device_agent.core.standing import Update, answering, in_flight, needed, view
from device_agent.core.telling import Telling
from device_agent.core.update import step
from device_agent.download import Download
from device_agent.ipc import Beat, Checked, Configure
from device_agent.journal import Journal
from device_agent.runner import Runner, WorkerStatus
from device_agent.slots import Slots
from edge_sdk.errors import EdgeError
from edge_sdk.spec.deployment import AppState, ArtifactRef, State
from edge_sdk.spec.sketch import Window

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Trial:
    """Limits of bringing a version in.

    Attributes:
        terms: of probation.
        check_s: for a check.
        activation_s: for the worker to take it into service or shadow.
        silence_s: of a worker that checks.
        retry: waits while the journal cannot be written.
    """

    terms: Terms
    check_s: float
    activation_s: float
    silence_s: float
    retry: Backoff = Backoff(1.0, 30.0)  # noqa: RUF009  (frozen)


@dataclass(frozen=True, slots=True)
class Watching:
    """A probation that goes on.

    Attributes:
        attempt: whose.
        since_ms: by the monotonic clock.
        before: what the worker had counted by then.
    """

    attempt: int
    since_ms: int
    before: Beat


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What an application needs of the agent.

    Attributes:
        journal, slots, download: see there.
        make_runner: makes the keeper of an application's worker.
        changed: something that the fleet must hear has changed.
        window: a telemetry window is complete.
        collect: removes slots that no application needs.
        monotonic_ms: a clock that never goes back.
        random: draws from [0, 1).
    """

    journal: Journal
    slots: Slots
    download: Download
    make_runner: Callable[[Application, Configure], Runner]
    changed: Callable[[], None]
    window: Callable[[Window], None]
    collect: Callable[[], Awaitable[None]]
    monotonic_ms: Callable[[], int]
    random: Callable[[], float]


class Application:
    """One application; a ``runner.Listener``."""

    def __init__(
        self,
        name: str,
        configure: Configure,
        trial: Trial,
        around: Surroundings,
        newest: int,
        *,
        limits: str = "",
    ) -> None:
        """Read the journal; nothing happens before ``run``.

        Args:
            name: the application's.
            configure: of its worker.
            trial: limits.
            around: the rest of the agent.
            newest: counter of the newest Desired that the device believes. A journal that knows a
                higher one is of another fleet, or of a time that was forgotten.
            limits: see ``AppState``.

        Raises:
            UsageError: the journal cannot be read.
        """
        self.name = name
        self._configure = configure
        self._trial = trial
        self._around = around
        update = around.journal.read(name)
        self._update = replace(update, counter=min(update.counter, newest))
        self._events: asyncio.Queue[tuple[ev.Event, asyncio.Future[None] | None]] = asyncio.Queue()
        self._task: asyncio.Task[None] | None = None
        self._watching: Watching | None = None
        self._before = NOTHING
        self._delay = ""
        self._limits = limits
        self._runner = around.make_runner(self, configure)
        self._telling = Telling(self.state)

    # ------------------------------------------------------------------------------ what it is

    @property
    def state(self) -> AppState:
        """What the fleet is told of it."""
        return replace(view(self._update), problems=self._problems, limits=self._limits)

    @property
    def _problems(self) -> tuple[str, ...]:
        """What is in the way just now. A worker's are old once nothing is to answer."""
        worker = self._runner.status
        runs = answering(self._update) is not None
        found = (f"waits: {self._delay}" if self._delay else "", worker.no_input, worker.no_record)
        return tuple(each for each in (found if runs else found[:1]) if each)

    @property
    def counter(self) -> int:
        """Of the newest Desired that it has taken up."""
        return self._update.counter

    @property
    def needed(self) -> frozenset[str]:
        """Digests of the slots that it needs."""
        return needed(self._update)

    @property
    def worker(self) -> WorkerStatus:
        """How its worker is."""
        return self._runner.status

    # ------------------------------------------------------------------------- what happens to it

    def tell(self, event: ev.Event) -> None:
        """Something happened; it is answered in its turn."""
        self._events.put_nowait((event, None))

    async def ask(self, event: ev.Event) -> None:
        """Something happened, and somebody waits for it to be answered.

        Raises:
            UpdateError: it cannot be done.
        """
        answered: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._events.put_nowait((event, answered))
        await answered

    def on_serving(self, digest: str) -> None:
        """The worker says that it answers with this artifact."""
        if self._update.state is State.ACTIVATING and self._is_target(digest):
            self.tell(ev.Activated(self._update.attempt))

    def on_shadowing(self, digest: str) -> None:
        """The worker says that this artifact runs in shadow."""
        if self._update.state is State.SHADOWING and self._is_target(digest):
            self.tell(ev.Shadowed(self._update.attempt))

    def on_not_run(self, digest: str, reason: str) -> None:
        """The worker says that it cannot take this artifact into service or shadow."""
        update = self._update
        if update.state in (State.ACTIVATING, State.PROBATION) and self._is_target(digest):
            self.tell(ev.NotActivated(update.attempt, reason))
        shadows = self._is_target(digest) or (
            update.shadow is not None and update.shadow.digest == digest
        )
        if update.state is State.SHADOWING and shadows:
            self.tell(ev.NotShadowed(update.attempt, reason))

    def on_crash(self, reason: str) -> None:
        """The worker ended without having been asked to."""
        self.tell(ev.Crashed(reason))

    def on_window(self, window: Window) -> None:
        """A telemetry window is complete."""
        self._around.window(window)

    def on_beat(self, beat: Beat) -> None:
        """The worker lives: go on with probation."""
        self._tell_changes()
        watching = self._watching
        if watching is None:
            return
        counted = beat if self._is_target(beat.artifact) else NOTHING
        verdict = judge(
            self._trial.terms,
            self._around.monotonic_ms() - watching.since_ms,
            counted.inferences,
            counted.errors,
            starved=starved(watching.before, counted),
        )
        if verdict is None:
            return
        self._watching = None
        match verdict.outcome:
            case Outcome.HEALTHY:
                self.tell(ev.Healthy(watching.attempt))
            case Outcome.INCONCLUSIVE:
                self._before = counted
                self.tell(ev.Inconclusive(watching.attempt, verdict.reason))
            case Outcome.UNHEALTHY:
                said = f": {beat.last_error}" if beat.errors and beat.last_error else ""
                self.tell(ev.Unhealthy(watching.attempt, verdict.reason + said))

    def _tell_changes(self) -> None:
        """Let the fleet hear what it was not told yet."""
        if self._telling.is_due(self.state, self._around.monotonic_ms()):
            self._around.changed()

    def _is_target(self, digest: str) -> bool:
        return self._update.target is not None and self._update.target.digest == digest

    # -------------------------------------------------------------------------------- its own life

    async def run(self) -> None:
        """Go on from the journal until cancelled; the worker is ended then."""
        running = asyncio.create_task(self._runner.run())
        self.tell(ev.Rebooted())
        answering = asyncio.create_task(self._answer_all())
        try:
            await asyncio.wait({running, answering}, return_when=asyncio.FIRST_COMPLETED)
            for task in (running, answering):
                if task.done():
                    task.result()
        finally:
            await self._cancel()
            for task in (answering, running):
                task.cancel()
            await asyncio.gather(answering, running, return_exceptions=True)

    async def _answer_all(self) -> None:
        while True:
            event, answered = await self._events.get()
            try:
                await self._answer(event)
            except EdgeError as error:
                if answered is None:
                    _log.error("%s: %s", self.name, error)
                elif not answered.done():
                    answered.set_exception(error)
            else:
                if answered is not None and not answered.done():
                    answered.set_result(None)

    async def _answer(self, event: ev.Event) -> None:
        before = self._update
        update, effects = step(before, event)
        if update != before:
            await self._write(update)
            self._update = update
            if update.state is not State.PROBATION:
                self._watching, self._before = None, NOTHING
            _log.info("%s: %s: %s", self.name, type(event).__name__, _told(update))
        if isinstance(event, ev.Desired):
            self._telling.told(self.state)
            self._around.changed()
        self._tell_changes()
        for effect in effects:
            await self._perform(effect)

    async def _write(self, update: Update) -> None:
        """Into the journal; while that cannot be, nothing changes, and what runs goes on."""
        failures = 0
        while True:
            try:
                return await asyncio.to_thread(self._around.journal.write, self.name, update)
            except EdgeError as error:
                failures += 1
                _log.error("%s: %s", self.name, error)
            await asyncio.sleep(self._trial.retry.delay_s(failures, self._around.random))

    async def _perform(self, effect: do.Effect) -> None:
        match effect:
            case do.Fetch() | do.Check():
                await self._cancel()
                work = self._fetch(effect) if isinstance(effect, do.Fetch) else self._check(effect)
                self._task = asyncio.create_task(work)
            case do.Run(serve, shadow, attempt):
                self._runner.want(serve.digest if serve else "", shadow.digest if shadow else "")
                if in_flight(self._update) and self._update.state in _TAKEN_BY_THE_WORKER:
                    await self._cancel()
                    self._task = asyncio.create_task(self._give_up_waiting(attempt))
            case do.Watch(_, attempt):
                await self._cancel()
                now_ms = self._around.monotonic_ms()
                self._watching = Watching(attempt, now_ms, self._before)
            case do.Cancel():
                await self._cancel()
            case do.Collect():
                await self._around.collect()
            case do.Proceed():
                self.tell(ev.Idle())

    async def _cancel(self) -> None:
        """Stop what runs beside the queue, and wait until it has let go of the slot."""
        task, self._task = self._task, None
        if task is not None and task is not asyncio.current_task():
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def _fetch(self, effect: do.Fetch) -> None:
        def delayed(reason: str) -> None:
            self._delay = reason
            self._tell_changes()

        try:
            await self._around.download.bring(effect.artifact, delayed)
        except EdgeError as error:
            hint = f" ({error.hint})" if error.hint else ""
            self.tell(ev.Unfetchable(effect.attempt, error.message + hint))
        else:
            self.tell(ev.Fetched(effect.attempt))
        finally:
            self._delay = ""

    async def _check(self, effect: do.Check) -> None:
        failures = 0
        while True:
            try:
                found = await self._check_once(effect)
                break
            except EdgeError as error:
                failures += 1
                _log.error("%s: %s", self.name, error)
            await asyncio.sleep(self._trial.retry.delay_s(failures, self._around.random))
        if found.ok:
            self.tell(ev.Verified(effect.attempt))
        else:
            self.tell(ev.Unfit(effect.attempt, found.reason))

    async def _check_once(self, effect: do.Check) -> Checked:
        slot: Path = self._around.slots.path(effect.artifact.digest)
        return await child.check(
            self._configure,
            slot,
            effect.artifact.digest,
            silence_s=self._trial.silence_s,
            timeout_s=self._trial.check_s,
        )

    async def _give_up_waiting(self, attempt: int) -> None:
        """A worker that never answers must not hold an attempt open for ever."""
        limit_s = self._trial.activation_s
        await asyncio.sleep(limit_s)
        reason = f"the worker did not take it up within {limit_s:g} s"
        if self._update.state is State.ACTIVATING:
            self.tell(ev.NotActivated(attempt, reason))
        elif self._update.state is State.SHADOWING and in_flight(self._update):
            self.tell(ev.NotShadowed(attempt, reason))


def starved(before: Beat, now: Beat) -> bool:
    """Whether inputs were missing in between, some or all.

    They were too where it began with waiting: a source that gives nothing is asked every few
    seconds, so that a short probation may end without having asked it once.
    """
    missed = now.unread + now.refused_in_all > before.unread + before.refused_in_all
    asked = now.inferences + now.errors > before.inferences + before.errors
    return before.waiting or missed or not asked


NOTHING = Beat(monotonic_ms=0)
_TAKEN_BY_THE_WORKER = (State.ACTIVATING, State.SHADOWING)


def _told(update: Update) -> str:
    """One line for the log."""
    target = f" {_named(update.target)}" if update.target else ""
    reason = f" ({update.reason})" if update.reason else ""
    return f"{update.state.value}{target}{reason}; committed is {_named(update.serving)}"


def _named(ref: ArtifactRef | None) -> str:
    return f"{ref.name} {ref.version}" if ref else "nothing"

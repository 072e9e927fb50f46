"""The agent: everything joined in one event loop, from the enrolment to the last window.

    STATE/agent.lock      one agent at a time
    STATE/agent.sock      the control socket
    STATE/apps/           the journals
    STATE/slots/          the artifacts
    STATE/trust/          what is believed
    STATE/outbox.sqlite   what the fleet must hear

Nothing of this needs the fleet to start: what was committed runs again at once, whether there is a
network or not.
"""

from __future__ import annotations

import asyncio
import logging
import os
import random
import secrets
import time
from collections.abc import Collection
from pathlib import Path

from device_agent import control
from device_agent.application import Application, Surroundings, Trial
from device_agent.config import AgentSettings, AppSettings
from device_agent.core.backoff import Backoff
from device_agent.core.events import Desired as DesiredEvent
from device_agent.core.events import RollBack, Stopping
from device_agent.core.owed import Owed
from device_agent.core.probation import Terms
from device_agent.download import Download
from device_agent.ipc import Configure, Source
from device_agent.journal import Journal
from device_agent.link import Limits, Link
from device_agent.lock import StateLock
from device_agent.outbox import open_outbox
from device_agent.probe import engines, probe
from device_agent.runner import Patience, Runner
from device_agent.slots import Slots
from device_agent.trust import DeviceTrust
from edge_sdk.broker import Broker, Credentials, connect
from edge_sdk.errors import EdgeError, UsageError
from edge_sdk.files import disk_error, whole_file
from edge_sdk.spec import DeviceProfile
from edge_sdk.spec.deployment import AppState, Desired, Reported, Signed, State
from edge_sdk.spec.enrolment import Enrolment
from edge_sdk.spec.sketch import Window
from edge_sdk.spec.wire import BenchMessage, Hello, Message, ReportedMessage, TelemetryMessage
from edge_sdk.text import nearest
from edge_sdk.trust.signing import key_id

_log = logging.getLogger(__name__)

DOWNLOAD_RETRY = Backoff(2.0, 60.0)
WORKER_RESTART = Backoff(1.0, 60.0)
STOPPING_S = 5.0
"""For the journals to say that the agent was asked to end."""
LATE_S = 20.0
"""What keeps an agent that ends for so long is written into the log."""


class Agent:
    """One device. Make it, ``run`` it until ``stop``, once."""

    def __init__(self, settings: AgentSettings, enrolment: Enrolment) -> None:
        """Open the state, or make it.

        Raises:
            UsageError: another agent runs on it, or it cannot be used.
            UnavailableError: no room, or something to speak MQTT with is missing.
            ArtifactError: the enrolment's root is not one.
        """
        self._settings = settings
        self._enrolment = enrolment
        self._boot = secrets.token_hex(8)
        self._folder = Path(settings.state)
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            self._folder.chmod(0o700)
        except OSError as error:
            raise disk_error(error, self._folder) from error
        self._lock = StateLock(self._folder / "agent.lock")
        self._slots = Slots(self._folder / "slots")
        self._outbox = open_outbox(
            self._folder / "outbox.sqlite",
            fleet=key_id(enrolment.director),
            max_bytes=settings.outbox_max_bytes,
            now_ms=now_ms,
        )
        self._broker = self._connect()
        self._link = Link(
            self._broker,
            enrolment.device,
            self._outbox,
            boot=self._boot,
            hello=self._hello,
            on_desired=self._on_desired,
            now_ms=now_ms,
            floor_ms=lambda: self._trust.floor_ms,
            random=random.random,
            limits=Limits(
                request_timeout_s=settings.request_timeout_s,
                requests_in_flight=settings.requests_in_flight,
                hello_every_s=settings.hello_every_s,
            ),
        )
        self._trust = DeviceTrust(self._folder / "trust", enrolment, self._link.fetch)
        self._stopping = asyncio.Event()
        self._profiled: asyncio.Future[DeviceProfile] = asyncio.get_running_loop().create_future()
        self._putting: asyncio.Queue[Message] = asyncio.Queue()
        self._collecting = asyncio.Lock()
        self._strangers: dict[str, AppState] = {}
        self._taken_up = 0
        around = self._surroundings()
        counter = self._counter
        self._apps = {
            name: Application(
                name,
                self._configure(name, app),
                self._trial(),
                around,
                counter,
                limits=app.guarding_text,
            )
            for name, app in settings.apps.items()
        }

    def stop(self) -> None:
        """End soon, cleanly."""
        self._stopping.set()

    async def run(self) -> None:
        """Keep the device as it should be until ``stop``."""
        server = await control.serve(self._folder, self._answer)
        broker = asyncio.create_task(self._broker.run())
        putting = asyncio.create_task(self._put_all())
        living = [
            asyncio.create_task(self._converse()),
            *(asyncio.create_task(app.run()) for app in self._apps.values()),
        ]
        stopping = asyncio.create_task(self._stopping.wait())
        if self._trust.desired is not None:
            self._pass_on(self._trust.desired)
        _log.info("agent of %s runs: %s", self._enrolment.device, self._folder)
        try:
            await asyncio.wait(
                {stopping, broker, putting, *living}, return_when=asyncio.FIRST_COMPLETED
            )
        finally:
            server.close()
            stopping.cancel()
            late = asyncio.get_running_loop().call_later(LATE_S, _say_what_runs)
            if self._stopping.is_set():
                await self._note_stopping()
            # Workers end first: their last windows still find their way into the outbox.
            await _ended(living)
            kept = asyncio.create_task(self._putting.join())
            await asyncio.wait({kept, putting}, return_when=asyncio.FIRST_COMPLETED)
            await _ended([kept, putting, broker])
            late.cancel()
            self._outbox.close()
            self._lock.release()
        for task in (*living, putting, broker):
            if not task.cancelled():
                task.result()

    async def _note_stopping(self) -> None:
        """Before anything ends: whoever asked may not wait for long."""
        asked = [asyncio.create_task(app.ask(Stopping())) for app in self._apps.values()]
        if asked:
            await asyncio.wait(asked, timeout=STOPPING_S)
        for task in asked:
            task.cancel()

    # ----------------------------------------------------------------------- what the fleet says

    def _on_desired(self, signed: Signed) -> bool:
        """A Desired came; answers whether it was believed."""
        known = self._counter
        try:
            desired = self._trust.accept(signed)
        except EdgeError as error:
            _log.error("a Desired was refused: %s", error)
            return False
        if desired.counter > known:
            self._pass_on(desired)
        return True

    def _pass_on(self, desired: Desired) -> None:
        self._strangers = {
            name: AppState(
                state=State.FAILED,
                reason=f"no application {name!r} is configured on this device",
            )
            for name, assignment in desired.apps.items()
            if name not in self._apps and assignment.serve is not None
        }
        heard = [name for name in desired.apps if name in self._apps]
        for name in heard:
            self._apps[name].tell(DesiredEvent(desired.counter, desired.apps[name]))
        if not heard:
            self._report()

    # ----------------------------------------------------------------------- what the fleet hears

    @property
    def _counter(self) -> int:
        return self._trust.desired.counter if self._trust.desired is not None else 0

    def _reported(self) -> Reported:
        """What we are. A counter is reported once every application has taken it up: one that has
        not would still show how its last attempt ended, as if it were this one's."""
        desired = self._trust.desired
        if desired is not None and all(
            self._apps[name].counter >= desired.counter
            for name in desired.apps
            if name in self._apps
        ):
            self._taken_up = desired.counter
        apps = {name: app.state for name, app in self._apps.items()}
        return Reported(counter=self._taken_up, apps={**self._strangers, **apps})

    def _hello(self) -> Hello:
        return Hello(boot=self._boot, profile=self._profiled.result(), reported=self._reported())

    def _report(self) -> None:
        self._putting.put_nowait(ReportedMessage(at_ms=now_ms(), reported=self._reported()))

    def _tell_window(self, window: Window) -> None:
        self._putting.put_nowait(TelemetryMessage(windows=(window,)))

    async def _put_all(self) -> None:
        """Into the outbox, in order. What the disk does not take is lost, and said so. Once it
        takes something, a report is made again, of the state there is then, and how many answers
        left no record is told."""
        unreported, owed = False, Owed()
        while True:
            message = await self._putting.get()
            try:
                await asyncio.to_thread(self._outbox.put, message)
            except EdgeError as error:
                _log.error("a %s message is lost: %s", message.TYPE, error)
                unreported = unreported or isinstance(message, ReportedMessage)
                if isinstance(message, TelemetryMessage):
                    owed.lost(message.windows)
            else:
                for window in owed.take():
                    self._tell_window(window)
                if unreported:
                    unreported = False
                    self._report()
            finally:
                self._putting.task_done()
            self._link.stir()

    async def _converse(self) -> None:
        """Talk with the fleet; not before it is known what this machine is, which hello says."""
        self._profiled.set_result(await probe())
        self._report()
        await self._link.run()

    # -------------------------------------------------------------------------- who asks locally

    async def _answer(self, question: control.Question) -> control.Status:
        if question.command == "rollback":
            if question.app not in self._apps:
                raise UsageError(
                    f"There is no application {question.app!r} on this device.",
                    nearest(question.app, self._apps),
                )
            await self._apps[question.app].ask(RollBack("asked for at the device"))
        if question.report is not None:
            bench = BenchMessage(at_ms=now_ms(), report=question.report)
            await asyncio.to_thread(self._outbox.put, bench)
            self._link.stir()
        return self._status()

    def _status(self) -> control.Status:
        return control.Status(
            device=self._enrolment.device,
            fleet=self._enrolment.fleet,
            broker=self._enrolment.broker,
            pid=os.getpid(),
            boot=self._boot,
            connected=self._broker.connected,
            refusal=self._broker.refusal,
            answered=self._link.answered,
            dismissed=self._link.dismissed,
            counter=self._counter,
            apps={
                **{name: control.AppStatus(state=state) for name, state in self._strangers.items()},
                **{
                    name: control.AppStatus(state=app.state, worker=app.worker)
                    for name, app in self._apps.items()
                },
            },
            outbox=self._outbox.waiting,
            traffic=self._link.traffic,
        )

    # ------------------------------------------------------------------------------- composition

    def _connect(self) -> Broker:
        """The broker's connection, with the authority's certificate where a file is needed."""
        login = self._enrolment.credentials
        ca_file = ""
        if login.ca:
            ca_file = str(self._folder / "broker-ca.pem")
            with whole_file(Path(ca_file)) as file:
                file.write(login.ca.encode())
        return connect(
            self._enrolment.broker,
            name=self._enrolment.device,
            credentials=Credentials(
                username=login.username, password=login.password, ca_file=ca_file
            ),
        )

    def _surroundings(self) -> Surroundings:
        return Surroundings(
            journal=Journal(self._folder / "apps"),
            slots=self._slots,
            download=Download(
                self._slots,
                self._trust,
                self._engines,
                min_free_bytes=self._settings.min_free_bytes,
                retry=DOWNLOAD_RETRY,
                random=random.random,
            ),
            make_runner=self._make_runner,
            changed=self._report,
            window=self._tell_window,
            collect=self._collect,
            monotonic_ms=monotonic_ms,
            random=random.random,
        )

    def _configure(self, name: str, app: AppSettings) -> Configure:
        return Configure(
            app=name,
            source=Source(kind=app.source, path=app.path, interval_ms=app.interval_ms),
            boot=self._boot,
            window_s=self._settings.window_s,
            delegates=app.delegates,
            threads=app.threads,
            guard=app.guarding,
            audit=str(self._folder.absolute() / "audit" / f"{name}.jsonl") if app.audit else "",
        )

    def _trial(self) -> Trial:
        settings = self._settings
        return Trial(
            terms=Terms(
                duration_ms=round(settings.probation_s * 1000),
                inferences=settings.probation_inferences,
                max_errors=settings.probation_max_errors,
                deadline_ms=round(settings.probation_deadline_s * 1000),
            ),
            check_s=settings.check_timeout_s,
            activation_s=settings.activation_timeout_s,
            silence_s=settings.worker_silence_s,
        )

    def _make_runner(self, app: Application, configure: Configure) -> Runner:
        return Runner(
            configure,
            self._slots,
            app,
            Patience(
                silence_s=self._settings.worker_silence_s,
                stop_s=self._settings.stop_timeout_s,
                restart=WORKER_RESTART,
            ),
            random=random.random,
            now_ms=now_ms,
            monotonic_ms=monotonic_ms,
        )

    async def _engines(self) -> Collection[str]:
        return engines(await asyncio.shield(self._profiled))

    async def _collect(self) -> None:
        """Remove what no application needs; a disk that does not let us is not the update's end."""
        async with self._collecting:
            needed = frozenset().union(*(app.needed for app in self._apps.values()))
            try:
                removed = await asyncio.to_thread(self._slots.collect, needed)
            except EdgeError as error:
                _log.error("%s", error)
                return
        for digest in removed:
            _log.info("removed %s", digest[:12])


def _say_what_runs() -> None:
    for task in asyncio.all_tasks():
        where = "; ".join(f"{at.f_code.co_name}:{at.f_lineno}" for at in task.get_stack())
        _log.error("It is still ending: %s at %s", task.get_name(), where)


async def _ended(tasks: Collection[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def now_ms() -> int:
    """The wall clock, Unix milliseconds."""
    return time.time_ns() // 1_000_000


def monotonic_ms() -> int:
    """A clock that never goes back."""
    return time.monotonic_ns() // 1_000_000

"""Ingest: what comes from the devices, checked, stored once, and only then acknowledged.

Messages are taken in batches: one transaction for all that has arrived in the meantime, so the
store's speed does not bound the fleet's. If a transaction fails, nothing of it is acknowledged and
the devices send it again. What cannot be understood is counted, logged and left; a durable message
whose body is nonsense is acknowledged too, or the device would send it for ever.

Requests for chunks are served beside, by a few tasks, so that a download does not hold up a
report. The queues are bounded; what overflows is dropped and counted, and will be sent again.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from sqlalchemy import Connection

from edge_sdk.broker.base import Incoming
from edge_sdk.errors import EdgeError, FleetError
from edge_sdk.spec.deployment import TERMINAL, AppState, Signed, State
from edge_sdk.spec.envelope import open_, read
from edge_sdk.spec.wire import (
    DEVICE_ID,
    Acknowledged,
    BenchMessage,
    Chunk,
    ChunkRequest,
    DesiredMessage,
    Dismissed,
    Envelope,
    Hello,
    Message,
    ReportedMessage,
    TelemetryMessage,
    device_of,
)
from fleet.clock import Clock
from fleet.core.reading import MOST, is_text, nonsense, nonsense_in_bench, nonsense_in_report
from fleet.director import Director
from fleet.stores import audit, benches, devices, telemetry
from fleet.stores.store import Store
from fleet.words import name_of, twins_hint

QUEUE = 20_000
BATCH = 500
NOTED = frozenset({*TERMINAL, State.SHADOWING})
"""States of an application that belong into the audit trail; the others pass."""
CHUNK_TASKS = 4
MOST_STRANGERS = 100
"""Hellos of devices that are none of ours, answered in their turn; more are not answered."""
SEEN_EVERY_S = 10.0
"""How often it is noted who fetches: a device that downloads for long says nothing else."""
GATHER_S = 0.005
"""How long a batch waits for company."""

_log = logging.getLogger(__name__)

Read = Callable[[str, int, int], Chunk]


@dataclass(frozen=True, slots=True)
class _Arrived:
    """One message, understood."""

    device: str
    envelope: Envelope
    message: Message | None

    @property
    def durable(self) -> bool:
        return bool(self.envelope.outbox)


@dataclass(slots=True)
class _Answers:
    """What a transaction makes it necessary to say, once it is committed."""

    acknowledged: dict[tuple[str, str], list[int]] = field(default_factory=dict)
    desired: list[tuple[str, str, Signed]] = field(default_factory=list)
    reported: set[str] = field(default_factory=set)
    stored: int = 0
    again: int = 0


class Ingest:
    """Hears every device.

    Attributes:
        counts: what came and what became of it, since the start: ``stored``, ``again``,
            ``malformed``, ``unknown device``, ``dropped``, ``chunks``.
    """

    def __init__(
        self,
        store: Store,
        director: Director,
        read_chunk: Read,
        known: Callable[[str], bool],
        reported: Callable[[str], None],
        clock: Clock,
    ) -> None:
        """Nothing is stored before ``run``.

        Args:
            store: where to.
            director: answers hellos.
            read_chunk: path, offset and length to a published file's bytes; may block.
            known: whether a device belongs to the fleet.
            reported: told of each device that has said what applications it has.
            clock: the fleet's.
        """
        self._store = store
        self._director = director
        self._read_chunk = read_chunk
        self._known = known
        self._reported = reported
        self._clock = clock
        self._arrived: asyncio.Queue[_Arrived] = asyncio.Queue(QUEUE)
        self._wanted: asyncio.Queue[_Arrived] = asyncio.Queue(QUEUE)
        self._strangers: asyncio.Queue[tuple[str, str]] = asyncio.Queue(MOST_STRANGERS)
        self._fetching: set[str] = set()
        self.counts: Counter[str] = Counter()

    def hear(self, incoming: Incoming) -> None:
        """Take a message from the broker. Never blocks, never raises."""
        device = device_of(incoming.topic)
        if device is None or not self._known(device):
            self._refuse("unknown device", f"{incoming.topic!r} is no device of this fleet")
            self._dismiss(device, incoming.payload)
            return
        try:
            envelope = open_(incoming.payload)
        except FleetError as error:
            self._refuse("malformed", f"{device}: {error.message}")
            return
        named = len(envelope.outbox) <= 64 and is_text(envelope.outbox)
        if not named or not 0 <= envelope.sequence <= MOST:
            self._refuse("malformed", f"{device}: an outbox or a sequence that cannot be")
            return
        try:
            message = read(envelope)
        except FleetError as error:
            self._refuse("malformed", f"{device}: {error.message}")
            message = None
            if not envelope.outbox:
                return
        else:
            if message is None:  # of a newer edgeloop; the device keeps it until we understand
                self._refuse("unknown type", f"{device}: a message of type {envelope.type!r}")
                return
        queue = self._wanted if isinstance(message, ChunkRequest) else self._arrived
        try:
            queue.put_nowait(_Arrived(device, envelope, message))
        except asyncio.QueueFull:
            self._refuse("dropped", f"{device}: more comes in than can be stored")

    def _dismiss(self, device: str | None, payload: bytes) -> None:
        """A stranger's hello is answered too, or whoever looks at the device would not know why."""
        if device is None or not DEVICE_ID.fullmatch(device):
            return
        try:
            envelope = open_(payload)
        except FleetError:
            return
        if envelope.type == Hello.TYPE and not self._strangers.full():
            self._strangers.put_nowait((device, envelope.id))

    async def _tell_strangers(self) -> None:
        while True:
            device, id_ = await self._strangers.get()
            await self._director.send(device, Dismissed(), answers=id_)

    def _refuse(self, why: str, text: str) -> None:
        self.counts[why] += 1
        if self.counts[why] & (self.counts[why] - 1) == 0:  # 1, 2, 4, 8, …: a flood is not a log
            _log.warning("Not taken (%s, %d so far): %s", why, self.counts[why], text)

    async def run(self) -> None:
        """Store and answer until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._take_in())
            tasks.create_task(self._note_fetching())
            tasks.create_task(self._tell_strangers())
            for _ in range(CHUNK_TASKS):
                tasks.create_task(self._serve_chunks())

    async def _take_in(self) -> None:
        while True:
            batch = [await self._arrived.get()]
            await asyncio.sleep(GATHER_S)
            while len(batch) < BATCH and not self._arrived.empty():
                batch.append(self._arrived.get_nowait())
            try:
                answers = await self._store.write(lambda c, b=batch: self._keep(c, b))  # type: ignore[misc]
            except EdgeError as error:
                self.counts["failed"] += len(batch)
                _log.error("%d messages could not be stored: %s", len(batch), error)
                continue
            self.counts["stored"] += answers.stored
            self.counts["again"] += answers.again
            await self._answer(answers)

    def _keep(self, connection: Connection, batch: list[_Arrived]) -> _Answers:
        """Store a batch; runs in the writer's thread, in one transaction."""
        now_ms = self._clock()
        answers = _Answers()
        enrolled = devices.enrolled(connection, {arrived.device for arrived in batch})
        devices.saw(connection, enrolled, now_ms)
        for arrived in batch:
            envelope, device = arrived.envelope, arrived.device
            if device not in enrolled:  # removed since it arrived
                continue
            if arrived.durable:
                sequences = answers.acknowledged.setdefault((device, envelope.outbox), [])
                sequences.append(envelope.sequence)
                if not telemetry.receive(
                    connection, device, envelope.outbox, envelope.sequence, now_ms
                ):
                    answers.again += 1
                    continue
                answers.stored += 1
            match arrived.message:
                case Hello(reported=said) | ReportedMessage(reported=said) if (
                    wrong := nonsense_in_report(said)
                ):
                    self._refuse("malformed", f"{device}: a report was left out: {wrong}")
                case Hello() as hello:
                    self._keep_hello(connection, device, hello, now_ms)
                    signed = self._director.introduce(connection, device, hello.reported.counter)
                    answers.desired.append((device, envelope.id, signed))
                    answers.reported.add(device)
                case ReportedMessage() as said:
                    self._keep_report(connection, arrived, said, now_ms)
                    answers.reported.add(device)
                case TelemetryMessage() as closed:
                    self._keep_windows(connection, device, closed, now_ms)
                case BenchMessage() as benched:
                    self._keep_bench(connection, device, benched, now_ms)
                case None:
                    detail = f"a {envelope.type} message that cannot be read"
                    audit.note(connection, now_ms, device, "malformed", device, detail)
                case other:
                    self._refuse("malformed", f"{device}: {other.TYPE} is not for a device to say")
        return answers

    def _keep_hello(self, connection: Connection, device: str, hello: Hello, now_ms: int) -> None:
        doubled = devices.introduce(connection, device, hello.profile, hello.boot, now_ms)
        devices.report_now(connection, device, hello.reported, now_ms)
        if doubled:
            _log.warning("Two agents speak as %s. %s", device, twins_hint(device))
            audit.note(connection, now_ms, audit.FLEET, "two agents", device, twins_hint(device))

    def _keep_report(
        self, connection: Connection, arrived: _Arrived, said: ReportedMessage, now_ms: int
    ) -> None:
        device, envelope = arrived.device, arrived.envelope
        before = devices.one(connection, device)
        kept = devices.report_then(
            connection, device, said.reported, envelope.outbox, envelope.sequence, now_ms
        )
        if not kept or before is None:
            return
        for name, app in said.reported.apps.items():
            old = before.reported.apps.get(name, AppState())
            changed = (old.state, old.serving, old.attempt) != (app.state, app.serving, app.attempt)
            if changed and app.state in NOTED:
                serving = f"{app.serving.name} {app.serving.version}" if app.serving else "nothing"
                detail = f"{name} serves {serving}" + (f": {app.reason}" if app.reason else "")
                audit.note(connection, now_ms, device, app.state.value, device, detail)

    def _keep_windows(
        self, connection: Connection, device: str, closed: TelemetryMessage, now_ms: int
    ) -> None:
        good = []
        for window in closed.windows:
            wrong = nonsense(window)
            if wrong is None:
                good.append(window)
            else:
                self._refuse("malformed", f"{device}: a window was left out: {wrong}")
        telemetry.add(connection, device, good, now_ms)

    def _keep_bench(
        self, connection: Connection, device: str, benched: BenchMessage, now_ms: int
    ) -> None:
        report = benched.report
        if wrong := nonsense_in_bench(report):
            self._refuse("malformed", f"{device}: a measurement was left out: {wrong}")
            return
        model = name_of(report.artifact) or report.model
        benches.add(connection, device, model, report, now_ms)
        audit.note(connection, now_ms, device, "benched", device, model)

    async def _answer(self, answers: _Answers) -> None:
        sending = [
            self._director.send(device, DesiredMessage(desired=signed), answers=id_)
            for device, id_, signed in answers.desired
        ]
        sending += [
            self._director.send(
                device, Acknowledged(outbox=outbox, sequences=tuple(sorted(set(sequences))))
            )
            for (device, outbox), sequences in answers.acknowledged.items()
        ]
        for device in answers.reported:
            self._reported(device)
        await asyncio.gather(*sending)

    async def _note_fetching(self) -> None:
        while True:
            await asyncio.sleep(SEEN_EVERY_S)
            fetching, self._fetching = self._fetching, set()
            if not fetching:
                continue
            try:
                await self._store.write(
                    lambda c, d=fetching: devices.saw(c, d, self._clock())  # type: ignore[misc]
                )
            except EdgeError as error:
                _log.warning("Who fetches could not be noted: %s", error)

    async def _serve_chunks(self) -> None:
        while True:
            arrived = await self._wanted.get()
            if not isinstance(request := arrived.message, ChunkRequest):
                continue
            try:
                chunk = await asyncio.to_thread(
                    self._read_chunk, request.path, request.offset, request.length
                )
            except EdgeError as error:
                self._refuse("unread", f"{arrived.device} asked for {request.path}: {error}")
                continue
            self.counts["chunks"] += 1
            self._fetching.add(arrived.device)
            await self._director.send(arrived.device, chunk, answers=arrived.envelope.id)

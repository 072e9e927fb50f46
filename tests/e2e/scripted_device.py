"""A device in a hundred lines: speaks the wire as an agent does, and does as the script says.

It obeys every Desired at once, reports it, and sends windows whose numbers the test chooses. What
an agent would keep on its disk (outbox, state) it keeps in memory, so that the fleet can be killed
around it.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

from patience import async_turns

from edge_sdk.broker import Credentials, Incoming, Pace, connect
from edge_sdk.errors import FleetError
from edge_sdk.spec import envelope
from edge_sdk.spec.deployment import AppState, Desired, Reported, State
from edge_sdk.spec.enrolment import Enrolment
from edge_sdk.spec.profile import DeviceProfile
from edge_sdk.spec.sketch import Comparison, LogHistogram, Window
from edge_sdk.spec.wire import (
    Acknowledged,
    Chunk,
    ChunkRequest,
    DesiredMessage,
    Hello,
    Message,
    ReportedMessage,
    TelemetryMessage,
    down,
    up,
)
from edge_sdk.trust.signing import open_desired

QUICK = Pace(keepalive_s=20, retry_s=0.05, longest_retry_s=0.2, refused_retry_s=0.05)
PROFILE = DeviceProfile(
    name="scripted",
    system="Linux",
    machine="x86_64",
    python="3.11",
    cpu="none",
    cpu_features=(),
    cores=1,
    memory_bytes=1 << 30,
    runtimes=(),
    edgeloop="0.1.0",
)


class ScriptedDevice:
    """One device with applications that do whatever they are told."""

    def __init__(self, enrolment: Enrolment, *apps: str) -> None:
        self.enrolment = enrolment
        self.device = enrolment.device
        self.reported = Reported(apps={app: AppState() for app in apps})
        self.desired: list[Desired] = []
        self.outbox: dict[int, Message] = {}
        self.acknowledgements: list[int] = []
        self.fails: set[str] = set()
        """Digests that this device gives up on."""
        self._answered = False
        self._sequence = 0
        self._name = secrets.token_hex(4)
        self._answers: dict[str, asyncio.Future[Chunk]] = {}
        login = enrolment.credentials
        self.broker = connect(
            enrolment.broker,
            name=self.device,
            credentials=Credentials(login.username, login.password),
            pace=QUICK,
        )
        self.broker.subscribe(down(self.device), self._hear)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[ScriptedDevice]:
        tasks = [asyncio.create_task(self.broker.run()), asyncio.create_task(self._speak())]
        try:
            yield self
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    def _hear(self, incoming: Incoming) -> None:
        opened = envelope.open_(incoming.payload)
        match envelope.read(opened):
            case DesiredMessage(desired=signed):
                self._obey(open_desired(signed, self.enrolment.director, self.device))
                self._answered = True
            case Acknowledged(sequences=sequences):
                self.acknowledgements += sequences
                for sequence in sequences:
                    self.outbox.pop(sequence, None)
            case Chunk() as chunk if opened.answers in self._answers:
                self._answers.pop(opened.answers).set_result(chunk)

    def _obey(self, desired: Desired) -> None:
        self.desired.append(desired)
        if desired.counter <= self.reported.counter:
            return
        apps = dict(self.reported.apps)
        for name, wanted in desired.apps.items():
            old = apps.get(name, AppState())
            serve, shadow, reason = wanted.serve, wanted.shadow, ""
            state = State.SHADOWING if shadow else State.COMMITTED
            if serve is not None and serve.digest in self.fails:
                serve, state, reason = old.serving, State.ROLLED_BACK, "as the script says"
            apps[name] = AppState(
                serving=serve, shadow=shadow, state=state, attempt=old.attempt + 1, reason=reason
            )
        self.reported = Reported(counter=desired.counter, apps=apps)
        self.keep(ReportedMessage(at_ms=1, reported=self.reported))

    def keep(self, message: Message) -> int:
        """Put a durable message into the outbox; answers its number."""
        self._sequence += 1
        self.outbox[self._sequence] = message
        return self._sequence

    def serve(self, app: str, inferences: int, *, errors: int = 0, us_bin: int = 300) -> int:
        """A window of what serves."""
        artifact = self.reported.apps[app].serving
        assert artifact is not None
        return self.keep(
            TelemetryMessage(
                windows=(_window(app, artifact.digest, "serve", inferences, errors, us_bin),)
            )
        )

    def compare(self, app: str, compared: int, disagreed: int, *, us_bin: int = 300) -> int:
        """Windows of what serves and of what runs beside it."""
        state = self.reported.apps[app]
        assert state.serving is not None
        assert state.shadow is not None
        comparison = Comparison(compared=compared, disagreed=disagreed)
        return self.keep(
            TelemetryMessage(
                windows=(
                    _window(app, state.serving.digest, "serve", compared, 0, 300),
                    _window(app, state.shadow.digest, "shadow", compared, 0, us_bin, comparison),
                )
            )
        )

    async def _speak(self) -> None:
        """Hello until answered, and whatever is in the outbox, again and again."""
        self.broker.on_connected(self._on_connected)
        while True:
            if self.broker.connected:
                if not self._answered:
                    hello = Hello(boot="boot", profile=PROFILE, reported=self.reported)
                    await self.send(hello)
                for sequence, message in list(self.outbox.items()):
                    await self.send(message, sequence=sequence, qos=1)
            await asyncio.sleep(0.1)

    def _on_connected(self) -> None:
        self._answered = False

    async def send(self, message: Message, *, sequence: int = 0, qos: int = 0) -> str:
        """Publish; lost if the broker is away."""
        id_ = secrets.token_hex(6)
        payload = envelope.seal(
            message,
            id=id_,
            sent_ms=1,
            outbox=self._name if sequence else "",
            sequence=sequence,
        )
        with suppress(FleetError):
            await self.broker.publish(up(self.device), payload, qos=qos)
        return id_

    async def fetch(self, path: str) -> bytes | None:
        """A published file, chunk by chunk; None if there is none."""
        data = b""
        while True:
            chunk = await self._chunk(path, len(data))
            if chunk.missing:
                return None
            data += chunk.data
            if len(data) >= chunk.size:
                return data

    async def _chunk(self, path: str, offset: int) -> Chunk:
        for _ in range(100):
            id_ = await self.send(ChunkRequest(path=path, offset=offset))
            answer = self._answers[id_] = asyncio.get_running_loop().create_future()
            try:
                async with asyncio.timeout(2):
                    return await answer
            except TimeoutError:
                continue
        raise AssertionError(f"no chunk of {path} came")


def _window(
    app: str,
    digest: str,
    role: str,
    inferences: int,
    errors: int,
    us_bin: int,
    comparison: Comparison | None = None,
) -> Window:
    return Window(
        app=app,
        artifact=digest,
        role=role,
        started_ms=1,
        ended_ms=2,
        boot="boot",
        monotonic_ms=1,
        inferences=inferences,
        errors=errors,
        latency=LogHistogram(counts={us_bin: inferences}),
        comparison=comparison,
    )


async def eventually(condition: Callable[[], object], what: str = "") -> None:
    """Wait until ``condition`` holds; fail if it does not within a generous time."""
    async for _ in async_turns(60):
        if condition():
            return
    raise AssertionError(f"never: {what}")

"""The conversation with the fleet, over whatever broker there is.

Three things are said, each as reliably as it needs to be:

* *hello*, with what we are and hold, after every connection and again, with growing waits, until a
  Desired comes that is not older than ours. Downlink may lose anything; this is what mends it.
* *requests* for bytes, each answered by the message that names it, a few at a time; one that is not
  answered in time is asked again, and after some attempts it is an outage.
* *durable messages* out of the outbox, a window of them at a time, oldest first, again until the
  fleet acknowledges them by number.

What comes in is believed as little as the broker is: a message that cannot be read, that was heard
before or that answers nothing is dropped, and counted. The sender's wall clock is not compared with
ours, which on a small board may be anywhere: counters and ids tell old from new. But what was over
when the fleet signed something that we hold *is* over, whatever our clock says.
"""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field

from device_agent.core.backoff import Backoff
from device_agent.outbox import Outbox
from edge_sdk.broker import Broker, Incoming
from edge_sdk.errors import EdgeError, FleetError
from edge_sdk.spec.deployment import Signed
from edge_sdk.spec.envelope import has_expired, open_, read, seal
from edge_sdk.spec.wire import (
    Acknowledged,
    Chunk,
    ChunkRequest,
    DesiredMessage,
    Dismissed,
    Hello,
    Message,
    down,
    up,
)
from edge_sdk.spec.word import Word
from edge_sdk.timeouts import timeout

_log = logging.getLogger(__name__)

REMEMBERED_IDS = 4096
SILENCES_TO_MENTION = 4
NO_ANSWER = (
    "the fleet does not answer. Does it run, and is this device enrolled there? "
    "(edge fleet devices   # on the fleet's machine)"
)

DISMISSED = (
    "the fleet says that this device does not belong to it: it was removed, or never enrolled. "
    "Enrol it, and start the agent with the new file (edge fleet enroll DEVICE)"
)


@dataclass(frozen=True, slots=True)
class Limits:
    """How patient the conversation is.

    Attributes:
        request_timeout_s: for the answer to one request.
        request_attempts: before a request counts as an outage.
        requests_in_flight: at most, at a time.
        hello: waits between two hellos that were not answered.
        hello_every_s: between two hellos that were: whatever was lost meanwhile is mended then.
        resend: waits before durable messages that were not acknowledged are sent again.
        durable_in_flight: durable messages sent and not acknowledged, at most.
    """

    request_timeout_s: float = 10.0
    request_attempts: int = 4
    requests_in_flight: int = 4
    hello: Backoff = field(default=Backoff(2.0, 60.0))
    hello_every_s: float = 45.0
    resend: Backoff = field(default=Backoff(5.0, 60.0))
    durable_in_flight: int = 16


class Traffic(Word, frozen=True, kw_only=True):
    """What went over the link since the agent began.

    Attributes:
        requests, retries: requests for bytes, and how many of them were second attempts or later.
        bytes_received: of files, useful or not.
        hellos: said.
        malformed, expired, repeated, unwanted: messages dropped: unreadable, past their time, heard
            before, or of a kind that is not ours, an answer that nobody waits for, a Desired that
            is not believed.
    """

    requests: int = 0
    retries: int = 0
    bytes_received: int = 0
    hellos: int = 0
    malformed: int = 0
    expired: int = 0
    repeated: int = 0
    unwanted: int = 0


class Link:
    """One device's side of the conversation. Everything in one event loop."""

    def __init__(
        self,
        broker: Broker,
        device: str,
        outbox: Outbox,
        *,
        boot: str,
        hello: Callable[[], Hello],
        on_desired: Callable[[Signed], bool],
        now_ms: Callable[[], int],
        floor_ms: Callable[[], int],
        random: Callable[[], float],
        limits: Limits,
    ) -> None:
        """Subscribe; nothing is said before ``run``.

        Args:
            broker: a connection that keeps itself up.
            device: our name.
            outbox: where durable messages wait.
            boot: a name of this run, for ids.
            hello: makes the hello of this moment.
            on_desired: hears a Desired; answers whether it was believed.
            now_ms: the wall clock, Unix milliseconds.
            floor_ms: a time that has passed for certain, since the fleet has signed it.
            random: draws from [0, 1).
            limits: how patient to be.
        """
        self._broker = broker
        self._outbox = outbox
        self._boot = boot
        self._hello = hello
        self._on_desired = on_desired
        self._now_ms = now_ms
        self._floor_ms = floor_ms
        self._random = random
        self._limits = limits
        self._up = up(device)
        self._sent_ids = 0
        self._heard: OrderedDict[str, None] = OrderedDict()
        self._waiting: dict[str, asyncio.Future[Chunk | None]] = {}
        self._requests = asyncio.Semaphore(limits.requests_in_flight)
        self._connected = asyncio.Event()
        self._answered = asyncio.Event()
        self._stirred = asyncio.Event()
        self._heard_since = False
        self._silences = 0
        self._dismissed = False
        self._acknowledged: set[int] = set()
        self._counts = dict.fromkeys(Traffic.__struct_fields__, 0)
        broker.subscribe(down(device), self._on_message)
        broker.on_connected(self._on_connected)

    @property
    def traffic(self) -> Traffic:
        """What went over it."""
        return Traffic(**self._counts)

    @property
    def answered(self) -> bool:
        """Whether the fleet has answered since the last connection, and not been silent since: one
        hello that is under way is no silence."""
        return self._heard_since and self._silences < SILENCES_TO_MENTION

    @property
    def dismissed(self) -> bool:
        """Whether a fleet said that we are none of its devices, and none has answered otherwise:
        another fleet at the same broker says so of ours."""
        return self._dismissed and not self.answered

    async def run(self) -> None:
        """Say hello and send durable messages until cancelled."""
        tasks = [asyncio.create_task(self._greet()), asyncio.create_task(self._send_durable())]
        try:
            await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    def stir(self) -> None:
        """There is something new in the outbox."""
        self._stirred.set()

    async def fetch(self, path: str, offset: int, length: int) -> Chunk:
        """Ask for bytes of a file of the fleet's.

        Raises:
            FleetError: the fleet cannot be reached, or does not answer.
        """
        request = ChunkRequest(path=path, offset=offset, length=length)
        async with self._requests:
            for attempt in range(self._limits.request_attempts):
                self._counts["retries" if attempt else "requests"] += 1
                chunk = await self._ask(request)
                if chunk is not None:
                    self._counts["bytes_received"] += len(chunk.data)
                    return chunk
        raise FleetError(
            f"The fleet did not answer a request for {path}.",
            "It is asked again by itself; is `edge fleet serve` running?",
        )

    async def _ask(self, request: ChunkRequest) -> Chunk | None:
        """One attempt; None if it came to nothing: no answer in time, or a new connection."""
        id_ = self._next_id()
        answer: asyncio.Future[Chunk | None] = asyncio.get_running_loop().create_future()
        self._waiting[id_] = answer
        try:
            await self._publish(request, id_)
        except FleetError as error:  # the next connection, or the timeout, ends the attempt
            _log.debug("a request was not sent: %s", error.message)
        try:
            async with timeout(self._limits.request_timeout_s):
                return await answer
        except asyncio.TimeoutError:
            return None
        finally:
            del self._waiting[id_]

    async def _greet(self) -> None:
        while True:
            await self._connected.wait()
            self._connected.clear()
            self._silences = 0
            while self._broker.connected:
                if self._answered.is_set():
                    wait_s = self._limits.hello_every_s
                    self._silences = 0
                else:
                    self._silences += 1
                    wait_s = self._limits.hello.delay_s(self._silences, self._random)
                    if self._silences == SILENCES_TO_MENTION:
                        why = DISMISSED if self._dismissed else NO_ANSWER
                        _log.warning("The broker is there, but %s", why)
                    await self._say_hello()
                event = self._connected if self._answered.is_set() else self._answered
                if not await _within(event, wait_s):
                    self._answered.clear()
                elif event is self._connected:
                    break

    async def _say_hello(self) -> None:
        self._counts["hellos"] += 1
        try:
            await self._publish(self._hello(), self._next_id())
        except FleetError as error:
            _log.info("hello was not sent: %s", error.message)

    async def _send_durable(self) -> None:
        """Keep a window of the oldest messages on their way, and send it again when it gets stuck.

        It is stuck when its oldest message is not acknowledged in time, however many others are.
        """
        clock = asyncio.get_running_loop().time
        oldest, sent, failures, deadline = 0, 0, 0, 0.0
        while True:
            self._stirred.clear()
            acknowledged, self._acknowledged = self._acknowledged, set()
            window = await asyncio.to_thread(self._next_window, acknowledged)
            if not window or not self._broker.connected:
                oldest = 0
                await self._stirred.wait()
                continue
            if window[0][0] != oldest:
                sent = sent if oldest else 0
                oldest, failures, deadline = window[0][0], 0, 0.0
            elif clock() >= deadline:
                sent = 0
            if clock() >= deadline:
                failures += 1
                deadline = clock() + self._limits.resend.delay_s(failures, self._random)
            for number, payload in window:
                if number > sent and await self._send(payload):
                    sent = number
            await _within(self._stirred, max(0.0, deadline - clock()))

    def _next_window(self, acknowledged: set[int]) -> list[tuple[int, bytes]]:
        """Forget what was acknowledged, and answer what is the oldest now. Blocks."""
        try:
            self._outbox.forget(acknowledged)
            return self._outbox.after(0, self._limits.durable_in_flight)
        except EdgeError as error:  # what is not forgotten is sent again, which does no harm
            _log.warning("%s", error)
            return []

    async def _send(self, payload: bytes) -> bool:
        try:
            await self._broker.publish(self._up, payload, qos=1)
        except FleetError as error:
            _log.info("a durable message was not sent: %s", error.message)
            return False
        return True

    async def _publish(self, message: Message, id_: str) -> None:
        await self._broker.publish(self._up, seal(message, id=id_, sent_ms=self._now_ms()))

    def _next_id(self) -> str:
        self._sent_ids += 1
        return f"{self._boot}-{self._sent_ids}"

    def _on_connected(self) -> None:
        """Whatever was asked over the old connection is not answered any more."""
        for answer in self._waiting.values():
            if not answer.done():
                answer.set_result(None)
        self._answered.clear()
        self._heard_since = False
        self._connected.set()
        self._stirred.set()

    def _on_message(self, incoming: Incoming) -> None:
        try:
            envelope = open_(incoming.payload)
            message = read(envelope)
        except FleetError as error:
            self._counts["malformed"] += 1
            _log.warning("dropped: %s", error.message)
            return
        if has_expired(envelope, self._floor_ms()):
            self._counts["expired"] += 1
        elif envelope.id in self._heard:
            self._counts["repeated"] += 1
        elif self._hear(message, envelope.answers):
            self._heard[envelope.id] = None
            if len(self._heard) > REMEMBERED_IDS:
                self._heard.popitem(last=False)
        else:
            self._counts["unwanted"] += 1

    def _hear(self, message: Message | None, answers: str) -> bool:
        """Pass a message on; answers whether it was wanted, and believed."""
        if isinstance(message, Chunk):
            waiting = self._waiting.get(answers)
            if waiting is None or waiting.done():
                return False
            waiting.set_result(message)
            return True
        if isinstance(message, Acknowledged) and message.outbox == self._outbox.name:
            self._acknowledged.update(message.sequences)
            self._stirred.set()
            return True
        if isinstance(message, DesiredMessage) and self._on_desired(message.desired):
            self._answered.set()
            self._heard_since = True
            self._dismissed = False
            return True
        if isinstance(message, Dismissed):
            self._dismissed = True
            return True
        return False


async def _within(event: asyncio.Event, seconds: float) -> bool:
    """Wait for an event, but not longer than that; answers whether it came."""
    try:
        async with timeout(seconds):
            await event.wait()
    except asyncio.TimeoutError:
        return False
    return True

"""The conversation with the fleet: asked again, sent again, told apart (in-memory broker)."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from brokers import eventually, running

from device_agent.core.backoff import Backoff
from device_agent.link import Limits, Link
from device_agent.outbox import Outbox
from edge_sdk.broker import Broker, Incoming, connect
from edge_sdk.broker.memory import Hub, hub
from edge_sdk.errors import FleetError
from edge_sdk.spec import DeviceProfile
from edge_sdk.spec.deployment import Reported, Signed
from edge_sdk.spec.envelope import open_, read, seal
from edge_sdk.spec.wire import (
    UP_OF_ALL,
    Acknowledged,
    Chunk,
    ChunkRequest,
    DesiredMessage,
    Dismissed,
    Envelope,
    Hello,
    Message,
    ReportedMessage,
    down,
)

PROFILE = DeviceProfile(
    name="", system="", machine="", python="", cpu="", cpu_features=(), cores=1, memory_bytes=1,
    runtimes=(), edgeloop="0.1.0",
)  # fmt: skip
QUICK = Limits(
    request_timeout_s=0.05,
    request_attempts=3,
    hello=Backoff(0.02, 0.05),
    hello_every_s=3600.0,
    resend=Backoff(0.05, 0.1),
    durable_in_flight=4,
)
FLOOR_MS = 5_000
SIGNED = Signed(payload=b"goal", key="0" * 64, signature=b"")


class Stage:
    """A link, and the other end played by the test."""

    def __init__(self, folder: Path) -> None:
        self.hub: Hub = hub(folder.name)
        self.outbox = Outbox(
            folder / "outbox.sqlite", fleet="f", max_bytes=1 << 20, now_ms=lambda: 1
        )
        self.device: Broker = connect(f"memory://{folder.name}", name="device")
        self.fleet: Broker = connect(f"memory://{folder.name}", name="fleet")
        self.fleet.subscribe(UP_OF_ALL, self._on_message)
        self.heard: list[tuple[Envelope, Message]] = []
        self.believes = True
        self.desired: list[Signed] = []
        self.react: Callable[[Envelope, Message], Message | None] = lambda envelope, message: None
        self.link = Link(
            self.device,
            "pi-1",
            self.outbox,
            boot="b",
            hello=lambda: Hello(boot="b", profile=PROFILE, reported=Reported()),
            on_desired=self._on_desired,
            now_ms=lambda: 1,
            floor_ms=lambda: FLOOR_MS,
            random=lambda: 0.5,
            limits=QUICK,
        )
        self._said = 0
        self._tasks: set[asyncio.Task[None]] = set()

    def _on_desired(self, signed: Signed) -> bool:
        self.desired.append(signed)
        return self.believes

    def of(self, kind: type[Message]) -> list[Envelope]:
        return [envelope for envelope, message in self.heard if isinstance(message, kind)]

    def numbers(self) -> list[int]:
        return [envelope.sequence for envelope in self.of(ReportedMessage)]

    def say(self, message: Message, answers: str = "", id: str = "") -> None:
        self._said += 1
        id = id or f"f{self._said}"
        self.say_bytes(seal(message, id=id, sent_ms=0, answers=answers))

    def say_bytes(self, payload: bytes) -> None:
        task = asyncio.ensure_future(self.fleet.publish(down("pi-1"), payload))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def acknowledge(self, *numbers: int) -> None:
        self.say(Acknowledged(outbox=self.outbox.name, sequences=numbers))

    def _on_message(self, incoming: Incoming) -> None:
        envelope = open_(incoming.payload)
        message = read(envelope)
        assert message is not None
        self.heard.append((envelope, message))
        answer = self.react(envelope, message)
        if answer is not None:
            self.say(answer, envelope.id)


def played(scenario: Callable[[Stage], Awaitable[None]]) -> Callable[[Path], None]:
    def test(tmp_path: Path) -> None:
        async def play() -> None:
            stage = Stage(tmp_path)
            async with running(stage.device, stage.fleet):
                talking = asyncio.ensure_future(stage.link.run())
                try:
                    await scenario(stage)
                finally:
                    talking.cancel()
                    await asyncio.gather(talking, return_exceptions=True)
                    stage.outbox.close()

        asyncio.run(play())

    test.__name__ = getattr(scenario, "__name__", "test")
    return test


@played
async def test_hello_is_said_until_a_desired_is_believed(stage: Stage) -> None:
    await eventually(lambda: len(stage.of(Hello)) >= 3)
    stage.believes = False
    stage.say(DesiredMessage(desired=SIGNED), id="same")
    await eventually(lambda: stage.desired == [SIGNED])
    assert not stage.link.answered
    stage.believes = True
    stage.say(DesiredMessage(desired=SIGNED), id="same")  # not held against it: it was dropped
    await eventually(lambda: stage.link.answered)
    said = len(stage.of(Hello))
    stage.say(DesiredMessage(desired=SIGNED), id="same")
    await eventually(lambda: stage.link.traffic.repeated == 1)
    assert len(stage.of(Hello)) == said
    stage.hub.cut()
    await eventually(lambda: not stage.device.connected)
    stage.hub.restore()
    await eventually(lambda: len(stage.of(Hello)) > said)


@played
async def test_a_request_is_asked_again_until_it_is_answered(stage: Stage) -> None:
    stage.react = lambda envelope, message: (
        Chunk(path="a", offset=3, size=5, data=b"de")
        if isinstance(message, ChunkRequest) and len(stage.of(ChunkRequest)) == 3
        else None
    )
    chunk = await stage.link.fetch("a", 3, 2)
    assert chunk.data == b"de"
    assert len({envelope.id for envelope in stage.of(ChunkRequest)}) == 3
    assert (stage.link.traffic.requests, stage.link.traffic.retries) == (1, 2)
    stage.react = lambda envelope, message: None
    with pytest.raises(FleetError, match="did not answer a request for a"):
        await stage.link.fetch("a", 3, 2)


@played
async def test_a_few_requests_at_a_time_and_each_gets_its_own_answer(stage: Stage) -> None:
    waiting: list[tuple[str, ChunkRequest]] = []

    def hold(envelope: Envelope, message: Message) -> None:
        if isinstance(message, ChunkRequest):
            waiting.append((envelope.id, message))

    stage.react = hold
    asked = [asyncio.ensure_future(stage.link.fetch("a", n, 1)) for n in range(10)]
    most = 0
    while not all(task.done() for task in asked):
        await asyncio.sleep(0)
        most = max(most, len(waiting))
        for id_, request in reversed(waiting):
            data = bytes([request.offset])
            stage.say(Chunk(path="a", offset=request.offset, size=10, data=data), id_)
        waiting.clear()
    assert [task.result().data[0] for task in asked] == list(range(10))
    assert 1 < most <= QUICK.requests_in_flight


@played
async def test_a_new_connection_does_not_wait_for_old_answers(stage: Stage) -> None:
    asked = asyncio.ensure_future(stage.link.fetch("a", 0, 1))
    await eventually(lambda: stage.of(ChunkRequest))
    stage.react = lambda envelope, message: (
        Chunk(path="a", offset=0, size=1, data=b"x") if isinstance(message, ChunkRequest) else None
    )
    stage.hub.cut()
    stage.hub.restore()
    assert (await asked).data == b"x"


@played
async def test_durable_messages_go_out_in_order_and_again_until_acknowledged(stage: Stage) -> None:
    for counter in range(1, 7):
        stage.outbox.put(ReportedMessage(at_ms=1, reported=Reported(counter=counter)))
    stage.link.stir()
    await eventually(lambda: stage.numbers()[:8] == [1, 2, 3, 4, 1, 2, 3, 4])
    stage.acknowledge(2, 3, 4)
    stage.say(Acknowledged(outbox="another", sequences=(1, 5, 6)))
    # The oldest is stuck: it is sent again, however many others are acknowledged.
    await eventually(lambda: stage.numbers()[-3:] == [1, 5, 6])
    stage.acknowledge(5, 6)
    seen = len(stage.numbers())
    await eventually(lambda: stage.numbers()[seen:].count(1) >= 2)
    stage.acknowledge(1)
    await eventually(lambda: stage.outbox.waiting.messages == 0)


@played
async def test_newer_messages_do_not_keep_the_oldest_from_being_sent_again(stage: Stage) -> None:
    stage.outbox.put(ReportedMessage(at_ms=1, reported=Reported(counter=1)))
    stage.link.stir()
    await eventually(lambda: stage.numbers() == [1])
    while stage.numbers().count(1) < 3:
        number = stage.outbox.put(ReportedMessage(at_ms=1, reported=Reported(counter=2)))
        stage.link.stir()
        await eventually(lambda number=number: number in stage.numbers())
        stage.acknowledge(number)
        await asyncio.sleep(0.005)


@played
async def test_what_cannot_be_read_or_was_not_asked_for_is_dropped(stage: Stage) -> None:
    await eventually(lambda: stage.of(Hello))
    for payload in (b"", b"garbage", b"\x81\xa4type\xa1x"):
        stage.say_bytes(payload)
    stage.say(Chunk(path="a", offset=0, size=1, data=b"x"), "never-asked")
    stage.say(ReportedMessage(at_ms=1, reported=Reported()))
    await eventually(lambda: stage.link.traffic.malformed == 3)
    await eventually(lambda: stage.link.traffic.unwanted == 2)


@played
async def test_what_was_over_when_the_fleet_signed_what_we_hold_is_dropped(stage: Stage) -> None:
    await eventually(lambda: stage.of(Hello))
    goal = DesiredMessage(desired=SIGNED)
    stage.say_bytes(seal(goal, id="late", sent_ms=0, expires_ms=FLOOR_MS - 1))
    await eventually(lambda: stage.link.traffic.expired == 1)
    assert stage.desired == []
    # Our clock says 1: a message of the fleet's may be as far in the future as it likes.
    stage.say_bytes(seal(goal, id="now", sent_ms=0, expires_ms=FLOOR_MS))
    await eventually(lambda: stage.desired == [SIGNED])


@played
async def test_a_device_that_does_not_belong_knows_it_until_it_does(stage: Stage) -> None:
    await eventually(lambda: stage.of(Hello))
    assert not stage.link.dismissed
    stage.say(Dismissed())
    await eventually(lambda: stage.link.dismissed)
    assert not stage.link.answered
    said = len(stage.of(Hello))
    await eventually(lambda: len(stage.of(Hello)) > said, "it goes on saying hello")
    stage.say(DesiredMessage(desired=SIGNED))
    await eventually(lambda: not stage.link.dismissed)
    assert stage.link.answered
    stage.say(Dismissed(), id="of another fleet")
    stage.say(DesiredMessage(desired=SIGNED))
    await eventually(lambda: len(stage.desired) == 2)
    assert not stage.link.dismissed, "ours has answered"


@played
async def test_one_hello_under_way_is_no_silence(stage: Stage) -> None:
    """After a hello that was answered the next is on its way for a moment, and nothing is amiss."""
    stage.link._limits = dataclasses.replace(QUICK, hello_every_s=0.02)
    stage.react = lambda envelope, message: (
        DesiredMessage(desired=SIGNED) if isinstance(message, Hello) else None
    )
    await eventually(lambda: stage.link.answered)
    seen = []
    while len(stage.of(Hello)) < 10:
        seen.append(stage.link.answered)
        await asyncio.sleep(0.001)
    assert all(seen)
    stage.react = lambda envelope, message: None
    await eventually(lambda: not stage.link.answered)

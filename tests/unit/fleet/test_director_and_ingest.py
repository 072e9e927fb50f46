"""What comes in and what is said back, over a real store and a real signature; no broker."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from fleet_samples import NEW, OLD, PROFILE, a_bench, a_window, an_app
from msgspec.structs import replace

from edge_sdk.broker.base import Incoming
from edge_sdk.errors import FleetError, UnavailableError
from edge_sdk.spec import envelope
from edge_sdk.spec.bench import BenchReport, Conditions
from edge_sdk.spec.deployment import Assignment, Desired, Reported
from edge_sdk.spec.wire import (
    Acknowledged,
    BenchMessage,
    Chunk,
    ChunkRequest,
    DesiredMessage,
    Dismissed,
    Hello,
    Message,
    ReportedMessage,
    TelemetryMessage,
    down,
    up,
)
from edge_sdk.trust.signing import DirectorKey, open_desired
from fleet.core.reading import nonsense_in_bench
from fleet.director import Director
from fleet.ingest import MOST_STRANGERS, Ingest
from fleet.reports import report_device
from fleet.stores import audit, benches, devices, telemetry
from fleet.stores.store import Store

KEY = DirectorKey(Ed25519PrivateKey.from_private_bytes(b"k" * 32))


class Post:
    """What the fleet says, and what it hears."""

    def __init__(self, folder: Path) -> None:
        self.store = Store(f"sqlite:///{folder / 'fleet.db'}")
        self.store.write_now(lambda c: devices.add(c, "pi-1", "secret", {}, 1))
        self.sent: list[tuple[str, Message | None]] = []
        self.away = False
        self.director = Director(self.store, KEY.sign, self._publish, lambda: 1000)
        self.reporting: list[str] = []
        self.ingest = Ingest(
            self.store,
            self.director,
            self._read,
            {"pi-1"}.__contains__,
            self.reporting.append,
            lambda: 1000,
        )

    async def _publish(self, topic: str, payload: bytes) -> None:
        if self.away:
            raise FleetError("The broker is away.")
        self.sent.append((topic, envelope.read(envelope.open_(payload))))

    def _read(self, path: str, offset: int, length: int) -> Chunk:
        if path == "unreadable":
            raise UnavailableError("The disk is broken.")
        return Chunk(path=path, offset=offset, size=3, data=b"abc"[offset : offset + length])

    def hear(self, message: Message, *, sequence: int = 0, device: str = "pi-1") -> None:
        payload = envelope.seal(
            message, id="id", sent_ms=1, outbox="box" if sequence else "", sequence=sequence
        )
        self.ingest.hear(Incoming(up(device), payload))

    def said(self, kind: type[Message]) -> list[Message]:
        return [message for _, message in self.sent if isinstance(message, kind)]

    def goals(self) -> list[Desired]:
        return [
            open_desired(message.desired, KEY.public, "pi-1")
            for _, message in self.sent
            if isinstance(message, DesiredMessage)
        ]

    async def until(self, condition: Callable[[], object]) -> None:
        async with asyncio.timeout(30):
            while not condition():
                await asyncio.sleep(0.005)


@asynccontextmanager
async def a_fleet(folder: Path) -> AsyncIterator[Post]:
    post = Post(folder)
    tasks = [asyncio.create_task(post.ingest.run()), asyncio.create_task(post.director.run())]
    try:
        yield post
    finally:
        for task in tasks:
            task.cancel()
        ended = await asyncio.gather(*tasks, return_exceptions=True)
        post.store.close()
    assert all(isinstance(each, asyncio.CancelledError) for each in ended), ended


def a_hello(counter: int = 0, boot: str = "b1") -> Hello:
    return Hello(boot=boot, profile=PROFILE, reported=Reported(counter=counter))


def test_a_hello_is_answered_with_the_whole_goal(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with a_fleet(tmp_path) as post:
            post.hear(a_hello())
            await post.until(lambda: post.said(DesiredMessage))
            topic, message = post.sent[0]
            assert topic == down("pi-1")
            assert isinstance(message, DesiredMessage)
            assert open_desired(message.desired, KEY.public, "pi-1").counter == 1
            device = post.store.read_now(lambda c: devices.one(c, "pi-1"))
            assert device is not None
            assert (device.profile, device.boot, device.seen_ms) == (PROFILE, "b1", 1000)

    asyncio.run(scenario())


def test_a_device_that_is_ahead_of_a_restored_fleet_is_told_a_higher_number(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with a_fleet(tmp_path) as post:
            wanted = Assignment(serve=OLD)
            post.store.write_now(lambda c: post.director.assign(c, "pi-1", "fashion", wanted))
            post.hear(a_hello(counter=40))
            await post.until(lambda: any(goal.counter > 40 for goal in post.goals()))
            newest = post.goals()[-1]
            assert (newest.counter, newest.apps) == (41, {"fashion": wanted})

    asyncio.run(scenario())


def test_what_was_assigned_is_repeated_until_it_is_reported(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with a_fleet(tmp_path) as post:
            assign = post.director.assign
            wanted = Assignment(serve=OLD, rollout="fashion-1")
            assert post.store.write_now(lambda c: assign(c, "pi-1", "fashion", wanted))
            same = Assignment(serve=OLD, rollout="fashion-2")
            assert not post.store.write_now(lambda c: assign(c, "pi-1", "fashion", same))
            post.away = True
            post.director.wake()
            await asyncio.sleep(0)
            post.away = False
            await post.until(lambda: post.said(DesiredMessage))
            report = Reported(counter=1, apps={"fashion": an_app()})
            post.hear(ReportedMessage(at_ms=1, reported=report), sequence=1)
            await post.until(lambda: post.said(Acknowledged))
            assert post.store.read_now(devices.behind) == {}

    asyncio.run(scenario())


def test_durable_messages_are_stored_once_and_acknowledged_each_time(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with a_fleet(tmp_path) as post:
            window = TelemetryMessage(windows=(a_window(), a_window(role="serve")))
            for _ in range(3):
                post.hear(window, sequence=9)
                sent = len(post.sent)
                await post.until(lambda n=sent: len(post.sent) > n)
            assert post.said(Acknowledged) == [Acknowledged(outbox="box", sequences=(9,))] * 3
            assert post.store.read_now(lambda c: telemetry.totals(c, "pi-1")).windows == 2
            assert (post.ingest.counts["stored"], post.ingest.counts["again"]) == (1, 2)

    asyncio.run(scenario())


def test_measurements_are_kept_once_a_model(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with a_fleet(tmp_path) as post:
            for sequence, report in enumerate((a_bench(2.0), a_bench(3.0), a_bench(4.0, "b")), 1):
                post.hear(BenchMessage(at_ms=1, report=report), sequence=sequence)
                await post.until(lambda n=sequence: post.ingest.counts["stored"] == n)
            kept = post.store.read_now(lambda c: benches.all_of(c, "pi-1"))
            assert [(b.model, b.report) for b in kept] == [
                ("b@1.0.0", a_bench(4.0, "b")),
                ("flowers@1.0.0", a_bench(3.0)),
            ]
            assert post.store.read_now(lambda c: benches.all_of(c, "pi-2")) == []
            assert post.store.read_now(audit.newest)[0].what == "benched"

    asyncio.run(scenario())


def test_no_device_has_more_models_than_there_is_room_for(tmp_path: Path) -> None:
    store = Store(f"sqlite:///{tmp_path / 'fleet.db'}")
    store.write_now(lambda c: devices.add(c, "pi-1", "secret", {}, 1))
    for number in range(benches.MOST + 5):
        store.write_now(
            lambda c, n=number: benches.add(c, "pi-1", f"m-{n}", a_bench(1.0), n)  # type: ignore[misc]
        )
    kept = store.read_now(benches.all_of)
    store.close()
    assert [bench.model for bench in kept] == [f"m-{n}" for n in range(benches.MOST + 4, 4, -1)]


@pytest.mark.parametrize(
    "report",
    [
        replace(a_bench(1.0), measurements=()),
        a_bench(float("nan")),
        a_bench(float("inf")),
        a_bench(-1.0),
        replace(a_bench(1.0), artifact=None, model="m" * 129),
        replace(a_bench(1.0), artifact=None, model=""),
        replace(a_bench(1.0), conditions=Conditions(throttling=("hot " * 2000,))),
        replace(a_bench(1.0), conditions=Conditions(before_c=float("nan"))),
        replace(a_bench(1.0), seconds=float("inf")),
    ],
)
def test_a_measurement_that_cannot_be_is_left_out(tmp_path: Path, report: BenchReport) -> None:
    assert nonsense_in_bench(report) is not None
    assert nonsense_in_bench(a_bench(1.0)) is None

    async def scenario() -> None:
        async with a_fleet(tmp_path) as post:
            post.hear(BenchMessage(at_ms=1, report=report), sequence=1)
            await post.until(lambda: post.said(Acknowledged))  # or it would come for ever
            assert post.store.read_now(benches.all_of) == []
            assert post.ingest.counts["malformed"] == 1

    asyncio.run(scenario())


def test_twice_in_one_batch_is_stored_once(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with a_fleet(tmp_path) as post:
            for _ in range(2):
                post.hear(TelemetryMessage(windows=(a_window(),)), sequence=9)
            await post.until(lambda: post.ingest.counts["again"] == 1)
            assert post.store.read_now(lambda c: telemetry.totals(c, "pi-1")).windows == 1

    asyncio.run(scenario())


def test_what_cannot_be_stored_is_not_acknowledged(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with a_fleet(tmp_path) as post:
            post.store.write_now(lambda c: c.exec_driver_sql("drop table windows"))
            post.hear(TelemetryMessage(windows=(a_window(),)), sequence=1)
            await post.until(lambda: post.ingest.counts["failed"])
            assert post.said(Acknowledged) == []
            # and its receipt is gone with it: the next attempt counts
            assert post.store.write_now(lambda c: telemetry.receive(c, "pi-1", "box", 1, 1))

    asyncio.run(scenario())


def test_reports_are_audited(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with a_fleet(tmp_path) as post:
            report = Reported(counter=1, apps={"fashion": an_app(serving=NEW, reason="why")})
            post.hear(ReportedMessage(at_ms=1, reported=report), sequence=1)
            await post.until(lambda: post.said(Acknowledged))
            (entry,) = post.store.read_now(audit.newest)
            assert (entry.who, entry.what) == ("pi-1", "committed")
            assert entry.detail == "fashion serves fashion 1.1.0: why"
            assert post.reporting == ["pi-1"]

    asyncio.run(scenario())


def test_chunks_are_served_beside(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with a_fleet(tmp_path) as post:
            post.hear(ChunkRequest(path="unreadable", offset=0))
            post.hear(ChunkRequest(path="f", offset=1, length=9))
            await post.until(lambda: post.said(Chunk) and post.ingest.counts["unread"])
            assert post.said(Chunk) == [Chunk(path="f", offset=1, size=3, data=b"bc")]

    asyncio.run(scenario())


def test_nonsense_and_strangers_are_counted_and_change_nothing(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with a_fleet(tmp_path) as post:
            post.hear(a_hello(), device="stranger")
            post.ingest.hear(Incoming("edge/v1/00/pi-1/up", b"wrong shard"))
            post.ingest.hear(Incoming(up("pi-1"), b"\xff\xff nonsense"))
            post.hear(DesiredMessage(desired=KEY.sign(Desired(device="x", counter=1, issued_ms=1))))
            post.hear(TelemetryMessage(windows=(a_window(inferences=-5), a_window())), sequence=1)
            post.hear(a_hello())
            await post.until(lambda: post.said(DesiredMessage))
            counts = post.ingest.counts
            assert (counts["unknown device"], counts["malformed"]) == (2, 3)
            assert post.store.read_now(lambda c: telemetry.totals(c, "pi-1")).windows == 1

    asyncio.run(scenario())


def test_a_strangers_hello_is_answered_and_nothing_else_of_it(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with a_fleet(tmp_path) as post:
            post.hear(TelemetryMessage(windows=(a_window(),)), sequence=1, device="stranger")
            post.hear(ChunkRequest(path="f", offset=0), device="stranger")
            post.ingest.hear(Incoming(up("stranger"), b"\xff nonsense"))
            post.ingest.hear(Incoming(up("Odd_1"), envelope.seal(a_hello(), id="i", sent_ms=1)))
            post.hear(a_hello(), device="stranger")
            await post.until(lambda: post.sent)
            assert post.sent == [(down("stranger"), Dismissed())]
            for _ in range(MOST_STRANGERS + 10):
                post.hear(a_hello(), device="stranger")
            post.hear(a_hello())
            await post.until(lambda: post.said(DesiredMessage))
            await post.until(lambda: len(post.said(Dismissed)) == 1 + MOST_STRANGERS)

    asyncio.run(scenario())


def test_what_a_device_said_before_it_was_removed_is_not_kept(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with a_fleet(tmp_path) as post:
            post.store.write_now(lambda c: devices.add(c, "pi-2", "secret", {}, 1))
            post.store.write_now(lambda c: devices.remove(c, "pi-1", 2))
            post.hear(a_hello())
            post.hear(TelemetryMessage(windows=(a_window(),)), sequence=1)
            post.ingest._known = {"pi-1", "pi-2"}.__contains__
            post.hear(a_hello(), device="pi-2")
            await post.until(lambda: post.sent)
            assert [topic for topic, _ in post.sent] == [down("pi-2")]
            assert post.store.read_now(lambda c: telemetry.totals(c, "pi-1")).windows == 0
            assert set(post.store.read_now(devices.behind)) == {"pi-2"}
            assert post.ingest.counts["stored"] == 0

    asyncio.run(scenario())


def test_two_agents_are_noted_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async def scenario() -> None:
        async with a_fleet(tmp_path) as post:
            for number in range(1, 41):
                post.hear(a_hello(boot=f"b{number % 2}"))
                await post.until(lambda n=number: len(post.said(DesiredMessage)) == n)
            device = post.store.read_now(lambda c: devices.one(c, "pi-1"))
            assert device is not None
            assert device.voices.twins(1000)
            (entry,) = post.store.read_now(audit.newest)
            assert (entry.who, entry.what, entry.subject) == ("fleet", "two agents", "pi-1")
            assert "edge fleet enroll NAME" in entry.detail
            assert caplog.text.count("Two agents speak as pi-1") == 1
            report = post.store.read_now(lambda c: report_device(c, device, 1000, 60))
            assert (report.doubled, "edge fleet enroll pi-1" in report.hint) == (True, True)
            post.store.write_now(lambda c: devices.add(c, "pi-1", "new", {}, 2))
            device = post.store.read_now(lambda c: devices.one(c, "pi-1"))
            assert device is not None
            assert not device.voices.twins(1000), "enrolled anew, it is judged anew"

    asyncio.run(scenario())


def test_a_durable_message_that_nobody_will_ever_read_is_acknowledged(tmp_path: Path) -> None:
    class Broken(Message, frozen=True, kw_only=True):
        TYPE = "telemetry"
        windows: str = "no windows"

    class Unknown(Message, frozen=True, kw_only=True):
        TYPE = "of a newer edgeloop"

    async def scenario() -> None:
        async with a_fleet(tmp_path) as post:
            post.hear(Unknown(), sequence=1)
            post.hear(Broken(), sequence=2)
            await post.until(lambda: post.said(Acknowledged))
            assert post.said(Acknowledged) == [Acknowledged(outbox="box", sequences=(2,))]
            assert post.ingest.counts["unknown type"] == 1
            assert [e.what for e in post.store.read_now(audit.newest)] == ["malformed"]

    asyncio.run(scenario())


@pytest.mark.parametrize(("outbox", "sequence"), [("x" * 65, 1), ("box", -1), ("box", 2**60)])
def test_an_outbox_that_cannot_be(tmp_path: Path, outbox: str, sequence: int) -> None:
    post = Post(tmp_path)
    payload = envelope.seal(a_hello(), id="i", sent_ms=1, outbox=outbox, sequence=sequence)
    post.ingest.hear(Incoming(up("pi-1"), payload))
    assert post.ingest.counts == {"malformed": 1}
    post.store.close()


def test_a_device_that_only_fetches_is_seen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fleet.ingest.SEEN_EVERY_S", 0.01)

    def seen(post: Post) -> object:
        device = post.store.read_now(lambda c: devices.one(c, "pi-1"))
        return device and device.seen_ms

    async def scenario() -> None:
        async with a_fleet(tmp_path) as post:
            assert seen(post) is None
            post.hear(ChunkRequest(path="a", offset=0))
            await post.until(lambda: seen(post) == 1000)

    asyncio.run(scenario())

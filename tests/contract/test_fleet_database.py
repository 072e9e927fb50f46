"""The store's contract, on every database that a fleet may have: SQLite, and a real PostgreSQL."""

import asyncio
import signal
from collections.abc import Iterator
from pathlib import Path

import postgresql
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from fleet_samples import NEW, OLD, PROFILE, a_bench, a_rollout, a_window, an_app
from msgspec.structs import replace
from sqlalchemy import Connection, select

from edge_sdk.broker.base import Incoming
from edge_sdk.errors import UnavailableError
from edge_sdk.spec import envelope
from edge_sdk.spec.deployment import Reported
from edge_sdk.spec.wire import (
    BenchMessage,
    Chunk,
    Hello,
    Message,
    ReportedMessage,
    TelemetryMessage,
    up,
)
from edge_sdk.trust.signing import DirectorKey
from fleet.core.rollout import Stage
from fleet.core.tally import Tally
from fleet.director import Director
from fleet.ingest import Ingest
from fleet.served import Served
from fleet.stores import audit, benches, devices, rollouts, settings, telemetry
from fleet.stores.rollouts import Member
from fleet.stores.store import Store
from fleet.stores.tables import metadata, receipts, windows
from fleet.stores.telemetry import Model


@pytest.fixture(scope="module")
def server() -> Iterator[postgresql.PostgreSQL]:
    if postgresql.binaries() is None:
        pytest.skip("PostgreSQL is not here: make test-postgresql")
    with postgresql.running() as found:
        yield found


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'fleet.db'}"
    found: postgresql.PostgreSQL = request.getfixturevalue("server")
    return found.database()


@pytest.fixture
def store(url: str) -> Iterator[Store]:
    opened = Store(url)
    opened.write_now(lambda c: devices.add(c, "pi-1", "secret", {"site": "lab"}, 5))
    yield opened
    opened.close()


def test_the_revisions_make_the_tables_that_the_code_means(store: Store) -> None:
    def differences(connection: Connection) -> list[object]:
        context = MigrationContext.configure(connection)
        return list(compare_metadata(context, metadata))

    assert store.read_now(differences) == []


def test_a_transaction_that_fails_has_not_happened(store: Store) -> None:
    def work(connection: Connection) -> None:
        devices.add(connection, "pi-2", "x", {}, 5)
        raise LookupError

    with pytest.raises(LookupError):
        asyncio.run(store.write(work))
    assert store.read_now(devices.names) == {"pi-1"}


def test_a_message_is_received_once(store: Store) -> None:
    def receive(sequence: int) -> bool:
        return store.write_now(lambda c: telemetry.receive(c, "pi-1", "box", sequence, 1))

    assert [receive(1), receive(1), receive(2), receive(1)] == [True, False, True, False]
    store.write_now(lambda c: telemetry.forget_receipts(c, 2))
    assert receive(1), "as if it had never come: so receipts are kept long"


def test_enrolling_again_changes_password_and_labels_alone(store: Store) -> None:
    store.write_now(lambda c: devices.report_now(c, "pi-1", Reported(counter=7), 6))
    store.write_now(lambda c: devices.add(c, "pi-1", "new", {}, 9))
    device = store.read_now(lambda c: devices.one(c, "pi-1"))
    assert device is not None
    assert (device.enrolled_ms, device.labels, device.reported.counter) == (5, {"site": "lab"}, 7)
    store.write_now(lambda c: devices.add(c, "pi-1", "new", {"site": "roof"}, 9))
    device = store.read_now(lambda c: devices.one(c, "pi-1"))
    assert device is not None
    assert device.labels == {"site": "roof"}
    assert store.read_now(devices.passwords) == {"pi-1": "new"}


def test_late_reports_do_not_undo_newer_ones(store: Store) -> None:
    def said(counter: int, attempt: int) -> Reported:
        return Reported(counter=counter, apps={"fashion": an_app(attempt=attempt)})

    def then(report: Reported, outbox: str, sequence: int) -> bool:
        return store.write_now(
            lambda c: devices.report_then(c, "pi-1", report, outbox, sequence, 1)
        )

    assert then(said(2, 2), "box", 5)
    assert not then(said(2, 2), "box", 5)
    assert not then(said(3, 3), "box", 4), "an older number of the same outbox"
    assert not then(said(1, 2), "other", 1), "an older counter"
    assert not then(said(2, 1), "other", 1), "an older attempt"
    assert then(said(2, 2), "other", 1), "another outbox counts anew"
    store.write_now(lambda c: devices.report_now(c, "pi-1", said(1, 1), 2))
    device = store.read_now(lambda c: devices.one(c, "pi-1"))
    assert device is not None
    assert device.reported.counter == 1, "a hello describes this moment, whatever was said before"


def test_windows_come_back_as_they_were(store: Store) -> None:
    closed = [a_window(inferences=i, errors=1) for i in range(1, 6)]
    store.write_now(lambda c: telemetry.add(c, "pi-1", closed[:2], 10))
    store.write_now(lambda c: telemetry.add(c, "pi-1", closed[2:], 20))
    store.write_now(lambda c: telemetry.add(c, "pi-1", [a_window(role="serve")], 30))
    model = Model("fashion", NEW.digest, "pi-1", "shadow")

    def read(**limits: int) -> list[object]:
        return store.read_now(
            lambda c: list(telemetry.of_model(c, "pi-1", "fashion", NEW.digest, "shadow", **limits))
        )

    assert read() == closed
    assert read(since_ms=15) == closed[2:]
    assert read(most=2) == closed[3:]
    found = store.read_now(lambda c: telemetry.after(c, model, 2))
    assert [window for _, window in found] == closed[2:]
    sums = store.read_now(lambda c: telemetry.sums(c, "fashion", NEW.digest, "shadow", 15))
    assert {d: (t.inferences, t.errors) for d, t in sums.items()} == {"pi-1": (12, 3)}
    assert store.read_now(lambda c: telemetry.totals(c, "pi-1")) == telemetry.Totals(6, 115, 0, 0)
    assert store.read_now(lambda c: [m.role for m in telemetry.models(c, 0)]) == ["shadow", "serve"]
    assert store.write_now(lambda c: telemetry.forget(c, 20)) == 2
    assert len(store.read_now(lambda c: list(c.execute(select(windows.c.id))))) == 4


def test_rollouts_and_their_devices(store: Store) -> None:
    first, second = a_rollout(), a_rollout(id="fashion-2", app="voice")
    members = [Member("pi-1", 0, OLD)]
    assert store.read_now(rollouts.next_number) == 1
    store.write_now(lambda c: rollouts.add(c, 1, first, members))
    store.write_now(lambda c: rollouts.add(c, 2, second, [Member("pi-1", 1, None)]))
    assert store.read_now(rollouts.next_number) == 3
    assert store.read_now(lambda c: rollouts.members_of(c, first.id)) == members
    assert store.read_now(lambda c: rollouts.unfinished(c, "fashion")) == [first]
    done = a_rollout(stage=Stage.DONE)
    store.write_now(lambda c: rollouts.save(c, done))
    assert store.read_now(rollouts.unfinished) == [second]
    assert store.read_now(rollouts.all_of) == [second, done]
    assert store.read_now(lambda c: rollouts.newest(c, "fashion")) == done
    assert store.read_now(lambda c: rollouts.one(c, "other")) is None


def test_the_trail(store: Store) -> None:
    store.write_now(lambda c: audit.note(c, 1, "operator", "enrolled", "pi-1"))
    store.write_now(lambda c: audit.note(c, 2, "fleet", "drift", "pi-2", "brightness"))
    newest = store.read_now(audit.newest)
    assert [(e.at_ms, e.who, e.what, e.subject) for e in newest] == [
        (2, "fleet", "drift", "pi-2"),
        (1, "operator", "enrolled", "pi-1"),
    ]
    assert [e.at_ms for e in store.read_now(lambda c: audit.newest(c, 9, "pi-1"))] == [1]
    assert store.read_now(lambda c: audit.holds(c, "drift", "pi-2", "brightness"))
    assert not store.read_now(lambda c: audit.holds(c, "drift", "pi-2", "contrast"))


def test_a_setting_is_decided_once(store: Store) -> None:
    assert store.write_now(lambda c: settings.setting(c, "name", "mine")) == "mine"
    assert store.write_now(lambda c: settings.setting(c, "name", "yours")) == "mine"


def test_a_reader_sees_one_state_while_others_write(store: Store) -> None:
    def count(connection: Connection) -> int:
        return len(devices.names(connection))

    def twice(connection: Connection) -> tuple[int, int]:
        before = count(connection)
        store.write_now(lambda c: devices.add(c, "pi-9", "x", {}, 5))
        return before, count(connection)

    assert store.read_now(twice) == (1, 1)
    assert store.read_now(count) == 2


def test_writers_take_turns_and_lose_nothing(store: Store) -> None:
    async def all_at_once() -> None:
        await asyncio.gather(
            *(
                store.write(lambda c, n=n: telemetry.receive(c, "pi-1", "box", n % 20, 1))  # type: ignore[misc]
                for n in range(60)
            ),
            *(store.read(devices.all_of) for _ in range(20)),
        )

    asyncio.run(all_at_once())
    assert store.read_now(lambda c: len(list(c.execute(select(receipts.c.sequence))))) == 20


def test_what_was_served_is_added_up_as_it_comes_and_comes_to_the_same(store: Store) -> None:
    store.write_now(lambda c: devices.add(c, "pi-2", "x", {}, 5))
    rollout, served = a_rollout(), Served()

    def whole() -> dict[str, Tally]:
        keys = ("fashion", NEW.digest, "serve", rollout.created_ms)
        return store.read_now(lambda c: telemetry.sums(c, *keys))

    def found() -> object:
        return store.read_now(lambda c: served.of(c, rollout))

    assert found() == whole() == {}
    for at_ms, device in ((1, "pi-1"), (2, "pi-2"), (3, "pi-1"), (3, "pi-1"), (4, "pi-2")):
        closed = [
            a_window(role="serve", inferences=at_ms, errors=1),
            a_window(role="shadow"),
            a_window(role="serve", app="voice"),
            a_window(role="serve", artifact=OLD.digest),
        ]
        store.write_now(lambda c, d=device, w=closed, t=at_ms: telemetry.add(c, d, w, t))  # type: ignore[misc]
        assert found() == whole()
        assert found() == whole()
    assert whole()["pi-1"] == Tally(inferences=7, errors=3, crashes=whole()["pi-1"].crashes)
    store.write_now(lambda c: telemetry.forget_of(c, "pi-2"))
    assert found() == whole(), "the newest window is gone: its id may come again"
    assert store.read_now(lambda c: Served().of(c, rollout)) == whole()


def test_measurements_of_which_only_the_newest_is_kept(store: Store) -> None:
    for at_ms, speed in ((1, 5.0), (2, 3.0)):
        store.write_now(lambda c, t=at_ms, s=speed: benches.add(c, "pi-1", "m", a_bench(s), t))  # type: ignore[misc]
    (kept,) = store.read_now(benches.all_of)
    assert (kept.received_ms, kept.report) == (2, a_bench(3.0))


def test_a_device_that_is_removed_and_comes_again(store: Store) -> None:
    store.write_now(lambda c: telemetry.add(c, "pi-1", [a_window()], 1))
    store.write_now(lambda c: devices.remove(c, "pi-1", 9))
    assert store.read_now(devices.all_of) == []
    assert store.read_now(lambda c: telemetry.models(c, 0)) == []
    assert store.write_now(lambda c: devices.add(c, "pi-1", "new", {}, 10))
    assert store.read_now(devices.passwords) == {"pi-1": "new"}


def test_devices_are_in_one_order_everywhere(store: Store) -> None:
    """That of their bytes, which is Python's; a database sorts by its language."""
    for name in ("pi1", "pi-10", "pi-a", "pia", "p"):
        store.write_now(lambda c, n=name: devices.add(c, n, "x", {}, 5))  # type: ignore[misc]
    names = ["p", "pi-1", "pi-10", "pi-a", "pi1", "pia"]
    assert [each.device for each in store.read_now(devices.all_of)] == names
    assert [each.device for each in store.read_now(lambda c: devices.some(c, names))] == names
    members = [Member(name, 1, None) for name in names]
    store.write_now(lambda c: rollouts.add(c, 1, a_rollout(), members))
    found = store.read_now(lambda c: rollouts.members_of(c, a_rollout().id))
    assert found == members


KEY = DirectorKey(Ed25519PrivateKey.from_private_bytes(b"k" * 32))
ODD = "odd \0 " + "x" * 300


def test_what_a_device_says_fits_whatever_it_is(url: str, store: Store) -> None:
    """One that is broken or taken over must not keep the others' messages from being stored."""

    async def scenario() -> None:
        director = Director(store, KEY.sign, _to_nobody, lambda: 1000)
        ingest = Ingest(
            store,
            director,
            lambda *_: Chunk("", 0, 0, b""),
            lambda _: True,
            lambda _: None,
            lambda: 5,
        )
        running = asyncio.create_task(ingest.run())
        odd = replace(an_app(), reason=ODD, problems=(ODD,))
        said: list[tuple[Message, str, int]] = [
            (Hello(boot=ODD, profile=PROFILE, reported=Reported(apps={ODD: odd})), "", 0),
            (Hello(boot="b", profile=PROFILE, reported=Reported(counter=2**64 - 1)), "", 0),
            (ReportedMessage(at_ms=2**63, reported=Reported(apps={ODD: odd})), "box", 1),
            (ReportedMessage(at_ms=1, reported=Reported(counter=2**63)), "box", 2),
            (ReportedMessage(at_ms=1, reported=Reported(counter=1)), "a\0b", 3),
            (TelemetryMessage(windows=(a_window(app=ODD), a_window(errors=2**63))), "box", 4),
            (BenchMessage(at_ms=1, report=replace(a_bench(1.0), model=ODD[:20])), "box", 5),
            (TelemetryMessage(windows=(a_window(inferences=7),)), "box", 6),
        ]
        for message, outbox, sequence in said:
            payload = envelope.seal(message, id="i", sent_ms=1, outbox=outbox, sequence=sequence)
            ingest.hear(Incoming(up("pi-1"), payload))
        async with asyncio.timeout(30):
            while not (ingest.counts["stored"] or running.done()):
                await asyncio.sleep(0.01)
        running.cancel()
        (ended,) = await asyncio.gather(running, return_exceptions=True)
        assert isinstance(ended, asyncio.CancelledError), ended
        assert (ingest.counts["stored"], ingest.counts["failed"]) == (5, 0)

    asyncio.run(scenario())
    assert store.read_now(lambda c: telemetry.totals(c, "pi-1")).inferences == 7
    for entry in store.read_now(audit.newest):
        assert "\0" not in entry.detail


async def _to_nobody(topic: str, payload: bytes) -> None:
    return None


def test_a_server_that_is_restarted_is_gone_back_to(server: postgresql.PostgreSQL) -> None:
    store = Store(server.database())
    store.write_now(lambda c: devices.add(c, "pi-1", "secret", {}, 5))
    for how in (signal.SIGINT, signal.SIGQUIT):
        server.stop(how)
        with pytest.raises(UnavailableError, match="Does the server run"):
            store.read_now(devices.names)
        server.start()
        assert store.read_now(devices.names) == {"pi-1"}
        assert store.write_now(lambda c, how=how: telemetry.receive(c, "pi-1", how.name, 1, 1))
    store.close()


def test_a_database_that_is_not_there_is_told_of_without_its_password(
    server: postgresql.PostgreSQL,
) -> None:
    url = f"postgresql://edge:s3cret@/nothing?host={server.folder}"
    with pytest.raises(UnavailableError, match='database "nothing" does not exist') as caught:
        Store(url)
    assert "s3cret" not in str(caught.value)

"""The store: tables as the revisions make them, transactions, and rows that come but once."""

import asyncio
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from fleet_samples import NEW, OLD, a_rollout, a_window, an_app
from sqlalchemy import Connection, select

from edge_sdk.errors import UnavailableError, UsageError
from edge_sdk.spec.deployment import Reported
from fleet.core.rollout import Stage
from fleet.stores import audit, devices, rollouts, settings, telemetry
from fleet.stores.rollouts import Member
from fleet.stores.store import Store
from fleet.stores.tables import metadata, windows
from fleet.stores.telemetry import Model


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store(f"sqlite:///{tmp_path / 'fleet.db'}")
    opened.write_now(lambda c: devices.add(c, "pi-1", "secret", {"site": "lab"}, 5))
    yield opened
    opened.close()


def test_the_revisions_make_the_tables_that_the_code_means(store: Store) -> None:
    def differences(connection: Connection) -> list[object]:
        context = MigrationContext.configure(connection)
        return list(compare_metadata(context, metadata))

    assert store.read_now(differences) == []


def test_windows_from_before_anything_was_refused_are_kept(tmp_path: Path, store: Store) -> None:
    store.write_now(lambda c: telemetry.add(c, "pi-1", [a_window(inferences=7)], 10))
    store.close()
    with sqlite3.connect(tmp_path / "fleet.db") as connection:
        for column in ("refused", "unrecorded"):
            connection.execute(f"alter table windows drop column {column}")
        connection.execute("update alembic_version set version_num = '0002'")
    connection.close()
    again = Store(f"sqlite:///{tmp_path / 'fleet.db'}")
    refused = a_window(refused={"dark": 2, "blank": 1}, unrecorded=4, inferences=5)
    again.write_now(lambda c: telemetry.add(c, "pi-1", [refused], 20))
    assert again.read_now(lambda c: telemetry.totals(c, "pi-1")) == telemetry.Totals(2, 12, 3, 4)
    again.close()


def test_the_database_survives_and_stays(tmp_path: Path, store: Store) -> None:
    again = Store(f"sqlite:///{tmp_path / 'fleet.db'}")
    assert again.read_now(devices.passwords) == {"pi-1": "secret"}
    again.close()


def test_a_database_of_a_newer_edgeloop_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "fleet.db"
    Store(f"sqlite:///{path}").close()
    with sqlite3.connect(path) as connection:
        connection.execute("update alembic_version set version_num = '9999'")
    connection.close()
    with pytest.raises(UnavailableError, match="newer edgeloop"):
        Store(f"sqlite:///{path}")


def test_what_is_no_database(tmp_path: Path) -> None:
    path = tmp_path / "fleet.db"
    path.write_text("something else entirely, and long enough to have a header " * 40)
    with pytest.raises(UnavailableError, match="not a database"):
        Store(f"sqlite:///{path}")
    with pytest.raises(UnavailableError, match="cannot be used"):
        Store(f"sqlite:///{tmp_path / 'no' / 'fleet.db'}")
    for url in ("nonsense", "oracle9://x/y"):
        with pytest.raises(UsageError, match="no database"):
            Store(url)


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
    members = [Member("pi-1", True, OLD)]
    assert store.read_now(rollouts.next_number) == 1
    store.write_now(lambda c: rollouts.add(c, 1, first, members))
    store.write_now(lambda c: rollouts.add(c, 2, second, [Member("pi-1", False, None)]))
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

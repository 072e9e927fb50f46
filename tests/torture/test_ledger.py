"""The checker has teeth: each kind of loss and of doubling, made on purpose, is found."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import ledger
import pytest

from device_agent.outbox import Outbox
from edge_sdk.spec.deployment import Reported
from edge_sdk.spec.envelope import open_, read
from edge_sdk.spec.sketch import Window
from edge_sdk.spec.wire import ReportedMessage, TelemetryMessage
from fleet.stores import devices, tables, telemetry
from fleet.stores.store import Store

DEVICE = "cam-1"
COLUMNS = ", ".join(column.name for column in tables.windows.columns if column.name != "id")
LAST_REPORT = 7


class Scene:
    """An outbox with a witness, and a fleet's database that holds all that it accepted."""

    def __init__(self, folder: Path) -> None:
        self.outbox = folder / "outbox.sqlite"
        self.database = folder / "fleet.db"
        ledger.place_witness(self.outbox)
        outbox = Outbox(self.outbox, fleet="", max_bytes=1 << 20, now_ms=lambda: 1)
        for i in range(LAST_REPORT - 1):
            outbox.put(TelemetryMessage(windows=(window(i),)))
        outbox.put(ReportedMessage(at_ms=1, reported=Reported()))
        payloads = outbox.after(0, 100)
        outbox.forget(number for number, _ in payloads[:4])  # acknowledged ones are witnessed too
        outbox.close()
        store = Store(f"sqlite:///{self.database}")
        store.write_now(lambda c: devices.add(c, DEVICE, "secret", {}, 1))
        for number, payload in payloads:
            envelope = open_(payload)
            message = read(envelope)

            def keep(c, number=number, name=envelope.outbox, message=message):  # type: ignore[no-untyped-def]
                assert telemetry.receive(c, DEVICE, name, number, 1)
                if isinstance(message, TelemetryMessage):
                    telemetry.add(c, DEVICE, message.windows, 1)
                elif isinstance(message, ReportedMessage):
                    devices.report_then(c, DEVICE, message.reported, name, number, 1)

            store.write_now(keep)
        store.close()

    def change(self, statement: str) -> None:
        """Spoil the fleet's database."""
        with closing(sqlite3.connect(self.database)) as database, database:
            assert database.execute(statement).rowcount > 0

    def found(self) -> list[str]:
        sent = ledger.accepted(self.outbox)
        return ledger.discrepancies(sent, ledger.stored(self.database, DEVICE))


def window(number: int) -> Window:
    return Window(
        app="look",
        artifact="0" * 64,
        role="serve",
        started_ms=number,
        ended_ms=number + 1,
        boot="b",
        monotonic_ms=number,
        inferences=10 + number,
    )


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene(tmp_path)


def test_what_is_there_once_is_right(scene: Scene) -> None:
    assert scene.found() == []


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        ("DELETE FROM receipts WHERE sequence = 3", ", 3): accepted 1x, stored 0x"),
        ("DELETE FROM receipts WHERE sequence = 6", ", 6): accepted 1x, stored 0x"),
        ("UPDATE receipts SET sequence = 99 WHERE sequence = 3", ", 99): accepted 0x, stored 1x"),
        ("DELETE FROM windows WHERE id = 2", "of 11 inferences at 1 in b: accepted 1x, stored 0x"),
        (
            f"INSERT INTO windows (id, {COLUMNS}) SELECT 99, {COLUMNS} FROM windows WHERE id = 2",
            "of 11 inferences at 1 in b: accepted 1x, stored 2x",
        ),
        ("UPDATE windows SET inferences = 12 WHERE id = 2", "inferences: accepted 75, stored 76"),
        ("UPDATE reported SET sequence = 1", "newest report: accepted 7, stored 1"),
    ],
)
def test_what_is_lost_doubled_or_altered_is_found(scene: Scene, statement: str, said: str) -> None:
    scene.change(statement)
    assert any(said in each for each in scene.found()), scene.found()


def _drop(outbox: sqlite3.Connection) -> None:
    outbox.execute("UPDATE facts SET value = 1 WHERE name = 'dropped'")


def _hole(outbox: sqlite3.Connection) -> None:
    outbox.execute("DELETE FROM witness WHERE sequence = 2")


def _again(outbox: sqlite3.Connection) -> None:
    outbox.execute("INSERT INTO witness SELECT * FROM witness WHERE sequence = 2")


@pytest.mark.parametrize("spoil", [_drop, _hole, _again])
def test_an_outbox_that_lost_something_itself_is_found(
    scene: Scene, spoil: Callable[[sqlite3.Connection], None]
) -> None:
    with closing(sqlite3.connect(scene.outbox)) as outbox, outbox:
        spoil(outbox)
    with pytest.raises(AssertionError, match="outbox"):
        scene.found()

"""The fleet's SQLite file: older ones are brought up to date, newer ones left alone."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from fleet_samples import a_window

from edge_sdk.errors import UnavailableError, UsageError
from fleet.stores import devices, telemetry
from fleet.stores.store import Store


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store(f"sqlite:///{tmp_path / 'fleet.db'}")
    opened.write_now(lambda c: devices.add(c, "pi-1", "secret", {"site": "lab"}, 5))
    yield opened
    opened.close()


def test_windows_from_before_anything_was_refused_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "old.db"
    with sqlite3.connect(path) as connection:
        connection.executescript(Path(__file__).with_name("fleet_0002.sql").read_text())
        ((windows, inferences),) = connection.execute(
            "select count(*), sum(inferences) from windows where device = 'pi-1'"
        )
    connection.close()
    assert windows > 1
    again = Store(f"sqlite:///{path}")
    refused = a_window(refused={"dark": 2, "blank": 1}, unrecorded=4, inferences=5)
    again.write_now(lambda c: telemetry.add(c, "pi-1", [refused], 20))
    totals = telemetry.Totals(windows + 1, inferences + 5, 3, 4)
    assert again.read_now(lambda c: telemetry.totals(c, "pi-1")) == totals
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

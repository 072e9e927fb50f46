"""What was accepted and what was stored, told by the databases themselves, and held side by side.

The truth about what a device's outbox ever accepted is written by the outbox's own database: a
trigger copies each message into a second table *in the transaction that accepts it*. So what the
witness knows and what the outbox promised are the same thing, whoever is killed when; and the
agent's program knows nothing of it.

The truth about what the fleet stored is in its tables: receipts, one a durable message, and
windows, which are added up, so that a window that came in twice would stand there twice.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from device_agent.outbox import Outbox
from edge_sdk.spec.envelope import open_, read
from edge_sdk.spec.sketch import Window
from edge_sdk.spec.wire import ReportedMessage, TelemetryMessage

_WITNESS = """
CREATE TABLE witness (sequence INTEGER NOT NULL, payload BLOB NOT NULL);
CREATE TRIGGER seen AFTER INSERT ON messages BEGIN
    INSERT INTO witness VALUES (NEW.sequence, NEW.payload);
END;
"""


@dataclass
class Account:
    """Messages of one device, on one side.

    Attributes:
        receipts: (outbox, number) of each durable message, as often as it is there.
        windows: each window, encoded, as often as it is there.
        inferences: the windows' sum.
        report: number of the newest report.
    """

    receipts: Counter[tuple[str, int]] = field(default_factory=Counter)
    windows: Counter[bytes] = field(default_factory=Counter)
    inferences: int = 0
    report: int = 0


def place_witness(outbox: Path) -> None:
    """Make a device's outbox before its first start, with a witness in it."""
    Outbox(outbox, fleet="", max_bytes=1, now_ms=lambda: 0).close()
    with closing(sqlite3.connect(outbox)) as database:
        database.executescript(_WITNESS)


def waiting(outbox: Path) -> int:
    """How many messages are not acknowledged yet."""
    with _opened(outbox) as database:
        (count,) = database.execute("SELECT count(*) FROM messages").fetchone()
    return int(count)


def accepted(outbox: Path) -> Account:
    """What a device's outbox has ever accepted; fails if it says itself that it lost any."""
    account = Account()
    with _opened(outbox) as database:
        facts = dict(database.execute("SELECT name, value FROM facts"))
        (newest,) = database.execute("SELECT seq FROM sqlite_sequence").fetchone()
        rows = database.execute("SELECT sequence, payload FROM witness ORDER BY rowid").fetchall()
    assert int(facts["dropped"]) == 0, "the outbox was too small for this"
    assert [number for number, _ in rows] == list(range(1, newest + 1)), "the outbox counts wrongly"
    for number, payload in rows:
        envelope = open_(payload)
        assert (envelope.outbox, envelope.sequence) == (facts["name"], number)
        account.receipts[facts["name"], number] += 1
        message = read(envelope)
        if isinstance(message, TelemetryMessage):
            for window in message.windows:
                _add(account, window)
        elif isinstance(message, ReportedMessage):
            account.report = number
    return account


def stored(fleet: Path, device: str) -> Account:
    """What a fleet's database holds of a device."""
    account = Account()
    with _opened(fleet) as database:
        receipts = database.execute(
            "SELECT outbox, sequence FROM receipts WHERE device = ?", (device,)
        ).fetchall()
        windows = database.execute(
            "SELECT window, inferences FROM windows WHERE device = ?", (device,)
        ).fetchall()
        report = database.execute("SELECT sequence FROM reported WHERE device = ?", (device,))
        account.report = int((report.fetchone() or (0,))[0])
    account.receipts.update((outbox, int(number)) for outbox, number in receipts)
    for packed, inferences in windows:
        _add(account, msgspec.msgpack.decode(packed, type=Window))
        account.inferences += int(inferences) - _inferences(packed)  # the column is what is summed
    return account


def discrepancies(sent: Account, there: Account) -> list[str]:
    """What is wrong, a sentence each; nothing if every message is there once."""
    found = []
    for what, ours, theirs in (
        ("message", sent.receipts, there.receipts),
        ("window", sent.windows, there.windows),
    ):
        for key in ours.keys() | theirs.keys():
            if ours[key] != theirs[key]:
                name = key if isinstance(key, tuple) else _named(key)
                found.append(f"{what} {name}: accepted {ours[key]}x, stored {theirs[key]}x")
    keys = Counter(_key(packed) for packed in there.windows.elements())
    found += [f"window {key} is there {count}x" for key, count in keys.items() if count > 1]
    for what, mine, its in (
        ("inferences", sent.inferences, there.inferences),
        ("newest report", sent.report, there.report),
    ):
        if mine != its:
            found.append(f"{what}: accepted {mine}, stored {its}")
    return sorted(found)


def _add(account: Account, window: Window) -> None:
    account.windows[msgspec.msgpack.encode(window)] += 1
    account.inferences += window.inferences


def _inferences(packed: bytes) -> int:
    return msgspec.msgpack.decode(packed, type=Window).inferences


def _key(packed: bytes) -> tuple[str, str, str, str, int]:
    """What no two windows of a device have in common."""
    window = msgspec.msgpack.decode(packed, type=Window)
    return window.boot, window.app, window.artifact, window.role, window.monotonic_ms


def _named(packed: bytes) -> str:
    window = msgspec.msgpack.decode(packed, type=Window)
    return f"of {window.inferences} inferences at {window.monotonic_ms} in {window.boot}"


@contextmanager
def _opened(path: Path) -> Iterator[sqlite3.Connection]:
    """For reading, while its owner writes."""
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=30)) as database:
        yield database

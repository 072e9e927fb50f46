"""The outbox: what the fleet must hear, kept until the fleet itself has said that it stored it.

A PUBACK proves that a broker had a message, not that anybody read it; so a message leaves here
only upon ``Acknowledged`` with its number. Numbers grow for ever within an outbox, and an outbox
has a random name of its own, made with its file: a device whose disk was wiped begins another, and
the fleet never takes its number 7 for the old number 7. It is one fleet's: a device enrolled
into another begins another outbox too, since what it owed the first is no business of the second's.

SQLite with ``synchronous=FULL``: a message that ``put`` has returned from survives the power's
failing. It is bounded, because a device may be offline for a month: when it is full the oldest
telemetry goes first, then the oldest reports (a newer report says all that matters), and what was
dropped is counted.
"""

from __future__ import annotations

import logging
import secrets
import sqlite3
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from edge_sdk.errors import EdgeError, UnavailableError
from edge_sdk.files import disk_error
from edge_sdk.spec.envelope import seal
from edge_sdk.spec.wire import Message, TelemetryMessage
from edge_sdk.spec.word import Word

_log = logging.getLogger(__name__)

_SCHEMA = """
CREATE TABLE IF NOT EXISTS facts (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS messages (
    sequence INTEGER PRIMARY KEY AUTOINCREMENT,
    droppable INTEGER NOT NULL,
    payload BLOB NOT NULL
);
"""


class Waiting(Word, frozen=True, kw_only=True):
    """How full the outbox is.

    Attributes:
        messages, bytes: not acknowledged yet.
        dropped: messages given up for want of room, since the outbox was made.
    """

    messages: int = 0
    bytes: int = 0
    dropped: int = 0


class DamagedOutbox(UnavailableError):
    """The file is not the database that we wrote."""


class Outbox:
    """Durable messages, in order. Its methods block for a disk's sync and may run in any thread.

    Attributes:
        name: of this outbox, in every envelope.
    """

    def __init__(
        self, path: Path, *, fleet: str, max_bytes: int, now_ms: Callable[[], int]
    ) -> None:
        """Open, or make.

        Args:
            path: of the database.
            fleet: whose it is: something that no other fleet has.
            max_bytes: of payloads to keep at most.
            now_ms: the wall clock, Unix milliseconds.

        Raises:
            UnavailableError: it cannot be opened; DamagedOutbox: it is not what we wrote.
        """
        self._path = path
        self._max_bytes = max_bytes
        self._now_ms = now_ms
        self._lock = threading.Lock()
        with self._explained():
            self._database = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
            try:
                self._begin(fleet)
            except sqlite3.Error:
                self._database.close()
                raise

    def _begin(self, fleet: str) -> None:
        self._database.execute("PRAGMA journal_mode=WAL")
        self._database.execute("PRAGMA synchronous=FULL")
        # 400 kB of log, not SQLite's 4 MB: the disk is small, and so are the messages.
        self._database.execute("PRAGMA wal_autocheckpoint=100")
        self._database.executescript(_SCHEMA)
        self._database.execute(
            "INSERT OR IGNORE INTO facts VALUES ('name', ?), ('dropped', '0'), ('fleet', ?)",
            (secrets.token_hex(8), fleet),
        )
        if self._fact("fleet") != fleet:
            self._begin_anew(fleet)
        self.name = self._fact("name")
        self._dropped = int(self._fact("dropped"))
        count, size = self._database.execute(
            "SELECT count(*), coalesce(sum(length(payload)), 0) FROM messages"
        ).fetchone()
        self._messages, self._bytes = int(count), int(size)

    def _begin_anew(self, fleet: str) -> None:
        """Forget the messages to another fleet, in one transaction."""
        _log.warning("%s was another fleet's. It is emptied.", self._path)
        database = self._database
        database.execute("BEGIN IMMEDIATE")
        database.execute("DELETE FROM messages")
        database.execute("DELETE FROM sqlite_sequence WHERE name = 'messages'")
        for name, value in (("name", secrets.token_hex(8)), ("dropped", "0"), ("fleet", fleet)):
            database.execute("UPDATE facts SET value = ? WHERE name = ?", (value, name))
        database.execute("COMMIT")

    @property
    def waiting(self) -> Waiting:
        """How full it is."""
        return Waiting(messages=self._messages, bytes=self._bytes, dropped=self._dropped)

    def put(self, message: Message) -> int:
        """Keep a message until it is acknowledged; answers its number.

        Raises:
            UnavailableError: the disk does not take it.
            FleetError: it is too large to send, ever.
        """
        with self._changing() as database:
            row = database.execute("SELECT seq FROM sqlite_sequence WHERE name='messages'")
            sequence = int((row.fetchone() or (0,))[0]) + 1
            payload = seal(
                message,
                id=f"{self.name}-{sequence}",
                sent_ms=self._now_ms(),
                outbox=self.name,
                sequence=sequence,
            )
            droppable = isinstance(message, TelemetryMessage)
            database.execute(
                "INSERT INTO messages VALUES (?, ?, ?)", (sequence, droppable, payload)
            )
            freed = self._make_room(self._bytes + len(payload) - self._max_bytes, sequence)
        self._count(1 - len(freed), len(payload) - sum(freed), dropped=len(freed))
        return sequence

    def after(self, sequence: int, limit: int) -> list[tuple[int, bytes]]:
        """The oldest messages behind ``sequence``: (number, payload), in order."""
        with self._lock, self._explained():
            return self._database.execute(
                "SELECT sequence, payload FROM messages WHERE sequence > ? ORDER BY sequence "
                "LIMIT ?",
                (sequence, limit),
            ).fetchall()

    def forget(self, sequences: Iterable[int]) -> int:
        """The fleet has these; answers how many of them were still here.

        Raises:
            UnavailableError: the disk does not take it; they are sent again, which does no harm.
        """
        sizes = []
        with self._changing() as database:
            for sequence in set(sequences):
                row = database.execute(
                    "DELETE FROM messages WHERE sequence = ? RETURNING length(payload)", (sequence,)
                ).fetchone()
                sizes += [] if row is None else [int(row[0])]
        self._count(-len(sizes), -sum(sizes))
        return len(sizes)

    def close(self) -> None:
        """Close the database; what is in it stays."""
        with self._lock, self._explained():
            self._database.close()

    def _count(self, messages: int, size: int, *, dropped: int = 0) -> None:
        with self._lock:
            self._messages += messages
            self._bytes += size
            self._dropped += dropped

    def _make_room(self, too_much: int, newest: int) -> list[int]:
        """Drop the oldest, telemetry first, never the newest; answers the sizes of what went."""
        freed: list[int] = []
        while sum(freed) < too_much:
            row = self._database.execute(
                "DELETE FROM messages WHERE sequence = (SELECT sequence FROM messages "
                "WHERE sequence <> ? ORDER BY droppable DESC, sequence LIMIT 1) "
                "RETURNING length(payload)",
                (newest,),
            ).fetchone()
            if row is None:
                break
            freed.append(int(row[0]))
        if freed:
            self._database.execute(
                "UPDATE facts SET value = value + ? WHERE name = 'dropped'", (len(freed),)
            )
        return freed

    def _fact(self, name: str) -> str:
        row = self._database.execute("SELECT value FROM facts WHERE name = ?", (name,)).fetchone()
        return str(row[0])

    @contextmanager
    def _changing(self) -> Iterator[sqlite3.Connection]:
        """One transaction: all of it, or nothing."""
        with self._lock, self._explained():
            self._database.execute("BEGIN IMMEDIATE")
            try:
                yield self._database
                self._database.execute("COMMIT")
            except BaseException:
                if self._database.in_transaction:
                    self._database.execute("ROLLBACK")
                raise

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise _problem(self._path, error) from error


def open_outbox(path: Path, *, fleet: str, max_bytes: int, now_ms: Callable[[], int]) -> Outbox:
    """Open the outbox; one that the disk has damaged is set aside, and another begun.

    Raises:
        UnavailableError: it cannot be opened.
    """
    try:
        return Outbox(path, fleet=fleet, max_bytes=max_bytes, now_ms=now_ms)
    except DamagedOutbox as error:
        aside = path.with_suffix(".damaged")
        _log.error("%s It is kept as %s; another begins.", error.message, aside)
        try:
            path.replace(aside)
            for ending in ("-wal", "-shm"):
                path.with_name(path.name + ending).unlink(missing_ok=True)
        except OSError as failure:
            raise disk_error(failure, path) from failure
        return Outbox(path, fleet=fleet, max_bytes=max_bytes, now_ms=now_ms)


def _problem(path: Path, error: sqlite3.Error) -> EdgeError:
    if isinstance(error, sqlite3.OperationalError):
        return UnavailableError(
            f"The outbox {path} cannot be used: {error}.",
            f"df -h {path.parent}   # is there room, and may we write there?",
        )
    return DamagedOutbox(f"The outbox {path} is damaged: {error}.", f"mv {path} {path}.damaged")

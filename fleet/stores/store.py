"""The store: one database, one writer, and transactions that are whole or did not happen.

SQLite in WAL mode by default. ``synchronous=FULL``: what a device was told is stored must survive
the power cut that comes next. All writes go through one thread, so that nobody waits for a lock
that a slow neighbour in the same process holds; readers have snapshots of their own and wait for
nobody. PostgreSQL is asked for the same: its readers see one state (``REPEATABLE READ``), and a
connection that a restart of the server has cut is made anew.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, TypeVar

from alembic import command
from alembic.config import Config
from alembic.util.exc import CommandError
from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError

from edge_sdk.errors import UnavailableError, UsageError

T = TypeVar("T")
BUSY_MS = 10_000


class Store:
    """One database. Made at start, ``close`` at the end."""

    def __init__(self, url: str) -> None:
        """Open the database and bring its tables up to date.

        Args:
            url: SQLAlchemy's: ``sqlite:////path/fleet.db``, ``postgresql://USER@HOST/NAME``.

        Raises:
            UsageError: it is no database URL.
            UnavailableError: it cannot be opened, is no database, or a newer edgeloop made it; or
                there is no driver for it.
        """
        self._engine = _engine(url)
        self._reading = self._engine
        if self._engine.dialect.name == "sqlite":
            _set_up_sqlite(self._engine)
        else:
            self._reading = self._engine.execution_options(isolation_level="REPEATABLE READ")
        try:
            with _translated(self._engine), self._engine.begin() as connection:
                _migrate(connection)
        except BaseException:
            self._engine.dispose()
            raise
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="store-writer")

    async def write(self, work: Callable[[Connection], T]) -> T:
        """Do ``work`` in a transaction of its own, after all that was asked for before.

        It is committed when this returns; if ``work`` raises, nothing of it has happened. A caller
        that is cancelled does not stop what has begun.

        Raises:
            UnavailableError: the database cannot be written; and whatever ``work`` raises.
        """
        loop = asyncio.get_running_loop()
        return await asyncio.shield(loop.run_in_executor(self._writer, self.write_now, work))

    async def read(self, work: Callable[[Connection], T]) -> T:
        """Do ``work`` on a snapshot, in a thread."""
        return await asyncio.to_thread(self.read_now, work)

    def write_now(self, work: Callable[[Connection], T]) -> T:
        """``write``, in this thread: for programs that have nobody beside them."""
        with _translated(self._engine), self._engine.begin() as connection:
            return work(connection)

    def read_now(self, work: Callable[[Connection], T]) -> T:
        """``read``, in this thread."""
        with _translated(self._engine), self._reading.connect() as connection:
            return work(connection)

    def close(self) -> None:
        """Finish what was begun, and let go of the database."""
        self._writer.shutdown(wait=True)
        self._engine.dispose()


def _engine(text: str) -> Engine:
    try:
        url = make_url(text)
        if url.get_backend_name() == "postgresql":
            return create_engine(_by_psycopg(url), pool_pre_ping=True)
        return create_engine(url)
    except ModuleNotFoundError as error:
        if error.name != "psycopg":
            raise _no_database(text, error) from error
        raise UnavailableError(
            "PostgreSQL needs a driver, which is not installed.",
            "pip install 'edgeloop[fleet,postgresql]'",
        ) from error
    except (ArgumentError, NoSuchModuleError) as error:
        raise _no_database(text, error) from error


def _by_psycopg(url: URL) -> URL:
    """With the driver that we are tried with, unless another one is named."""
    named = "+" in url.drivername
    return url if named else url.set(drivername="postgresql+psycopg")


def _no_database(text: str, error: Exception) -> UsageError:
    return UsageError(
        f"{text!r} is no database that can be used: {error}.",
        "For example sqlite:////var/lib/edgeloop/fleet.db, or postgresql://fleet@/fleet",
    )


@contextmanager
def _translated(engine: Engine) -> Iterator[None]:
    """The driver's errors, as ours."""
    try:
        yield
    except DBAPIError as error:
        said = " ".join(str(error.orig).split()).rstrip(".?")
        where = engine.url.render_as_string()
        raise UnavailableError(
            f"The database {where} cannot be used: {said}.",
            "Is the disk full, or the file another program's?"
            if engine.dialect.name == "sqlite"
            else "Does the server run, and does it let this user in?   psql, with the same words",
        ) from error


def _set_up_sqlite(engine: Engine) -> None:
    """Set what SQLite needs on every connection.

    Python's driver would begin transactions by its own rules (when it meets an INSERT), under
    which a reader sees two states in one transaction; so it is told not to, and BEGIN is ours.
    """

    @event.listens_for(engine, "connect")
    def connect(connection: Any, _record: object) -> None:
        connection.isolation_level = None
        cursor = connection.cursor()
        for pragma in (
            "journal_mode=WAL",
            "synchronous=FULL",
            "foreign_keys=ON",
            "secure_delete=ON",  # a removed device's secret does not stay in a free page
            f"busy_timeout={BUSY_MS}",
        ):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN")


def _migrate(connection: Connection) -> None:
    config = Config()
    config.set_main_option("script_location", "fleet.stores:migrations")
    config.attributes["connection"] = connection
    try:
        command.upgrade(config, "head")
    except CommandError as error:
        raise UnavailableError(
            f"The fleet's database was made by a newer edgeloop: {error}.",
            "pip install --upgrade edgeloop",
        ) from error

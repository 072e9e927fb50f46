"""A real PostgreSQL for tests: its own binaries, a folder of its own, a socket and no port.

PostgreSQL does not run as root: a test that does is another user to it.
"""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

from patience import ended, turns
from sqlalchemy import create_engine, text

SUPERUSER = "edge"
DEADLINE_S = 60.0
_numbers = count(1)


def binaries() -> Path | None:
    """The folder of ``initdb`` and ``postgres``; None if there is none. Debian hides them."""
    places = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda p: float(p.parent.name))
    found = shutil.which("postgres")
    places += [Path(found).resolve().parent] if found else []
    return next((place for place in reversed(places) if (place / "initdb").exists()), None)


class PostgreSQL:
    """A server that runs; ``database`` makes a new database in it."""

    def __init__(self, folder: Path, place: Path) -> None:
        self.folder = folder
        self._place = place
        self._as: dict[str, object] = {}
        if os.geteuid() == 0:
            names = {entry.pw_name for entry in pwd.getpwall()}
            user = pwd.getpwnam("postgres" if "postgres" in names else "nobody")
            os.chown(folder, user.pw_uid, user.pw_gid)
            self._as = {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def log(self) -> str:
        return (self.folder / "log").read_text()

    def make(self) -> None:
        # By rules of a language, as a real one has it: not by bytes, as SQLite sorts.
        words = ["--auth=trust", f"--username={SUPERUSER}", "--no-sync", "--encoding=UTF8"]
        words += ["--locale=C.UTF-8", "--locale-provider=icu", "--icu-locale=en"]
        subprocess.run(
            [self._place / "initdb", *words, "-D", self.folder / "data"],
            check=True,
            cwd=self.folder,
            capture_output=True,
            **self._as,  # type: ignore[call-overload]
        )

    def start(self) -> None:
        with (self.folder / "log").open("ab") as log:
            before = log.tell()
            self.process = subprocess.Popen(
                [
                    *(self._place / "postgres", "-D", self.folder / "data", "-k", self.folder),
                    *("-c", "listen_addresses=", "-c", "fsync=off"),
                ],
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                **self._as,  # type: ignore[call-overload]
            )
        for _ in turns(DEADLINE_S):
            if self.process.poll() is not None:
                raise AssertionError(self.log)
            if "ready to accept connections" in self.log[before:]:
                return
        raise AssertionError(self.log)

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """``SIGINT`` cuts connections and ends cleanly; ``SIGQUIT`` as a crash would."""
        assert self.process is not None
        self.process.send_signal(how)
        ended(self.process, DEADLINE_S, lambda: self.log)

    def url(self, database: str) -> str:
        return f"postgresql+psycopg://{SUPERUSER}@/{database}?host={self.folder}"

    def database(self) -> str:
        """A new one; answers its URL."""
        name = f"fleet{next(_numbers)}"
        engine = create_engine(self.url("postgres"), isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            connection.execute(text(f"create database {name}"))
        engine.dispose()
        return self.url(name)


@contextmanager
def running() -> Iterator[PostgreSQL]:
    """One that runs, and is gone afterwards."""
    place = binaries()
    assert place is not None
    # Not pytest's folders: a socket's name has 107 bytes at most, and they are root's alone.
    with tempfile.TemporaryDirectory(prefix="edgeloop-pg-") as folder:
        server = PostgreSQL(Path(folder), place)
        server.make()
        server.start()
        try:
            yield server
        finally:
            if server.process is not None and server.process.poll() is None:
                server.stop()

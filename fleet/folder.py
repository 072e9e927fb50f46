"""The fleet's folder: one fleet, one process, and files that only their owner reads.

lock         held while the fleet runs
token        whoever has it, operates the fleet
fleet.json   where the running fleet is, for the other commands
fleet.db     the database, unless it is elsewhere
trust/       keys and published metadata
broker/      the embedded broker's own
uploads/     artifacts on their way in
"""

from __future__ import annotations

import fcntl
import os
import secrets
import shutil
from pathlib import Path
from typing import BinaryIO

import msgspec

from edge_sdk.errors import UnavailableError, UsageError
from edge_sdk.files import disk_error, whole_file
from edge_sdk.spec.codec import UNREADABLE
from edge_sdk.spec.word import Word


class Address(Word, frozen=True, kw_only=True):
    """``fleet.json``: where a fleet is. Holds no secret.

    Attributes:
        api: URL of the API and the page.
        token_file: path of the token.
        broker: URL of the broker, as devices see it.
        pid: of the fleet's process.
    """

    api: str
    token_file: str
    broker: str
    pid: int = 0


class FleetFolder:
    """``DATA``, held by this process until ``close``."""

    def __init__(self, path: Path) -> None:
        """Take the folder, made if it is not there.

        Raises:
            UsageError: it is no folder, not writable, or another program's.
            UnavailableError: another fleet runs in it, or the disk is full.
        """
        self.path = path
        try:
            path.mkdir(parents=True, exist_ok=True, mode=0o700)
            strangers = {p.name for p in path.iterdir()} - {"lock"}
            if strangers and not self._lock_path.exists():
                raise UsageError(
                    f"{path} is no fleet's folder: it holds {sorted(strangers)[0]!r}.",
                    "Name an empty folder, or one that does not exist: --data DIR",
                )
            self._lock: BinaryIO = self._lock_path.open("ab")
        except OSError as error:
            raise disk_error(error, path) from error
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            self._lock.close()
            raise UnavailableError(
                f"Another fleet runs in {path}.",
                f"edge fleet devices --data {path}   # talks to it; or choose another folder",
            ) from error
        shutil.rmtree(self.uploads, ignore_errors=True)  # of a fleet that was killed
        for folder in (self.uploads, self.trust, self.broker):
            try:
                folder.mkdir(exist_ok=True, mode=0o700)
            except OSError as error:
                raise disk_error(error, folder) from error

    @property
    def _lock_path(self) -> Path:
        return self.path / "lock"

    @property
    def database(self) -> Path:
        """Of the default database; made here if missing, so that nobody else can read it."""
        path = self.path / "fleet.db"
        try:
            os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
        except OSError as error:
            raise disk_error(error, path) from error
        return path

    @property
    def trust(self) -> Path:
        """Of the trust repository."""
        return self.path / "trust"

    @property
    def broker(self) -> Path:
        """Of the embedded broker."""
        return self.path / "broker"

    @property
    def uploads(self) -> Path:
        """For what is coming in; emptied at every start."""
        return self.path / "uploads"

    @property
    def token_file(self) -> Path:
        """Of the operator's token."""
        return self.path / "token"

    def token(self) -> str:
        """The operator's token, made at the first start."""
        if not self.token_file.exists():
            with whole_file(self.token_file, 0o600) as file:
                file.write(secrets.token_urlsafe(32).encode() + b"\n")
        return read_secret(self.token_file)

    def publish(self, address: Address) -> None:
        """Say where the fleet is."""
        with whole_file(self.path / "fleet.json") as file:
            file.write(msgspec.json.format(msgspec.json.encode(address), indent=2) + b"\n")

    def close(self) -> None:
        """Let go of the folder."""
        self._lock.close()


def read_address(folder: Path) -> Address:
    """Where the fleet of a folder is, or was. Raises UsageError if none has been started there."""
    path = folder / "fleet.json"
    try:
        return msgspec.json.decode(path.read_bytes(), type=Address)
    except OSError as error:
        raise UsageError(
            f"No fleet has been started in {folder}.", f"edge fleet serve --data {folder}"
        ) from error
    except UNREADABLE as error:
        raise UsageError(f"{path} cannot be read: {error}.", "Start the fleet again.") from error


def read_secret(path: Path) -> str:
    """A secret, from its file. Raises UsageError if it cannot be read or is empty."""
    try:
        text = path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} cannot be read: {error}.", "Check the path.") from error
    if not text:
        raise UsageError(f"{path} is empty.", "Remove it, and start the fleet again.")
    return text

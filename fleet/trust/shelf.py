"""The published metadata on disk: ``public/``, which anybody may copy and nobody need keep secret.

    public/root.json                 the newest root, for pinning
    public/metadata/N.root.json      every root there ever was
    public/metadata/N.targets.json   the signed list of files
    public/metadata/N.snapshot.json  which list is current
    public/metadata/timestamp.json   which snapshot is current: the one file that is replaced

A versioned file is never changed once something points to it. Whoever releases writes what is
pointed to before what points, and each file whole; so wherever a crash falls, ``timestamp.json``
leads to a complete state, the one before or the one after.
"""

from __future__ import annotations

import re
from pathlib import Path

from tuf.api.metadata import Root, Snapshot, Targets, Timestamp

from edge_sdk.errors import UnavailableError
from edge_sdk.files import disk_error, whole_file

KEPT = 32
"""Older targets and snapshots that stay, for devices that are on their way through the chain."""

_NAME = re.compile(r"([1-9][0-9]{0,9}\.(root|targets|snapshot)|timestamp)\.json")


class Shelf:
    """The public folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._metadata = folder / "metadata"
        try:
            self._metadata.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise disk_error(error, self._metadata) from error

    def read(self, name: str) -> bytes | None:
        """A metadata file; None if there is none of that name."""
        if not _NAME.fullmatch(name):
            return None
        path = self._metadata / name
        try:
            return path.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise UnavailableError(
                f"{path} cannot be read: {error.strerror}.", "dmesg   # is the disk well?"
            ) from error

    def newest_root(self) -> tuple[int, bytes] | None:
        """The newest root and its version; None before the first start."""
        newest = max(self._versions(Root.type), default=0)
        data = self.read(f"{newest}.root.json") if newest else None
        return None if data is None else (newest, data)

    def write(self, role: str, version: int, data: bytes) -> None:
        """Put a file there, whole and synced; a root becomes the one to pin.

        Raises:
            UnavailableError: the disk is full.
        """
        name = f"{role}.json" if role == Timestamp.type else f"{version}.{role}.json"
        with whole_file(self._metadata / name) as file:
            file.write(data)
        if role == Root.type:
            self.pin(data)

    def pin(self, root: bytes) -> None:
        """Make ``root.json`` this one, if it is not already."""
        path = self.folder / "root.json"
        if not path.is_file() or path.read_bytes() != root:
            with whole_file(path) as file:
                file.write(root)

    def prune(self, role: str, current: int) -> None:
        """Remove what nobody can be led to any more."""
        if role in (Targets.type, Snapshot.type):
            for version in self._versions(role):
                if version <= current - KEPT:
                    (self._metadata / f"{version}.{role}.json").unlink(missing_ok=True)

    def _versions(self, role: str) -> list[int]:
        names = (path.name for path in self._metadata.glob(f"*.{role}.json"))
        return [int(name.partition(".")[0]) for name in names if _NAME.fullmatch(name)]

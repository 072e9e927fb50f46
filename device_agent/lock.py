"""One agent a state folder: a lock that the kernel gives back when its holder dies."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from edge_sdk.errors import UsageError
from edge_sdk.files import disk_error


class StateLock:
    """Held from ``__init__`` to ``release``, or to the end of the process, however that comes."""

    def __init__(self, path: Path) -> None:
        """Take the lock.

        Raises:
            UsageError: another agent has it, or the file cannot be written.
        """
        try:
            self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise disk_error(error, path) from error
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            holder = os.pread(self._file, 32, 0).decode("ascii", "replace").strip()
            os.close(self._file)
            raise UsageError(
                f"Another agent runs on the state folder {path.parent}"
                f"{f' (process {holder})' if holder else ''}.",
                "edge agent status --config FILE   # asks it; a second agent needs its own state",
            ) from error
        os.ftruncate(self._file, 0)
        os.pwrite(self._file, f"{os.getpid()}\n".encode(), 0)

    def release(self) -> None:
        """Give it back."""
        os.close(self._file)

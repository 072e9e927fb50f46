"""The files of an audit log: appended to, mended, and made way for.

A record is one ``write`` to a file opened for appending, synced before ``append`` returns. What a
crash leaves of an unfinished line is cut off by the next start. When the file has reached its size
it becomes ``NAME.1``, that one ``NAME.2``, and the oldest goes: the log takes
``max_bytes * (keep + 1)`` of the disk at most. Files are the owner's alone (0600). Whence records
were taken away at the front, the log is not continued (``beginning``).
"""

from __future__ import annotations

import fcntl
import os
import stat
from contextlib import suppress
from itertools import count, takewhile
from pathlib import Path

from edge_sdk.audit.beginning import lock_of, missing, note, noted
from edge_sdk.audit.chain import FIRST, files_of, opened
from edge_sdk.errors import UsageError
from edge_sdk.files import disk_error

_LONGEST_LINE = 1 << 20
_BEGINNING = b'{"number":'


class LogFiles:
    """A log's files, opened for writing by this program alone.

    Args:
        path: of the newest.
        max_bytes: of one file.
        keep: how many older files stay.
        sync: wait for the disk at every record.

    Attributes:
        torn: bytes of an unfinished record that were cut off the end.
        number, chain: of the newest record when it was opened.

    Raises:
        UsageError: another program has it open, it is no audit log, its oldest records were taken
            away, or it cannot be written.
        UnavailableError: there is no room.
    """

    def __init__(self, path: Path, *, max_bytes: int, keep: int, sync: bool) -> None:
        self.path = path
        self._max_bytes, self._keep, self._sync = max_bytes, keep, sync
        self._lock = _locked(path)
        try:
            self._file = _open(path)
            try:
                self.torn = self._mend()
                self.number, self.chain = self._last()
                self._check_beginning()
            except BaseException:
                os.close(self._file)
                raise
        except BaseException:
            os.close(self._lock)
            raise

    def append(self, line: bytes) -> None:
        """Write a record's line. Raises OSError if there is no room; then none of it is there."""
        size = os.fstat(self._file).st_size
        if size and size + len(line) > self._max_bytes:
            self._rotate()
            size = 0
        try:
            written = os.write(self._file, line)
            if written < len(line):  # the disk is full: the next write says so
                os.write(self._file, line[written:])
            if self._sync:
                os.fdatasync(self._file)
        except OSError:
            os.ftruncate(self._file, size)
            raise
        if not self._noted:
            self._note_beginning(1)

    def close(self) -> None:
        """Another program may open them then."""
        os.close(self._file)
        os.close(self._lock)

    def _rotate(self) -> None:
        """Oldest first, so that a crash between two renames loses none.

        A newest file that is not the one we hold, or none, is what a try before has come to that
        had no room for another: to shift them once more, at every try, would push all of them out.
        """
        if self._holds_newest():
            self._shift()
        new = _open(self.path)
        os.close(self._file)
        self._file = new

    def _holds_newest(self) -> bool:
        try:
            return os.path.samestat(os.fstat(self._file), self.path.lstat())
        except FileNotFoundError:
            return False

    def _check_beginning(self) -> None:
        """Note where it begins, if nothing does yet. Raises UsageError if that is not there."""
        files = files_of(self.path)
        first = next((n for n in map(_first_number, files) if n is not None), None)
        if why := missing(self.path, files, first):
            raise _no_log(self.path, why)
        self._noted = noted(self.path) is not None
        if first and not self._noted:
            self._note_beginning(first)

    def _note_beginning(self, oldest: int) -> None:
        """Only once the record is on the disk: a power cut must not leave the note without it.

        Where there is no room for it, the next record tries again.
        """
        with suppress(OSError):
            os.fdatasync(self._file)
            note(self._lock, oldest)
            self._noted = True

    def _take_oldest_away(self) -> None:
        """The file that the next shift has no room for, and those that a larger ``keep`` has left.

        Noted before, what will be the oldest; and the oldest first, so that a crash leaves no gap.
        """
        going = list(takewhile(Path.exists, map(self._older, count(self._keep))))
        if not going:
            return
        staying = [file for file in files_of(self.path) if file not in going]
        if oldest := next(filter(None, map(_first_number, staying)), None):
            note(self._lock, oldest)
        for file in reversed(going):
            file.unlink()

    def _older(self, number: int) -> Path:
        return self.path.with_name(f"{self.path.name}.{number}")

    def _shift(self) -> None:
        self._take_oldest_away()
        older = [self._older(number) for number in range(self._keep, 0, -1)]
        for to, source in zip(older, [*older[1:], self.path], strict=True):
            if source.exists():
                source.replace(to)

    def _mend(self) -> int:
        """Cut an unfinished record off the end; answers how many bytes it had.

        Raises:
            UsageError: what stands at the end was not begun as a record: the file is another's.
        """
        size = os.fstat(self._file).st_size
        tail = os.pread(self._file, _LONGEST_LINE, max(0, size - _LONGEST_LINE))
        torn = tail[tail.rfind(b"\n") + 1 :]
        if not torn.startswith(_BEGINNING[: len(torn)]):
            raise _no_log(self.path, "its last line is no record, nor the beginning of one")
        if torn:
            os.ftruncate(self._file, size - len(torn))
        return len(torn)

    def _last(self) -> tuple[int, str]:
        """Number and chain value of the newest record, wherever it is."""
        for path in reversed(files_of(self.path)):
            with path.open("rb") as file:
                file.seek(max(0, path.stat().st_size - _LONGEST_LINE))
                lines = file.read().splitlines()
            if lines:
                try:
                    decision, chain = opened(lines[-1])
                except ValueError as error:
                    raise _no_log(path, f"of its last line, {error}") from error
                return decision.number, chain
        return 0, FIRST


def _first_number(path: Path) -> int | None:
    """The number of a file's first record; None if it is empty, 0 if that line does not hold."""
    try:
        with path.open("rb") as file:
            line = file.readline(_LONGEST_LINE)
    except OSError as error:
        raise disk_error(error, path) from error
    if not line:
        return None
    try:
        return opened(line[:-1])[0].number
    except ValueError:
        return 0


def _no_log(path: Path, why: str) -> UsageError:
    return UsageError(
        f"{path} is no audit log that can be continued: {why}.",
        f"edge audit verify {path}   # then keep it, and begin another",
    )


def _open(path: Path) -> int:
    """The file for appending, the owner's alone."""
    flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
    try:
        descriptor = os.open(path, flags, 0o600)
    except OSError as error:
        raise disk_error(error, path) from error
    try:
        _own(descriptor, path)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _own(descriptor: int, path: Path) -> None:
    """Make a new file ours for good."""
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        raise UsageError(f"{path} is not an ordinary file.", "Name a file of yours.")
    try:
        os.fchmod(descriptor, 0o600)
        folder = os.open(path.parent, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(folder)  # a new name is data of the folder's
        finally:
            os.close(folder)
    except OSError as error:
        raise disk_error(error, path) from error


def _locked(path: Path) -> int:
    """A lock beside the log, which stays where it is when the log's files change their names."""
    lock = lock_of(path)
    try:
        descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    except OSError as error:
        raise disk_error(error, path) from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(descriptor)
        raise UsageError(
            f"Another program writes {path}.", "Give each program an audit log of its own."
        ) from error
    return descriptor

"""The files of an audit log: appended to, mended, and made way for.

A record is one ``write`` to a file opened for appending, synced before ``append`` returns. What a
crash leaves of an unfinished line is cut off by the next start. When the file has reached its size
it becomes ``NAME.1``, that one ``NAME.2``, and the oldest goes: the log takes
``max_bytes * (keep + 1)`` of the disk at most. Files are the owner's alone (0600). A file that is
no audit log is recognised before anything is touched, and one that does not hold is continued
(``standing``).
"""

from __future__ import annotations

import fcntl
import os
from contextlib import suppress
from itertools import count, takewhile
from pathlib import Path

from edge_sdk.audit.beginning import lock_of, note, noted
from edge_sdk.audit.chain import files_of, opened
from edge_sdk.audit.standing import LONGEST_LINE, older, recognise, standing, tail
from edge_sdk.errors import UsageError
from edge_sdk.files import disk_error

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
        broken: what did not hold then; empty if what was looked at did.

    Raises:
        UsageError: another program has it open, it is no audit log, or it cannot be written. What
            is there is then as it was.
        UnavailableError: there is no room.
    """

    def __init__(self, path: Path, *, max_bytes: int, keep: int, sync: bool) -> None:
        self.path = path
        self._max_bytes, self._keep, self._sync = max_bytes, keep, sync
        recognise(path, keep)
        self._lock, made = _locked(path)
        try:
            self._file = _open(path)
            try:
                recognise(path, keep)  # nobody else writes it from here on
                _own(self._file, path)
                self.torn = self._mend()
                found = standing(path)
                self.number, self.chain, self.broken = found.number, found.chain, found.broken
                self._noted = noted(path) is not None
                if found.oldest and not self._noted:
                    self._note_beginning(found.oldest)
            except BaseException:
                os.close(self._file)
                raise
        except BaseException:
            if made:
                lock_of(path).unlink(missing_ok=True)
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
        _own(new, self.path)
        os.close(self._file)
        self._file = new

    def _holds_newest(self) -> bool:
        try:
            return os.path.samestat(os.fstat(self._file), self.path.lstat())
        except FileNotFoundError:
            return False

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
        going = list(takewhile(Path.exists, (older(self.path, n) for n in count(self._keep))))
        if not going:
            return
        staying = [file for file in files_of(self.path) if file not in going]
        if oldest := next(filter(None, map(_first_number, staying)), None):
            note(self._lock, oldest)
        for file in reversed(going):
            file.unlink()

    def _shift(self) -> None:
        self._take_oldest_away()
        names = [older(self.path, number) for number in range(self._keep, 0, -1)]
        for to, source in zip(names, [*names[1:], self.path], strict=True):
            if source.exists():
                source.replace(to)

    def _mend(self) -> int:
        """Cut an unfinished record off the end; answers how many bytes it had.

        Anything else that stands there, as zeros after a power cut, becomes a line of its own that
        does not hold.
        """
        torn = tail(self.path)
        if not torn:
            return 0
        if not torn.startswith(_BEGINNING[: len(torn)]):
            os.write(self._file, b"\n")
            return 0
        os.ftruncate(self._file, os.fstat(self._file).st_size - len(torn))
        return len(torn)


def _first_number(path: Path) -> int | None:
    """The number of a file's first record; None if it is empty, 0 if that line does not hold."""
    try:
        with path.open("rb") as file:
            line = file.readline(LONGEST_LINE)
    except OSError as error:
        raise disk_error(error, path) from error
    if not line:
        return None
    try:
        return opened(line[:-1])[0].number
    except ValueError:
        return 0


def _open(path: Path) -> int:
    """The file for appending."""
    flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
    try:
        return os.open(path, flags, 0o600)
    except OSError as error:
        raise disk_error(error, path) from error


def _own(descriptor: int, path: Path) -> None:
    """Make a file the owner's alone, and its name stay after a power cut."""
    try:
        os.fchmod(descriptor, 0o600)
        folder = os.open(path.parent, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(folder)  # a new name is data of the folder's
        finally:
            os.close(folder)
    except OSError as error:
        raise disk_error(error, path) from error


def _locked(path: Path) -> tuple[int, bool]:
    """A lock beside the log, which stays where it is when the log's files change their names.

    Answers also whether it was made by this.
    """
    lock = lock_of(path)
    flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
    while True:
        made = not lock.exists()
        try:
            descriptor = os.open(lock, flags, 0o600)
        except OSError as error:
            raise disk_error(error, path) from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(descriptor)
            raise UsageError(
                f"Another program writes {path}.", "Give each program an audit log of its own."
            ) from error
        with suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(descriptor), lock.lstat()):
                return descriptor, made
        os.close(descriptor)  # who had made it was refused its log, and has taken it away

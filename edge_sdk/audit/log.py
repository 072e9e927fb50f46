"""The log itself: whole lines, appended one at a time, by one program at a time.

A record is one ``write`` to a file opened for appending, synced before ``record`` returns. What a
crash leaves of an unfinished line is cut off by the next start, which says so in its first record.
When the file has reached its size it becomes ``NAME.1``, that one ``NAME.2``, and the oldest goes:
the log takes ``max_bytes * (keep + 1)`` of the disk at most. Files are the owner's alone (0600).
"""

from __future__ import annotations

import fcntl
import os
import platform
import stat
from collections.abc import Callable, Mapping
from datetime import datetime, timezone
from hashlib import sha256
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import msgspec
import numpy as np

from edge_sdk.audit.chain import FIRST, files_of, opened, sealed
from edge_sdk.closing import Closing
from edge_sdk.errors import UsageError
from edge_sdk.files import disk_error
from edge_sdk.processing import Mask
from edge_sdk.spec import (
    Area,
    ArrayDigest,
    Boxes,
    Classes,
    Decision,
    Identity,
    OutputDigests,
    Placed,
)

if TYPE_CHECKING:
    from edge_sdk.explain import Explanation
    from edge_sdk.runtime import Session

MAX_BYTES = 16 << 20
KEEP = 4
_LONGEST_LINE = 1 << 20
_BEGINNING = b'{"number":'


class AuditLog(Closing):
    """A log opened for writing. Use as a context manager, or ``close``. Safe between threads."""

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        max_bytes: int = MAX_BYTES,
        keep: int = KEEP,
        sync: bool = True,
        clock: Callable[[], datetime] = lambda: datetime.now(timezone.utc),
    ) -> None:
        """Open a log, or begin one.

        Args:
            path: of its newest file; beside it lie ``NAME.1`` … and ``NAME.lock``.
            max_bytes: of one file.
            keep: how many older files stay.
            sync: wait for the disk at every record. Without, a power cut may take the last seconds
                of records with it; a crash of the program takes none.
            clock: tells the time, with its zone.

        Raises:
            UsageError: another program has it open, it is no audit log, or it cannot be written.
            UnavailableError: there is no room.
        """
        if max_bytes < 1 or keep < 1:
            raise UsageError("An audit log needs room.", "AuditLog(…, max_bytes=16 << 20, keep=4)")
        self.path = Path(path).absolute()  # it is renamed later, wherever the program is then
        self._max_bytes, self._keep, self._sync, self._clock = max_bytes, keep, sync, clock
        self._mutex = Lock()
        self._known: WeakKeyDictionary[Session, tuple[Identity, Placed]] = WeakKeyDictionary()
        self._lock = _locked(self.path)
        try:
            self._file = _open(self.path)
            try:
                self._torn = self._mend()
                self._number, self._chain = self._last()
            except BaseException:
                os.close(self._file)
                raise
        except BaseException:
            os.close(self._lock)
            raise
        self._closed = False

    @property
    def head(self) -> str:
        """The chain value of the newest record; noted elsewhere, it seals all before it."""
        return self._chain

    def record(
        self,
        session: Session,
        inputs: Any,
        answer: Any,
        *,
        explanation: Explanation | None = None,
        source_sha256: str = "",
        index: int = 0,
        note: str = "",
        lost: int = 0,
    ) -> Decision:
        """Write down one decision. When this returns, it is on the disk.

        Args:
            session: what answered.
            inputs: the picture or the arrays it was asked about; only their digests are kept.
            answer: of ``session.predict``, or ``run``.
            explanation: of the same picture.
            source_sha256, index, note: see ``Decision``.
            lost: answers before this one whose record could not be written, if the caller went on
                all the same.

        Raises:
            UsageError: the log is closed, or its folder is not to be written any more.
            UnavailableError: there is no room; nothing was written.
        """
        with self._mutex:
            if self._closed:
                raise UsageError("The audit log is closed.", "Open it again: AuditLog(path)")
            if session not in self._known:
                self._known[session] = session.identity, _placed(session)
            model, placement = self._known[session]
            decision = Decision(
                number=self._number + 1,
                previous=self._chain,
                time=self._clock().astimezone(timezone.utc).isoformat(timespec="milliseconds"),
                host=platform.node(),
                model=model,
                variant=session.variant,
                placement=placement,
                inputs=_inputs(inputs),
                answer=_answer(answer),
                source_sha256=source_sha256,
                index=index,
                explanation=None if explanation is None else explanation.word(),
                note=note,
                torn_bytes=self._torn,
                lost=lost,
            )
            line, chain = sealed(decision)
            try:
                self._append(line)
            except OSError as error:
                raise disk_error(error, self.path) from error
            self._number, self._chain, self._torn = decision.number, chain, 0
            return decision

    def close(self) -> None:
        """Close it; another program may open it then."""
        with self._mutex:
            if not self._closed:
                self._closed = True
                os.close(self._file)
                os.close(self._lock)

    def _append(self, line: bytes) -> None:
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

    def _shift(self) -> None:
        older = [f"{self.path.name}.{number}" for number in range(self._keep, 0, -1)]
        for to, name in zip(older, [*older[1:], self.path.name], strict=True):
            source = self.path.with_name(name)
            if source.exists():
                source.replace(self.path.with_name(to))

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
    lock = path.with_name(f"{path.name}.lock")
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


def _placed(session: Session) -> Placed:
    found = session.placement
    return Placed(
        backend=found.backend,
        backend_version=found.backend_version,
        requested=found.requested,
        actual=found.actual,
        threads=found.threads,
        fallback=found.fallback,
    )


def _inputs(inputs: Any) -> dict[str, ArrayDigest]:
    arrays = inputs if isinstance(inputs, Mapping) else {"picture": inputs}
    return {str(name): _digest(np.asarray(array)) for name, array in arrays.items()}


def _answer(answer: Any) -> Classes | Boxes | Area | OutputDigests:
    if isinstance(answer, Mask):
        return answer.area()
    if isinstance(answer, Mapping):
        return OutputDigests(outputs={n: _digest(np.asarray(a)) for n, a in answer.items()})
    if isinstance(answer, Classes | Boxes | Area):
        return answer
    raise UsageError(
        f"A {type(answer).__name__} is no answer of a session's.", "Pass what predict or run gave."
    )


def _digest(array: np.ndarray[Any, Any]) -> ArrayDigest:
    text = array.dtype.hasobject
    data = msgspec.json.encode(array.tolist()) if text else np.ascontiguousarray(array).data
    return ArrayDigest(
        dtype="string" if text else array.dtype.name,
        shape=array.shape,
        sha256=sha256(data).hexdigest(),
    )

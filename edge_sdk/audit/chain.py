"""The chain of an audit log: each line holds the digest of the one before, and its own.

A line is a ``Decision`` in JSON with one field more at its end::

    {"number":2,"previous":"<chain of line 1>",…,"chain":"<SHA-256 of this line without its chain>"}

So a line that was changed is found where it is; one that was taken away, put in or moved is found
at the next; one that is missing at the front by the number that was noted (``beginning``); one cut
off at the end by the chain value that somebody has noted elsewhere (``head``).
Who may write the file can forge all of it from some line on, but not so that it still contains a
value noted before.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import msgspec

from edge_sdk.audit.beginning import missing, noted, unchecked
from edge_sdk.errors import UsageError
from edge_sdk.spec import Decision, Word
from edge_sdk.spec.codec import UNREADABLE

FIRST = "0" * 64
"""What stands for the chain of a record before the first."""
_LINK = re.compile(rb',"chain":"([0-9a-f]{64})"\}\Z')
_LINK_LENGTH = len(b',"chain":""}') + len(FIRST)


class BadLine(Word, frozen=True, kw_only=True):
    """The first line that does not hold."""

    file: str
    line: int
    why: str


class AuditReport(Word, frozen=True, kw_only=True):
    """What ``edge audit verify --json`` prints.

    Attributes:
        path: of the log.
        files: all that there is of it, oldest first.
        records: how many hold, from the beginning to the first line that does not.
        first, last: number and time of the first and the last of these; None if there are none.
        lost: answers that, by what the records say, could not be recorded.
        head: the chain value of the last: note it elsewhere.
        bad: the first line that does not hold; None if all do.
        passed: whether all do, and the value that was noted is in it.
        unchecked: what was not, since it is not there any more; empty if nothing.
        after: how many hold behind the first line that does not: the log was continued.
        more_bad: how many lines there do not hold either.
    """

    path: str
    files: tuple[str, ...]
    records: int
    first: tuple[int, str] | None
    last: tuple[int, str] | None
    head: str
    bad: BadLine | None
    passed: bool
    lost: int = 0
    unchecked: str = ""
    after: int = 0
    more_bad: int = 0


class Reading:
    """A log as it is read: each line is held against the one before.

    Attributes:
        number, time, chain: of the newest record that was whole; 0 and ``FIRST`` before any.
    """

    def __init__(self) -> None:
        self.number, self.time, self.chain = 0, "", FIRST
        self._next_to = True

    def skip(self) -> None:
        """What comes next does not stand right behind what was read."""
        self._next_to = False

    def take(self, line: bytes) -> Decision:
        """The record in a line.

        Raises:
            ValueError: it does not hold; says why. Reading goes on behind it all the same.
        """
        number, chain, next_to = self.number, self.chain, self._next_to
        self._next_to = False
        decision, own = opened(_whole(line))
        self.number, self.time, self.chain = decision.number, decision.time, own
        self._next_to = True
        if number:
            _follows(decision, number, chain if next_to else None)
        return decision


def sealed(decision: Decision) -> tuple[bytes, str]:
    """The line of a record, with its newline, and its chain value."""
    body = msgspec.json.encode(decision, order="deterministic")
    chain = sha256(body).hexdigest()
    return b'%s,"chain":"%s"}\n' % (body[:-1], chain.encode()), chain


def opened(line: bytes) -> tuple[Decision, str]:
    """A record and its chain value, from its line without the newline.

    Raises:
        ValueError: it is not such a line, or is not as it was written; says why.
    """
    link = _LINK.search(line, max(0, len(line) - _LINK_LENGTH))
    if link is None:
        raise ValueError("it is no whole record: it has no chain value at its end")
    body, chain = line[: link.start()] + b"}", link[1].decode()
    if sha256(body).hexdigest() != chain:
        raise ValueError("it was changed: its chain value is that of another line")
    try:
        return msgspec.json.decode(body, type=Decision), chain
    except UNREADABLE as error:
        raise ValueError(f"it is no record: {error}") from error


def files_of(path: Path) -> list[Path]:
    """The files of a log, oldest first: ``NAME.2``, ``NAME.1``, ``NAME``."""
    older = []
    for file in path.parent.glob("*"):
        suffix = file.name.removeprefix(f"{path.name}.")
        if suffix != file.name and suffix.isascii() and suffix.isdecimal():
            older.append((int(suffix), file))
    found = [file for _, file in sorted(older, reverse=True)]
    return [*found, path] if path.exists() else found


def verify(path: Path, head: str | None = None) -> AuditReport:
    """Read a whole log and hold each line against the one before, also behind one that is bad.

    The oldest files may have been taken away by rotation: the first record's ``previous`` is then
    believed, and ``unchecked`` says so.

    Args:
        path: of its newest file.
        head: a chain value that was noted before and must still be in it.

    Raises:
        UsageError: there is no such log and there was none, or it cannot be read.
    """
    if head is not None and re.fullmatch("[0-9a-f]{64}", head) is None:
        raise UsageError(f"{head!r} is no chain value.", "It has 64 digits of 0-9 and a-f.")
    files = files_of(path)
    if not files and noted(path) is None:
        raise UsageError(f"There is no audit log at {path}.", "Check the path.")
    reading, records, lost, after, seen = Reading(), 0, 0, 0, head is None
    first, last, chain = None, None, ""
    bad: list[BadLine] = []
    for file, number, line in _lines(files):
        try:
            decision = reading.take(line)
            lost += decision.lost
            if not records and not bad:
                _begins(decision, path, files)
            _held(decision)
        except ValueError as error:
            bad.append(BadLine(file=str(file), line=number, why=str(error)))
            continue
        if bad:
            after += 1
            continue
        records, chain, last = records + 1, reading.chain, (reading.number, reading.time)
        first, seen = first or last, seen or chain == head
    if not bad and first is None and (why := missing(path, files, None)):
        bad.append(BadLine(file=str(path), line=0, why=why))
    if not bad and not seen:
        why = "no line has the chain value that was noted: records were rewritten or taken away"
        bad.append(BadLine(file=str(path), line=0, why=why))
    return AuditReport(
        path=str(path),
        files=tuple(map(str, files)),
        records=records,
        first=first,
        last=last,
        head=chain,
        bad=bad[0] if bad else None,
        passed=not bad,
        lost=lost,
        unchecked=unchecked(path, first[0]) if first else "",
        after=after,
        more_bad=max(0, len(bad) - 1),
    )


def _lines(files: list[Path]) -> Iterator[tuple[Path, int, bytes]]:
    for path in files:
        try:
            with path.open("rb") as file:
                for number, line in enumerate(file, start=1):
                    yield path, number, line
        except OSError as error:
            raise UsageError(f"{path} cannot be read: {error.strerror}.", "ls -l") from error


def _whole(line: bytes) -> bytes:
    if not line.endswith(b"\n"):
        raise ValueError("it is cut off: what wrote it was stopped; the next to write mends that")
    return line[:-1]


def _begins(decision: Decision, path: Path, files: list[Path]) -> None:
    """Whether a record may be the first of a log. Raises ValueError if not."""
    if decision.number == 1 and decision.previous != FIRST:
        raise ValueError("it is the first, and says that one was before it")
    if why := missing(path, files, decision.number):
        raise ValueError(why)


def _held(decision: Decision) -> None:
    """Whether the log held when a record was written. Raises ValueError if not."""
    if decision.broken:
        raise ValueError(f"when it was written, the log did not hold: {decision.broken}")


def _follows(decision: Decision, before: int, chain: str | None) -> None:
    """Whether a record is the next one. Raises ValueError if not.

    Args:
        before, chain: number of the last record that was whole, and its chain value; None if
            something stands in between.
    """
    if decision.number <= before or (chain is not None and decision.number != before + 1):
        raise ValueError(f"it is number {decision.number} after number {before}")
    if chain is not None and decision.previous != chain:
        raise ValueError("it was written after another line than the one before it")

"""How a log stands when it is to be continued: is it one, where does it end, and does it hold?

Three questions, before anything of it is touched:

* Is it an audit log? Every file of it begins or ends with a whole record. What does not is
  somebody else's, and refused.
* Where does it end? The newest record that is whole; what stands behind it unfinished is ``tail``.
* Does it hold? Looked at are its beginning, how each file follows the one before, and every line
  of the newest ``LOOKED_AT`` bytes: that is bounded, where ``verify`` reads all. A log that does
  not hold is continued all the same, since no record may be lost for an old break; the first
  record behind it says so (``Decision.broken``), and ``verify`` never calls it whole again.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count, takewhile
from pathlib import Path
from typing import BinaryIO

from edge_sdk.audit.beginning import is_lock, lock_of, missing
from edge_sdk.audit.chain import Reading, files_of, opened
from edge_sdk.errors import UsageError
from edge_sdk.files import disk_error

LONGEST_LINE = 1 << 20
LOOKED_AT = 16 << 20
"""Bytes: as much as one file has by default, in a third of a second."""
_LONGEST_REASON = 300
_BEGUN = re.compile(rb'\{"number":\d+')
_PREVIOUS = re.compile(rb',"previous":"[0-9a-f]{0,64}"?(\Z|,)')


@dataclass(frozen=True)
class Standing:
    """What there is.

    Attributes:
        number, chain: of its newest record; 0 and ``FIRST`` if there is none.
        oldest: number of its oldest record; 0 if there is none, or it is not the right one.
        broken: what does not hold, of what was looked at; empty if all does.
    """

    number: int
    chain: str
    oldest: int
    broken: str


def older(path: Path, number: int) -> Path:
    """The file that the newest becomes when it is full, and so on."""
    return path.with_name(f"{path.name}.{number}")


def recognise(path: Path, keep: int) -> None:
    """See that what is there is an audit log's, without touching it.

    Raises:
        UsageError: a file that would be written, renamed or removed is somebody else's.
    """
    rest = takewhile(lambda file: file.exists(), (older(path, n) for n in count(keep + 1)))
    for file in (path, *(older(path, n) for n in range(1, keep + 1)), *rest):
        if _is_there(file) and not _is_log(file):
            raise no_log(file, "neither its first line nor its last is a record")
    lock = lock_of(path)
    if _is_there(lock):
        with _reading(lock) as held:
            if not is_lock(os.pread(held.fileno(), LONGEST_LINE, 0)):
                raise UsageError(
                    f"{lock} would be the audit log's lock, and is no lock file.",
                    "Name another file for the audit log.",
                )


def standing(path: Path) -> Standing:
    """Read what is looked at, line by line. Raises UsageError if it cannot be read."""
    files = [file for file in files_of(path) if _is_log(file)]  # and no copies of other people's
    reading, first, broken = Reading(), None, ""
    for file, line in _looked_at(files):
        if line is None:
            reading.skip()
            continue
        why = ""
        try:
            reading.take(line)
        except ValueError as error:
            why = f"{file.name}: {error}"
        if first is None:
            first = 0 if why else reading.number
        broken = broken or why
    if why := missing(path, files, first):
        first, broken = 0, f"{path.name}: {why}"
    return Standing(reading.number, reading.chain, first or 0, broken[:_LONGEST_REASON])


def no_log(path: Path, why: str) -> UsageError:
    """What is said of a file that is none of ours."""
    return UsageError(
        f"{path} is no audit log that can be continued: {why}.",
        "Name another file for the audit log.",
    )


def tail(path: Path) -> bytes:
    """What stands behind the last whole line of a file."""
    with _reading(path) as file:
        size = os.fstat(file.fileno()).st_size
        end = os.pread(file.fileno(), LONGEST_LINE, max(0, size - LONGEST_LINE))
    return end[end.rfind(b"\n") + 1 :]


def _is_there(path: Path) -> bool:
    """Whether a name is taken. Raises UsageError if by no ordinary file."""
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return False
    except OSError as error:
        raise disk_error(error, path) from error
    if not stat.S_ISREG(mode):
        raise UsageError(f"{path} is not an ordinary file.", "Name a file of yours.")
    return True


def _is_log(path: Path) -> bool:
    """Whether it begins or ends with a whole record, or is empty or a first record's beginning."""
    with _reading(path) as file:
        size = os.fstat(file.fileno()).st_size
        begin = os.pread(file.fileno(), LONGEST_LINE, 0)
        end = os.pread(file.fileno(), LONGEST_LINE, max(0, size - LONGEST_LINE))
    if b"\n" not in begin:
        return _is_begun(begin)
    first, last = begin[: begin.index(b"\n")], end[: end.rfind(b"\n") + 1].splitlines()[-1:]
    return any(map(_is_whole, (first, *last)))


def _is_whole(line: bytes) -> bool:
    try:
        opened(line)
    except ValueError:
        return False
    return True


def _is_begun(content: bytes) -> bool:
    """Whether a record may have been cut off there, or nothing was written at all."""
    begun = _BEGUN.match(content)
    if begun is None:
        return b'{"number":'.startswith(content)
    rest = content[begun.end() :]
    return b',"previous":"'.startswith(rest) or _PREVIOUS.match(rest) is not None


def _looked_at(files: list[Path]) -> Iterator[tuple[Path, bytes | None]]:
    """Lines, oldest first; None stands for some that are left out."""
    sizes = [file.stat().st_size for file in files]
    for at, (file, size) in enumerate(zip(files, sizes, strict=True)):
        newer = sum(sizes[at + 1 :])
        left_out = size - max(LOOKED_AT - newer, LONGEST_LINE)
        with _reading(file) as lines:
            if left_out > 0:
                yield file, lines.readline(LONGEST_LINE)
                if lines.tell() < left_out:
                    yield file, None
                    lines.seek(left_out)
                    lines.readline()  # the end of one that is left out
            for line in lines:
                yield file, line


@contextmanager
def _reading(path: Path) -> Iterator[BinaryIO]:
    try:
        with path.open("rb") as file:
            yield file
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}.", "ls -l") from error

"""Where an audit log begins: noted in its lock file, since a chain cannot tell what was before it.

``NAME.lock`` holds, from the first record on, the number of the oldest record that is still there::

    {"oldest":1}

Rotation writes a higher one before it takes the oldest file away. So records that are missing from
the front, and not by rotation, are noticed, also when the log is empty or gone. What was copied
without its lock file is judged by its names: rotation leaves ``NAME.1`` behind, so where there is
none, the first record must be number 1.
"""

from __future__ import annotations

import os
from pathlib import Path

import msgspec

from edge_sdk.spec.codec import UNREADABLE

_LONGEST = 100


class Beginning(msgspec.Struct, frozen=True):
    """What is noted."""

    oldest: int


def lock_of(path: Path) -> Path:
    """The lock file of a log."""
    return path.with_name(f"{path.name}.lock")


def noted(path: Path) -> int | None:
    """The number that the log at ``path`` begins with at most; None if nothing says it."""
    try:
        with lock_of(path).open("rb") as file:
            return msgspec.json.decode(file.read(_LONGEST), type=Beginning).oldest
    except (OSError, *UNREADABLE):
        return None


def is_lock(content: bytes) -> bool:
    """Whether that is what a lock file holds: a note, or what a power cut leaves of one."""
    if not content.strip(b"\0 "):
        return True
    try:
        msgspec.json.decode(content, type=Beginning)
    except UNREADABLE:
        return False
    return True


def note(lock: int, oldest: int) -> None:
    """Write it into an open lock file, durably. Raises OSError."""
    line = msgspec.json.encode(Beginning(oldest))
    os.pwrite(lock, line.ljust(_LONGEST), 0)  # one write of one length: none before shines through
    os.fdatasync(lock)


def missing(path: Path, files: list[Path], first: int | None) -> str:
    """Why the beginning of a log does not hold; empty if it does.

    Args:
        path: of the log.
        files: all that there is of it, oldest first.
        first: the number of its first record; None if it has none.
    """
    oldest = noted(path)
    if first is None:
        return "" if oldest is None else "it had records, and has none: they were taken away"
    if oldest is None:
        oldest = 1 if files == [path] else first
    if first <= oldest:
        return ""
    return f"it is number {first}, and the log begins with {oldest}: those before were taken away"


def unchecked(path: Path, first: int) -> str:
    """What a log that begins with this number leaves open; empty if nothing."""
    if first == 1:
        return ""
    before = "record 1 is" if first == 2 else f"records 1 to {first - 1} are"
    if noted(path) is not None:
        return f"{before} not in it: rotation took the oldest files away, and noted that it did"
    return (
        f"{before} not in it: rotation may have taken them, but without {lock_of(path).name} "
        "nothing says so"
    )

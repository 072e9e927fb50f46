"""A folder for what engines make, and for what they leave lying about.

Whoever is killed leaves it behind. So each is locked as long as its owner lives, and the next one
removes those that are not. It gets its name when it has its lock, so that one without is a dead
one's.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from edge_sdk.errors import UnavailableError

_PREFIX, _UNLOCKED = "edgeloop-work-", "edgeloop-new-"
_YOUNG_S = 60
"""A folder that is not locked yet is, within that time."""


@contextmanager
def workshop() -> Iterator[Path]:
    """A folder that is gone afterwards, whatever happens.

    Raises:
        UnavailableError: there is nowhere to make one.
    """
    try:
        made = Path(tempfile.mkdtemp(prefix=_UNLOCKED))
        lock = os.open(made, os.O_RDONLY | os.O_DIRECTORY)
        fcntl.flock(lock, fcntl.LOCK_EX)
        folder = made.rename(made.with_name(made.name.replace(_UNLOCKED, _PREFIX)))
    except OSError as error:
        raise UnavailableError(
            f"There is no folder for temporary files: {error.strerror}.",
            "TMPDIR=/a/folder/with/room edge convert …",
        ) from error
    try:
        _sweep(folder)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(lock)


def _sweep(mine: Path) -> None:
    """Remove the folders of those that were killed and could not: nobody holds their locks."""
    for prefix, age_s in ((_PREFIX, 0), (_UNLOCKED, _YOUNG_S)):
        for folder in mine.parent.glob(f"{prefix}*"):
            if folder != mine:
                with suppress(OSError):
                    _remove_abandoned(folder, age_s)


def _remove_abandoned(folder: Path, age_s: int) -> None:
    lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        found = os.fstat(lock)
        if found.st_uid == os.getuid() and time.time() - found.st_mtime >= age_s:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(folder, ignore_errors=True)
    finally:
        os.close(lock)


@contextmanager
def tidied() -> Iterator[None]:
    """Every temporary file of this process goes into a workshop: engines that fail leave theirs.

    For a program of our own; another's may have temporary files that are to stay.
    """
    with workshop() as folder:
        before, tempfile.tempdir = tempfile.tempdir, str(folder)
        try:
            yield
        finally:
            tempfile.tempdir = before

"""A folder for what engines make, and for what they leave lying about.

Whoever is killed leaves it behind. So each is locked as long as its owner lives, and the next one
removes those that are not.
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

_PREFIX = "edgeloop-work-"
_YOUNG_S = 60


@contextmanager
def workshop() -> Iterator[Path]:
    """A folder that is gone afterwards, whatever happens.

    Raises:
        UnavailableError: there is nowhere to make one.
    """
    try:
        folder = tempfile.TemporaryDirectory(prefix=_PREFIX, ignore_cleanup_errors=True)
        lock = os.open(folder.name, os.O_RDONLY | os.O_DIRECTORY)
        fcntl.flock(lock, fcntl.LOCK_EX)
    except OSError as error:
        raise UnavailableError(
            f"There is no folder for temporary files: {error.strerror}.",
            "TMPDIR=/a/folder/with/room edge convert …",
        ) from error
    _sweep(Path(folder.name))
    try:
        with folder as name:
            yield Path(name)
    finally:
        os.close(lock)


def _sweep(mine: Path) -> None:
    """Remove the folders of those that were killed and could not do it: nobody holds their locks.

    One that is younger than a minute may be about to be locked.
    """
    for folder in mine.parent.glob(f"{_PREFIX}*"):
        with suppress(OSError):
            lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
            try:
                old = time.time() - os.fstat(lock).st_mtime > _YOUNG_S
                if folder != mine and old and os.fstat(lock).st_uid == os.getuid():
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

"""A folder for what engines make, and for what they leave lying about."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from edge_sdk.errors import UnavailableError


@contextmanager
def workshop() -> Iterator[Path]:
    """A folder that is gone afterwards, whatever happens.

    Raises:
        UnavailableError: there is nowhere to make one.
    """
    try:
        folder = tempfile.TemporaryDirectory(prefix="edgeloop-", ignore_cleanup_errors=True)
    except OSError as error:
        raise UnavailableError(
            f"There is no folder for temporary files: {error.strerror}.",
            "TMPDIR=/a/folder/with/room edge convert …",
        ) from error
    with folder as name:
        yield Path(name)


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

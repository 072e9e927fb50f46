"""Blobs: the bytes of everything published, each under its SHA-256.

A blob never changes, so it can be cached, copied and served from anywhere, and putting it twice
does no harm. ``Blobs`` is the seam; a folder is the default.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Protocol

from edge_sdk.errors import UnavailableError
from edge_sdk.files import disk_error, sha256, sha256_file, whole_file


class Blobs(Protocol):
    """A content-addressed store."""

    def put(self, content: bytes) -> str:
        """Keep the bytes, durably; answers their hex SHA-256."""

    def size(self, digest: str) -> int | None:
        """How many bytes it has; None if it is not here."""

    def open_range(self, digest: str, offset: int, length: int) -> bytes:
        """Bytes of a blob from ``offset``; fewer than ``length`` at its end.

        Raises:
            UnavailableError: the store does not give them.
        """


class FolderBlobs:
    """Blobs as files, ``ab/abcdef…``: two letters first, so that no folder grows too long."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def put(self, content: bytes) -> str:
        """Keep the bytes; a copy that went bad on the disk is replaced."""
        digest = sha256(content)
        path = self._path(digest)
        try:
            if path.is_file() and sha256_file(path) == digest:
                return digest
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise disk_error(error, path) from error
        with whole_file(path) as file:
            file.write(content)
        return digest

    def size(self, digest: str) -> int | None:
        """How many bytes it has; None if it is not here."""
        try:
            return self._path(digest).stat().st_size
        except FileNotFoundError:
            return None

    def open_range(self, digest: str, offset: int, length: int) -> bytes:
        """Bytes of a blob from ``offset``; fewer than ``length`` at its end."""
        path = self._path(digest)
        try:
            descriptor = os.open(path, os.O_RDONLY)
            try:
                return os.pread(descriptor, length, offset)
            finally:
                os.close(descriptor)
        except OSError as error:
            raise UnavailableError(
                f"The blob {path} cannot be read: {error.strerror}.",
                "Publish the artifact again: edge fleet publish X.edge",
            ) from error

    def _path(self, digest: str) -> Path:
        return self._folder / digest[:2] / digest

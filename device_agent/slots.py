"""Slots: artifacts on this device's disk, each in a folder named by its digest.

    slots/DIGEST/manifest.json, golden.npz, baseline.json, variants/…     as in the artifact
    slots/DIGEST/.complete                                               written last

A slot without its mark is a download that is not finished; it is gone on with, never loaded. What
a slot holds never changes, so activating one is nothing but naming it, and going back is too.
"""

from __future__ import annotations

import shutil
from collections.abc import Collection
from pathlib import Path

from edge_sdk.files import disk_error, whole_file

_MARK = ".complete"
_DEAD = ".dead-"


class Slots:
    """The slots of one device. Use from one process: the state folder is locked."""

    def __init__(self, folder: Path) -> None:
        """Open, and finish removals that a crash interrupted.

        Raises:
            UsageError: the folder cannot be used.
        """
        self.folder = folder
        try:
            folder.mkdir(parents=True, exist_ok=True)
            for dead in folder.glob(f"{_DEAD}*"):
                shutil.rmtree(dead)
        except OSError as error:
            raise disk_error(error, folder) from error

    def path(self, digest: str) -> Path:
        """The slot of an artifact, whether it is there or not."""
        return self.folder / digest

    def is_complete(self, digest: str) -> bool:
        """Whether everything that this device needs of it is there."""
        return (self.path(digest) / _MARK).is_file()

    def prepare(self, digest: str) -> Path:
        """The slot's folder, made if need be. Raises UnavailableError if the disk is full."""
        path = self.path(digest)
        try:
            path.mkdir(exist_ok=True)
        except OSError as error:
            raise disk_error(error, path) from error
        return path

    def complete(self, digest: str, variant: str) -> None:
        """Mark a slot as complete, once every file is synced: from now on it may be loaded.

        Args:
            digest: of the artifact.
            variant: which of its variants is there, for people who look.

        Raises:
            UnavailableError: the disk is full.
        """
        with whole_file(self.path(digest) / _MARK) as file:
            file.write(f"{variant}\n".encode())

    @staticmethod
    def variant(slot: Path) -> str:
        """Which of its artifact's variants a complete slot holds; empty for any other folder."""
        try:
            return (slot / _MARK).read_text(encoding="utf-8").strip()
        except OSError:
            return ""

    def free_bytes(self) -> int:
        """Room on the slots' disk for a program like us."""
        return shutil.disk_usage(self.folder).free

    def collect(self, needed: Collection[str]) -> list[str]:
        """Remove every slot that is not needed; answers their digests.

        A slot first loses its name, so that no crash leaves half of one that looks whole.
        """
        removed = []
        for path in self.folder.iterdir():
            if path.name in needed or path.name.startswith(_DEAD):
                continue
            dead = path.with_name(f"{_DEAD}{path.name}")
            try:
                path.rename(dead)
                shutil.rmtree(dead)
            except OSError as error:
                raise disk_error(error, path) from error
            removed.append(path.name)
        return removed

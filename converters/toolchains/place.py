"""Where toolchains live, and whether one is there and whole.

A toolchain is a folder named after its lock file and its Python, so that two versions of edgeloop
do not fight over one. It counts as installed when the mark is in it, which is written last; it is
whole when its files are those the mark was written for.
"""

from __future__ import annotations

import fcntl
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import msgspec

from converters.toolchains.catalogue import Toolchain
from edge_sdk.errors import UnavailableError, UsageError
from edge_sdk.files import disk_error, sha256
from edge_sdk.spec import Word

HOME = "EDGELOOP_TOOLCHAINS"
MARK = "installed.json"

State = Literal["installed", "damaged", "missing"]


class Mark(Word, frozen=True, kw_only=True):
    """What is left in a toolchain when it is whole.

    Attributes:
        version, lock_sha256: of the toolchain.
        python: the version of its Python.
        census: digest of its files' names and sizes.
        size: bytes that they take.
    """

    version: str
    lock_sha256: str
    python: str
    census: str
    size: int


def home() -> Path:
    """The folder of all toolchains: ``$EDGELOOP_TOOLCHAINS``, else in the user's data folder."""
    if chosen := os.environ.get(HOME):
        return Path(chosen).expanduser().absolute()
    data = os.environ.get("XDG_DATA_HOME")
    try:
        root = Path(data) if data else Path.home() / ".local" / "share"
    except RuntimeError as error:
        raise UsageError(
            "This user has no home folder to keep toolchains in.", f"export {HOME}=/a/folder"
        ) from error
    return root.absolute() / "edgeloop" / "toolchains"


def folder_of(chain: Toolchain) -> Path:
    """The folder of a toolchain, there or not."""
    python = f"py{sys.version_info.major}{sys.version_info.minor}"
    return home() / f"{chain.name}-{chain.version}-{python}-{chain.lock_sha256[:12]}"


def python_of(folder: Path) -> Path:
    """The Python of a toolchain."""
    return folder / "bin" / "python"


def examine(chain: Toolchain) -> tuple[State, Mark | None]:
    """Whether a toolchain is there, and the mark it carries."""
    folder = folder_of(chain)
    try:
        mark = msgspec.json.decode((folder / MARK).read_bytes(), type=Mark)
    except FileNotFoundError:
        return "missing", None  # or half built, which comes to the same
    except (OSError, msgspec.DecodeError):
        return "damaged", None
    runs = os.access(python_of(folder), os.X_OK)
    whole = runs and mark.lock_sha256 == chain.lock_sha256 and census(folder)[0] == mark.census
    return ("installed" if whole else "damaged"), mark


def census(folder: Path) -> tuple[str, int]:
    """Digest of the names and sizes of a toolchain's files, and how many bytes they are.

    The mark and Python's caches, which come and go, do not count in the digest.
    """
    lines, total = [], 0
    for root, folders, names in os.walk(folder):
        folders.sort()
        for name in sorted(names):
            path = Path(root, name)
            size = path.lstat().st_size
            total += size
            if not (name == MARK and path.parent == folder) and path.parent.name != "__pycache__":
                lines.append(f"{path.relative_to(folder)} {size}\n")
    return sha256(os.fsencode("".join(lines))), total


def modules(chain: Toolchain, package: str) -> frozenset[str]:
    """The names of the modules in a package of a toolchain, as they lie on the disk."""
    found = folder_of(chain).glob(f"lib/python*/site-packages/{package}/*.py")
    return frozenset(path.stem for path in found)


@contextmanager
def locked(chain: Toolchain, *, shared: bool = False) -> Iterator[int]:
    """Hold a toolchain: alone to build or remove it, with others to use it. Yields a descriptor.

    Children that inherit the descriptor hold it too: should this process be killed, the next one
    waits until they have ended.

    Raises:
        UsageError: the folder cannot be written.
        UnavailableError: the disk is full.
    """
    place = home()
    path = place / f"{chain.name}.lock"
    try:
        place.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    except OSError as error:
        wrong = disk_error(error, path)
        if isinstance(wrong, UnavailableError):
            raise wrong from error
        raise UsageError(
            wrong.message, f"export {HOME}=/a/folder   # that you may write"
        ) from error
    try:
        kind = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
        try:
            fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
        except BlockingIOError:
            print(f"Waiting for another process with the toolchain {chain.name} …", file=sys.stderr)
            fcntl.flock(descriptor, kind)
        yield descriptor
    finally:
        os.close(descriptor)

"""Files that are whole or not there: digests, reading, writing that no crash leaves half done."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from edge_sdk.errors import EdgeError, UnavailableError, UsageError

_BLOCK_BYTES = 1 << 20


def cache_folder() -> Path:
    """Where edgeloop keeps what it can make again: ``$XDG_CACHE_HOME/edgeloop``.

    Who has no home (no HOME, and a user id without a name, as containers have them) has no cache
    either: it is then a folder that cannot be made, which costs what any such folder costs. Not one
    in ``/tmp``, where others could put what this process is to believe.
    """
    if root := os.environ.get("XDG_CACHE_HOME"):
        return Path(root) / "edgeloop"
    try:
        home = Path.home()
    except RuntimeError:
        home = Path(os.devnull)
    return home / ".cache" / "edgeloop"


def sha256(data: bytes) -> str:
    """Hex digest of bytes."""
    import hashlib  # brings OpenSSL, 4 MB: not for who only loads a bare model

    return hashlib.sha256(data).hexdigest()


def sha256_file(path: Path) -> str:
    """Hex digest of a file's bytes, read in blocks."""
    import hashlib

    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK_BYTES):
            digest.update(block)
    return digest.hexdigest()


def sha256_tree(path: Path) -> str:
    """Hex digest of a file, or of a folder: of its files' relative names and digests, sorted."""
    if path.is_file():
        return sha256_file(path)
    lines = (f"{sha256_file(file)}  {name}\0" for name, file in tree(path).items())
    return sha256(os.fsencode("".join(lines)))


def tree(folder: Path) -> dict[str, Path]:
    """Every file below ``folder`` by its relative posix name, sorted."""
    files = {p.relative_to(folder).as_posix(): p for p in folder.rglob("*") if p.is_file()}
    return dict(sorted(files.items()))


def memory_file() -> BinaryIO:
    """A file that has no name and takes no room on a disk, where the system has such; ``close`` it.

    Elsewhere (macOS) it is one in the folder for temporary files.
    """
    if hasattr(os, "memfd_create"):
        return os.fdopen(os.memfd_create("edgeloop"), "w+b")
    import tempfile

    return tempfile.TemporaryFile("w+b")


class FileBytes:
    """A file's bytes, read as they are sliced. ``close`` it.

    Not a mapping: there, a bad block, or another program cutting the file short, is a SIGBUS that
    ends the process instead of an error.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = path.open("rb", buffering=0)
        self._size = os.fstat(self._file.fileno()).st_size

    def __len__(self) -> int:
        return self._size

    def __getitem__(self, part: slice) -> bytes:
        start, stop, _ = part.indices(self._size)
        pieces = []
        try:
            while start < stop and (piece := os.pread(self._file.fileno(), stop - start, start)):
                pieces.append(piece)
                start += len(piece)
        except OSError as error:
            raise UnavailableError(
                f"{self._path} cannot be read: {error.strerror}.", "dmesg   # is the disk well?"
            ) from error
        return b"".join(pieces)

    def close(self) -> None:
        """Close the file; what was read stays valid."""
        self._file.close()


def disk_error(error: OSError, path: Path) -> EdgeError:
    """An OSError met while writing ``path``, by whose move it is."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return UnavailableError(
            f"There is no room to write {path}: {error.strerror}.",
            f"df -h {path.parent}   # make room there, or write somewhere else",
        )
    return UsageError(
        f"{path} cannot be written: {error.strerror or error}.",
        "Choose a folder that exists and that you may write to.",
    )


def check_writable(path: Path) -> None:
    """Make sure, before hours of work, that ``path`` can be written at their end.

    Raises:
        UsageError: it is a folder or a device, or its folder is missing or not writable.
        UnavailableError: the disk is full.
    """
    import tempfile

    try:
        _check_replaceable(path)
        with tempfile.TemporaryFile(dir=path.parent) as probe:
            probe.write(b"\0" * 4096)
            probe.flush()
    except OSError as error:
        raise disk_error(error, path) from error


def same_file(one: Path, other: Path) -> bool:
    """Whether both name the same file, or will once it is there: through links of either kind."""
    try:
        return one.samefile(other)
    except OSError:  # one of them is not there yet, or cannot be looked at
        return one.resolve() == other.resolve()


def refuse_overwriting(outputs: Mapping[str, Path | None], inputs: Iterable[Path | None]) -> None:
    """Refuse to write over an input, or two outputs into one file.

    Args:
        outputs: by the option that names them.
        inputs: all that is read.

    Raises:
        UsageError: says which.
    """
    read = [path for path in inputs if path is not None]
    written: dict[str, Path] = {}
    for option, path in outputs.items():
        if path is None:
            continue
        another = f"Name another file for {option}."
        if any(same_file(path, each) for each in read):
            raise UsageError(f"{path} is an input and would be overwritten.", another)
        for other, taken in written.items():
            if same_file(path, taken):
                raise UsageError(f"{other} and {option} are the same file, {path}.", another)
        written[option] = path


@contextmanager
def whole_file(path: Path, mode: int = 0o666) -> Iterator[BinaryIO]:
    """Write ``path`` so that readers see the old file or the new one, never a part.

    The bytes go to a neighbour without a name, are synced, and take the name at the end; on any
    exception, an interrupt included, ``path`` is as it was. Who is killed leaves nothing either,
    where the filesystem can keep a file that has no name; elsewhere a ``.NAME.….part``.

    Args:
        path: the file.
        mode: its permissions from the first moment on, less the umask; 0o600 for a secret.

    Raises:
        UsageError: ``path`` is a folder or a device, or its folder is missing or not writable.
        UnavailableError: the disk is full.
    """
    part = path.parent / f".{path.name[:40]}.{os.urandom(6).hex()}.part"
    try:
        _check_replaceable(path)
        with _nameless(part, mode) as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
            _name(file, part)
        part.replace(path)
        _sync_folder(path.parent)
    except OSError as error:
        raise disk_error(error, path) from error
    finally:
        with suppress(OSError):
            part.unlink()


def _nameless(part: Path, mode: int) -> BinaryIO:
    """A new file in the folder of ``part`` that has no name yet; that of ``part`` where it must."""
    try:
        return open(os.open(part.parent, os.O_TMPFILE | os.O_RDWR, mode), "w+b")  # noqa: PTH123
    except (AttributeError, OSError):  # another system, or a filesystem that has no such files
        return os.fdopen(os.open(part, os.O_CREAT | os.O_EXCL | os.O_WRONLY, mode), "wb")


def _name(file: BinaryIO, part: Path) -> None:
    """Give a file the name of ``part``, if it has none."""
    if os.fstat(file.fileno()).st_nlink:
        return
    folder = os.open(part.parent, os.O_RDONLY)
    try:
        # With a folder's descriptor it is linkat, which alone follows /proc's link to the file.
        os.link(f"/proc/self/fd/{file.fileno()}", part, src_dir_fd=folder, follow_symlinks=True)
    finally:
        os.close(folder)


def settle(part: Path, path: Path) -> None:
    """Give a finished part its name, durably: readers see the old file or this one.

    Raises:
        OSError: it cannot be synced or renamed.
    """
    with part.open("rb") as file:
        os.fsync(file.fileno())
    part.replace(path)
    _sync_folder(path.parent)


def _check_replaceable(path: Path) -> None:
    """Renaming onto ``/dev/null`` would, as root, take it away from the whole machine."""
    if path.is_dir():
        raise UsageError(f"{path} is a folder.", f"Name a file: {path / 'model.edge'}")
    if path.exists() and not path.is_file():
        raise UsageError(f"{path} is not an ordinary file.", "Name a file in a folder of yours.")


def _sync_folder(folder: Path) -> None:
    """Make a rename durable: the folder's entry is data of its own."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

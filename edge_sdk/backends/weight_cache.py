"""Weights that an engine has prepared for its kernels, kept from one load to the next.

XNNPACK looks into such a file for the weights of a graph, not of a model: given the file of another
model with the same graph, it answers with that model's weights, in silence. That is exactly what a
retrained model is. So a file's name holds the digest of the very model, and of the engine's
version; there is no name under which another model's weights could be found.

Who finds none has the engine write it in memory, and copies that to the disk when it is complete:
XNNPACK ends the whole process (``abort``) where a write fails, as it does on a full disk. What was
cut off is never found. Those of other engine versions, and the least recently used beyond
``MAX_FILES`` or ``MAX_BYTES``, are removed; a process that still has one open keeps it.

Reading a whole model for its digest costs more than the cache saves, so the digest of a file is
remembered under what the filesystem says of it: device, inode, size and both of its times. The
second of those (ctime) no program can set; it moves with every change of the content, by the
kernel's coarse clock. So a file that changed within the last ``SETTLED_SECONDS`` is read whole and
not remembered: it might change again within one tick.
"""

from __future__ import annotations

import mmap
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from zlib import crc32

from edge_sdk.errors import EdgeError
from edge_sdk.files import memory_file, sha256, whole_file

SUFFIX = ".xnnpack"
PART = ".part"
MAX_FILES = 8
MAX_BYTES = 1 << 29
_BLOCK_BYTES = 1 << 20
STAMP = ".digest"
MAX_STAMPS = 64
SETTLED_SECONDS = 2.0
LEFT_BEHIND_SECONDS = 3600
"""An unfinished file of that age has no writer any more."""


@contextmanager
def prepared_weights(folder: Path, digest: str, engine: str) -> Iterator[Path | None]:
    """The path at which the engine finds, or is to leave, this model's prepared weights.

    Leaving the block without an exception says that the engine has finished writing. None where the
    folder cannot be written: then there is no cache, which is no reason not to run.

    Args:
        folder: for caches alone; made if need be.
        digest: of the model that the weights belong to.
        engine: its name and version, and the processor that it lays weights out for.
    """
    try:
        version = f"{crc32(engine.encode()):08x}"
        ready = folder / f"{digest}-{version}{SUFFIX}"
        if found := ready.is_file():
            os.utime(ready)  # it is what was used last
        else:
            folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        yield None
        return
    if found or not hasattr(os, "memfd_create"):
        yield ready if found else None
        return
    with memory_file() as file:
        yield Path(f"/proc/self/fd/{file.fileno()}")
        if os.fstat(file.fileno()).st_size:
            with suppress(OSError, EdgeError):  # a full disk costs the cache, not the session
                file.seek(0)
                with whole_file(ready) as copy:
                    shutil.copyfileobj(file, copy, _BLOCK_BYTES)
                collect(folder, version)


def remembered_digest(folder: Path, model: Path | bytes, now: float | None = None) -> str:
    """The digest of a model's content, without reading a file that is known and has not changed.

    Args:
        folder: where it is remembered.
        model: see ``digest_of``.
        now: seconds since the epoch; None asks the clock.
    """
    if isinstance(model, bytes):
        return digest_of(model)
    stat = model.stat()
    stamp = folder / f"{_stamp(stat)}{STAMP}"
    with suppress(OSError):
        known = stamp.read_bytes()
        if len(known) == 64 and not known.strip(b"0123456789abcdef"):
            return known.decode()
    found = digest_of(model)
    moment = time.time() if now is None else now
    if moment - stat.st_ctime > SETTLED_SECONDS and _stamp(model.stat()) == _stamp(stat):
        with suppress(OSError, EdgeError):
            folder.mkdir(parents=True, exist_ok=True)
            with whole_file(stamp) as file:
                file.write(found.encode())
            stamps = sorted(folder.glob(f"*{STAMP}"), key=lambda path: path.stat().st_mtime)
            for old in stamps[:-MAX_STAMPS]:
                old.unlink()
    return found


def _stamp(stat: os.stat_result) -> str:
    words = (stat.st_dev, stat.st_ino, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns)
    return "-".join(f"{word:x}" for word in words)  # hashing it would load OpenSSL


def digest_of(model: Path | bytes) -> str:
    """The digest of a model's content; a file is read by mapping it."""
    import hashlib

    if isinstance(model, bytes):
        return sha256(model)
    with model.open("rb") as file:
        if not os.fstat(file.fileno()).st_size:
            return sha256(b"")
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            return hashlib.sha256(content).hexdigest()


def collect(folder: Path, version: str) -> None:
    """Remove what no load will ask for again, and the least recently used beyond the limits."""
    files: list[tuple[float, int, Path]] = []
    for path in folder.glob(f"*{SUFFIX}*"):
        with suppress(OSError):  # another process removed it
            stat = path.stat()
            files.append((stat.st_mtime, stat.st_size, path))
    newest = max((when for when, _, _ in files), default=0.0)
    kept = total = 0
    for when, size, path in sorted(files, reverse=True):
        if path.name.endswith(PART):
            gone = newest - when > LEFT_BEHIND_SECONDS
        else:
            over = kept and (kept >= MAX_FILES or total + size > MAX_BYTES)
            gone = bool(over) or not path.name.endswith(f"-{version}{SUFFIX}")
            kept, total = (kept, total) if gone else (kept + 1, total + size)
        if gone:
            with suppress(OSError):
                path.unlink()

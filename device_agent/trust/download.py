"""Bringing one file in: its chunks pulled through a window, its digest proved, then its name.

The caller knows from signed metadata how long the file is and what it hashes to. Whatever else
comes is refused; an outage leaves what is here for the next attempt, so that no chunk that was
received is asked for again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

from tuf.api.exceptions import LengthOrHashMismatchError
from tuf.api.metadata import TargetFile

from device_agent.trust.part import PartFile
from device_agent.trust.threads import in_thread
from edge_sdk.errors import ArtifactError, FleetError
from edge_sdk.files import disk_error, settle
from edge_sdk.spec.wire import Chunk

Fetch = Callable[[str, int, int], Awaitable[Chunk]]
"""``fetch(path, offset, length)`` asks the fleet; raises FleetError while it is out of reach."""

WINDOW = 4
"""Chunks in flight at once: 512 kB, which fills a link of 4 Mbit/s with a second's delay."""


async def download(fetch: Fetch, path: str, target: TargetFile, into: Path) -> None:
    """Bring ``into`` here, whole or not at all.

    Args:
        fetch: asks the fleet for bytes.
        path: what to ask for.
        target: the signed word on its length and digest.
        into: where it goes; ``into.part`` keeps what has come so far.

    Raises:
        ArtifactError: what came is not that file; nothing of it is left.
        FleetError: from ``fetch``, or the fleet does not have it; what has come so far is kept.
        UnavailableError: the disk is full.
    """
    part_path = into.with_name(f"{into.name}.part")
    try:
        into.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise disk_error(error, into) from error
    while True:
        part = PartFile(part_path, target.length)
        try:
            await _pull(fetch, path, target.length, part)
        except ArtifactError:
            part_path.unlink()
            raise
        finally:
            part.close()
        wrong = await in_thread(lambda: _finish(part_path, target, into))
        if wrong is None:
            return
        if not part.resumed:
            raise ArtifactError(f"{path} is not the file that the fleet signed: {wrong}.")


async def _pull(fetch: Fetch, path: str, size: int, part: PartFile) -> None:
    """Fetch what is missing, several chunks at a time; ends with no task left behind."""
    missing = iter(part.missing())

    async def pull() -> None:
        for offset, length in missing:
            part.write(offset, await _chunk(fetch, path, size, offset, length))

    tasks = [asyncio.create_task(pull()) for _ in range(WINDOW)]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _chunk(fetch: Fetch, path: str, size: int, offset: int, length: int) -> bytes:
    """Exactly those bytes; a fleet may give fewer at a time, but not none."""
    received = b""
    while len(received) < length:
        start, left = offset + len(received), length - len(received)
        chunk = await fetch(path, start, left)
        if chunk.missing:
            raise FleetError(
                f"The fleet has signed {path} but does not have it.",
                "Publish the artifact again: edge fleet publish X.edge",
            )
        check_answer(chunk, path, start, left)
        if chunk.size != size:
            raise ArtifactError(
                f"The fleet gives {chunk.size} bytes for {path}, where {size} are signed."
            )
        received += chunk.data
    return received


def check_answer(chunk: Chunk, path: str, offset: int, length: int) -> None:
    """Whether a chunk answers what was asked.

    Raises:
        ArtifactError: it is of another file or place, too long, or empty before the file's end.
    """
    if (chunk.path, chunk.offset) != (path, offset):
        raise ArtifactError(
            f"Bytes of {chunk.path} at {chunk.offset} came, not of {path} at {offset}."
        )
    if len(chunk.data) > length or (not chunk.data and offset < chunk.size):
        raise ArtifactError(f"{len(chunk.data)} bytes of {path} came, where {length} were asked.")


def _finish(part: Path, target: TargetFile, into: Path) -> Exception | None:
    """Prove the digest and give the file its name; what is wrong instead, and the part removed."""
    try:
        with part.open("r+b") as file:
            file.truncate(target.length)
            try:
                target.verify_length_and_hashes(file)
            except LengthOrHashMismatchError as error:
                part.unlink()
                return error
        settle(part, into)
    except OSError as error:
        raise disk_error(error, into) from error
    return None

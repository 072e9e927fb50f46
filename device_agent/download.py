"""From the fleet into a slot: the manifest, the proof, and the one variant that fits this machine.

What to fetch is decided by the manifest alone, whose bytes are what the artifact's digest names.
Nothing else is fetched, nothing twice: a file that is whole stays, one that was cut goes on.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection
from pathlib import Path
from typing import Protocol

from device_agent.core.backoff import Backoff
from device_agent.slots import Slots
from edge_sdk.errors import ArtifactError, EdgeError, FleetError, UnavailableError, UpdateError
from edge_sdk.files import sha256
from edge_sdk.spec import FileEntry, Manifest, Variant, decode_manifest
from edge_sdk.spec.choice import choose_variant
from edge_sdk.spec.contents import MANIFEST, contradictions, device_files, name_problem
from edge_sdk.spec.deployment import ArtifactRef
from edge_sdk.text import bytes_text

_log = logging.getLogger(__name__)

CORRUPT_ATTEMPTS = 3
"""A broker can spoil bytes once in a while; one that always does is an outage of its own kind."""


class Files(Protocol):
    """Where proven files come from (``device_agent.trust.DeviceTrust``)."""

    async def fetch_file(
        self, artifact_digest: str, member: str, expected: FileEntry | None, into: Path
    ) -> None:
        """Bring one file here, proven, unless it is here already."""


class Download:
    """Brings artifacts in, one call an artifact."""

    def __init__(
        self,
        slots: Slots,
        files: Files,
        engines: Callable[[], Awaitable[Collection[str]]],
        *,
        min_free_bytes: int,
        retry: Backoff,
        random: Callable[[], float],
    ) -> None:
        """Join the parts.

        Args:
            slots: where to.
            files: where from.
            engines: answers the names of the engines that work here.
            min_free_bytes: room to leave on the disk.
            retry: waits while the fleet is out of reach.
            random: draws from [0, 1).
        """
        self._slots = slots
        self._files = files
        self._engines = engines
        self._min_free_bytes = min_free_bytes
        self._retry = retry
        self._random = random

    async def bring(
        self, artifact: ArtifactRef, delayed: Callable[[str], None] = lambda _: None
    ) -> None:
        """Bring all that this device needs of an artifact; however long the fleet is away.

        Args:
            artifact: which one.
            delayed: told why nothing comes for now, with what could be done about it.

        Raises:
            UnavailableError: there is no room, no engine for it, or it needs a newer edgeloop.
            ArtifactError: what comes is, again and again, not what the fleet signed.
            UsageError: the disk cannot be written.
        """
        failures = corrupt = 0
        while True:
            try:
                return await self._bring(artifact)
            except (FleetError, UpdateError) as error:
                failures += 1
                reason: EdgeError = error
            except ArtifactError as error:
                failures, corrupt = failures + 1, corrupt + 1
                if corrupt == CORRUPT_ATTEMPTS:
                    raise
                reason = error
            wait_s = self._retry.delay_s(failures, self._random)
            said = reason.message + (f" ({reason.hint})" if reason.hint else "")
            _log.warning("%s again in %.0f s: %s", artifact.name, wait_s, said)
            delayed(said)
            await asyncio.sleep(wait_s)

    async def _bring(self, artifact: ArtifactRef) -> None:
        digest = artifact.digest
        if self._slots.is_complete(digest):
            return
        slot = self._slots.prepare(digest)
        await self._files.fetch_file(digest, MANIFEST, None, slot / MANIFEST)
        manifest = _read_manifest((slot / MANIFEST).read_bytes(), artifact)
        variant = _choose(manifest, await self._engines())
        names = device_files(manifest, variant)
        missing = [name for name in names if not (slot / name).is_file()]
        self._check_room(slot, sum(manifest.files[name].size for name in missing))
        for name in names:
            await self._files.fetch_file(digest, name, manifest.files[name], slot / name)
        self._slots.complete(digest, variant.id)

    def _check_room(self, slot: Path, needed: int) -> None:
        partial = sum(p.stat().st_size for p in slot.rglob("*.part"))
        free = self._slots.free_bytes() + partial
        if needed + self._min_free_bytes > free:
            raise UnavailableError(
                f"It needs {bytes_text(needed)}, and {bytes_text(self._min_free_bytes)} must stay "
                f"free; {self._slots.folder} has {bytes_text(free)}.",
                f"df -h {self._slots.folder}   # make room; it is tried again with the next start",
            )


def _read_manifest(data: bytes, artifact: ArtifactRef) -> Manifest:
    """The manifest, if it is that artifact's and says nothing impossible."""
    where = f"The manifest of {artifact.name} {artifact.version}"
    if sha256(data) != artifact.digest:
        raise ArtifactError(f"{where} is not the one that its digest names.")
    manifest = decode_manifest(data, where)
    if (manifest.name, manifest.version) != (artifact.name, artifact.version):
        raise ArtifactError(f"{where} is of {manifest.name} {manifest.version}.")
    problems = [f"names the file {n!r}: {p}" for n in manifest.files if (p := name_problem(n))]
    for problem in (*problems, *contradictions(manifest, set(manifest.files))):
        raise ArtifactError(f"{where} {problem}.")
    return manifest


def _choose(manifest: Manifest, engines: Collection[str]) -> Variant:
    variant = choose_variant(manifest, engines)
    if variant is None:
        wanted = sorted({name for v in manifest.variants for name in v.backends})
        raise UnavailableError(
            f"No engine here runs any of its variants; they need {' or '.join(wanted)}, "
            f"here is {', '.join(sorted(engines)) or 'none'}.",
            "edge doctor   # says how to install one",
        )
    return variant

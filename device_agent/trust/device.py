"""What one device believes. ``docs/trust.md`` explains; the agent asks two questions.

*Is this what I should run?* ``accept`` answers with the Desired, if the director signed it for this
device and it is not older than one seen before.

*Is this file what the fleet published?* ``fetch_file`` brings it, if the chain of metadata from the
pinned root to the signed list holds, and the bytes are those that the list names.

Time is the device's clock, but never earlier than the fleet's newest signed word: a board without a
battery wakes up in 1970, where no certificate has ever expired.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import msgspec
from tuf.api.exceptions import LengthOrHashMismatchError
from tuf.api.metadata import TargetFile, Timestamp

from device_agent.trust.download import Fetch, download
from device_agent.trust.memory import Remembered, recall, remember
from device_agent.trust.metadata import WireFetcher
from device_agent.trust.threads import in_thread
from edge_sdk.errors import ArtifactError, EdgeError
from edge_sdk.files import disk_error
from edge_sdk.spec import FileEntry
from edge_sdk.spec.contents import MANIFEST
from edge_sdk.spec.deployment import Desired, Signed
from edge_sdk.spec.enrolment import Enrolment
from edge_sdk.trust.chain import UTC, Chain, issued_ms, read_root, wire_path
from edge_sdk.trust.signing import key_id, open_desired


class DeviceTrust:
    """The trust of one device in its fleet. Belongs to one event loop."""

    def __init__(
        self,
        folder: Path,
        enrolment: Enrolment,
        fetch: Fetch,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Begin with what the enrolment pins and what was learnt since.

        Args:
            folder: of its own, on the disk where artifacts go.
            enrolment: names the device, TUF's root and the director's key.
            fetch: asks the fleet for bytes.
            clock: Unix seconds.

        Raises:
            ArtifactError: the enrolment's root is not one.
            UsageError: the folder cannot be used.
        """
        self._folder = folder
        self._enrolment = enrolment
        self._fetch = fetch
        self._clock = clock
        self._walking = asyncio.Lock()
        self._walked: tuple[str, Chain] | None = None
        self._memory_file = folder / "memory.json"
        self._root_floor_ms = issued_ms(read_root(enrolment.root))
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise disk_error(error, folder) from error
        self._memory = recall(self._memory_file, key_id(enrolment.director))
        self._desired = self._recalled()

    @property
    def desired(self) -> Desired | None:
        """The newest Desired accepted, now or before a restart."""
        return self._desired

    @property
    def floor_ms(self) -> int:
        """The newest time that the fleet has signed, Unix milliseconds: it has passed for sure."""
        return max(self._memory.floor_ms, self._root_floor_ms)

    @property
    def now(self) -> datetime:
        """The time, in UTC: the clock's, or the newest that the fleet has signed."""
        return datetime.fromtimestamp(max(self._clock(), self.floor_ms / 1000), UTC)

    def accept(self, signed: Signed) -> Desired:
        """The Desired inside, remembered from now on as the newest. Twice does no harm.

        Raises:
            ArtifactError: forged, altered, for another device, or older than one seen before.
            UnavailableError: the disk is full; it is not accepted.
        """
        desired = open_desired(signed, self._enrolment.director, self._enrolment.device)
        newest, known = self._desired, self._memory.newest
        if newest is not None and known is not None:
            if desired.counter < newest.counter:
                raise ArtifactError(
                    f"A Desired with counter {desired.counter} came after {newest.counter}: "
                    "somebody replays an old one.",
                    "If the fleet was restored from a backup, enrol the device anew.",
                )
            if desired.counter == newest.counter and signed.payload != known.payload:
                raise ArtifactError(
                    f"Two different Desired have the counter {desired.counter}.",
                    "If the fleet was restored from a backup, enrol the device anew.",
                )
        if known is None or signed.payload != known.payload:
            self._remember(msgspec.structs.replace(self._memory, newest=signed))
        self._desired = desired
        return desired

    async def fetch_file(
        self, artifact_digest: str, member: str, expected: FileEntry | None, into: Path
    ) -> None:
        """Bring one published file here, unless it is here already.

        Args:
            artifact_digest: whose file it is.
            member: its name in the artifact.
            expected: what the artifact's manifest says of it; None for the manifest itself.
            into: where it goes; ``into.part`` keeps what has come so far.

        Raises:
            ArtifactError: the chain does not hold, or the bytes are others; nothing is left.
            UpdateError: the metadata has expired: nothing new can be installed for now.
            FleetError: the fleet cannot be reached; the next call goes on from here.
            UnavailableError: the disk is full; nothing is left half done.
        """
        path = f"{artifact_digest}/{member}"
        target = await self._target(artifact_digest, path)
        sha256 = target.hashes["sha256"]
        wanted = artifact_digest if expected is None and member == MANIFEST else sha256
        if expected is not None and expected != FileEntry(sha256=sha256, size=target.length):
            raise ArtifactError(f"The manifest and the fleet's signed list disagree on {path}.")
        if wanted != sha256:
            raise ArtifactError(f"The fleet's signed list names another file as {path}.")
        if not await in_thread(lambda: _is_here(target, into)):
            try:
                await download(self._fetch, wire_path(target), target, into)
            except EdgeError:
                self._walked = None  # the fleet may have changed its mind meanwhile: look again
                raise

    async def _target(self, artifact_digest: str, path: str) -> TargetFile:
        """What the signed list says of ``path``; one walk of the chain serves an artifact.

        Not for ever: an artifact that is installed again long after may have been withdrawn.
        """
        async with self._walking:
            walked, chain = self._walked or ("", None)
            if chain is None or walked != artifact_digest or chain.has_expired(self.now):
                self._walked = None
                chain = await self._walk()
                self._walked = (artifact_digest, chain)
            target = chain.target(path)
            if target is None:
                self._walked = None
                raise ArtifactError(
                    f"The fleet has not published {path}.",
                    "Publish the artifact: edge fleet publish X.edge",
                )
            return target

    async def _walk(self) -> Chain:
        fetcher = WireFetcher(self._fetch, asyncio.get_running_loop())
        folder, now = self._folder / "metadata", self.now

        def walk() -> Chain:
            chain = Chain(folder, self._enrolment.root, fetcher, now)
            chain.walk()
            return chain

        chain = await in_thread(walk, stop=fetcher.stop)
        issued = issued_ms(chain.signed[Timestamp.type])
        if issued > self._memory.floor_ms:
            self._remember(msgspec.structs.replace(self._memory, floor_ms=issued))
        return chain

    def _recalled(self) -> Desired | None:
        """The newest Desired, proved again: the file may be of an earlier enrolment."""
        if self._memory.newest is None:
            return None
        try:
            return open_desired(
                self._memory.newest, self._enrolment.director, self._enrolment.device
            )
        except ArtifactError:
            self._memory = msgspec.structs.replace(self._memory, newest=None)
            return None

    def _remember(self, memory: Remembered) -> None:
        remember(self._memory_file, memory)
        self._memory = memory


def _is_here(target: TargetFile, into: Path) -> bool:
    try:
        with into.open("rb") as file:
            target.verify_length_and_hashes(file)
    except FileNotFoundError:
        return False
    except OSError as error:
        raise disk_error(error, into) from error
    except LengthOrHashMismatchError:
        return False
    return True

"""The chain of trust: root -> timestamp -> snapshot -> targets, by python-tuf, on our clock.

TUF's client workflow (specification 1.0, §5) is python-tuf's ``Updater``. Here are the four things
that a small machine adds to it:

* a clock that is passed in, since a device's own may say 1970;
* fetchers that keep nothing in ``/tmp``, which may be memory or missing;
* metadata synced to disk, since what was seen newest is the protection against older;
* errors by whose move it is.

What we add to the metadata is one field, ``edgeloop_issued_ms``, signed like the rest: when it was
issued on the fleet's clock. A device never believes that it is earlier than that.
"""

from __future__ import annotations

import io
import os
from abc import abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timezone
from pathlib import Path
from typing import IO

from tuf.api import exceptions
from tuf.api.metadata import Metadata, Root, Signed, TargetFile
from tuf.ngclient import FetcherInterface, Updater, UpdaterConfig

from edge_sdk.errors import ArtifactError, FleetError, UpdateError
from edge_sdk.files import disk_error

METADATA = "metadata/"
TARGETS = "targets/"
LIMITS = UpdaterConfig(
    max_root_rotations=256,
    root_max_length=64_000,
    timestamp_max_length=16_000,
    snapshot_max_length=200_000,
    targets_max_length=2_000_000,
)
"""Bytes that are read of metadata at most, before anything in it is believed."""

ISSUED = "edgeloop_issued_ms"
UTC = timezone.utc
_ANEW = "Enrol the device anew: edge fleet enroll DEVICE"


def wire_path(target: TargetFile) -> str:
    """Where the fleet serves a target: its digest stands before its name (consistent snapshots)."""
    folder, slash, name = target.path.rpartition("/")
    return f"{TARGETS}{folder}{slash}{target.hashes['sha256']}.{name}"


def issued_ms(signed: Signed) -> int:
    """When this metadata was issued, Unix milliseconds; 0 if it does not say."""
    value = signed.unrecognized_fields.get(ISSUED, 0)
    return value if isinstance(value, int) and value > 0 else 0


def read_root(data: bytes) -> Root:
    """The root that a device is to pin, checked against its own signatures.

    Raises:
        ArtifactError: it is no root, or not signed by the keys that it names.
    """
    try:
        metadata = Metadata[Root].from_bytes(data)
        if metadata.signed.type != Root.type:
            raise ArtifactError(f"A root was expected, not a {metadata.signed.type}.", _ANEW)
        metadata.signed.verify_delegate(Root.type, metadata.signed_bytes, metadata.signatures)
    except exceptions.RepositoryError as error:
        raise ArtifactError(f"The pinned root is not one: {error}.", _ANEW) from error
    return metadata.signed


class Fetcher(FetcherInterface):
    """What the chain reads metadata through; satisfied by one method, ``blocks``."""

    @abstractmethod
    def blocks(self, path: str) -> Iterator[bytes]:
        """The bytes of ``path``. Raises LookupError if there is no such file."""

    def _fetch(self, url: str) -> Iterator[bytes]:
        try:
            yield from self.blocks(url)
        except LookupError as error:
            raise exceptions.DownloadHTTPError(f"there is no {url}", 404) from error

    @contextmanager
    def download_file(self, url: str, max_length: int) -> Iterator[IO[bytes]]:
        """The file in memory; python-tuf's own way writes it to ``/tmp`` first."""
        received = io.BytesIO()
        for block in self._fetch(url):
            received.write(block)
            if received.tell() > max_length:
                raise exceptions.DownloadLengthMismatchError(
                    f"{url} is larger than the {max_length} bytes allowed"
                )
        received.seek(0)
        yield received


class Chain(Updater):
    """One walk of the chain. Make a new one to see what was published since.

    Not thread-safe, and no two at once may share a folder.
    """

    def __init__(self, folder: Path, root: bytes, fetcher: Fetcher, now: datetime) -> None:
        """Begin at a pinned root.

        Args:
            folder: keeps metadata from walk to walk: what was seen newest.
            root: the pinned ``root.json``.
            fetcher: reads ``metadata/…`` paths.
            now: against which expiry is judged, in UTC.

        Raises:
            ArtifactError: the root is not one.
            UnavailableError, UsageError: the folder cannot be written.
        """
        self._folder = folder
        self._now = now
        with translated(now):
            folder.mkdir(parents=True, exist_ok=True)
            super().__init__(str(folder), METADATA, fetcher=fetcher, config=LIMITS, bootstrap=root)
        # python-tuf takes the system's clock here and offers no way to pass another.
        self._trusted_set.reference_time = now

    def walk(self) -> None:
        """Fetch and check everything down to the list of targets.

        Raises:
            ArtifactError: something is forged, altered, older than what was seen, or mixed.
            UpdateError: something has expired.
            FleetError: something is missing; and whatever the fetcher raises.
            UnavailableError: the disk is full.
        """
        with translated(self._now):
            self.refresh()
            self._sync()

    def target(self, path: str) -> TargetFile | None:
        """What the signed list says of ``path``; None if it does not name it."""
        with translated(self._now):
            target = self.get_targetinfo(path)
        if target is not None and "sha256" not in target.hashes:
            raise ArtifactError(f"The fleet's signed list has no SHA-256 for {path}.")
        return target

    @property
    def root(self) -> Root:
        """The newest root that was reached."""
        return self._trusted_set.root

    @property
    def signed(self) -> dict[str, Signed]:
        """All four roles, after ``walk``."""
        found = self._trusted_set
        return {s.type: s for s in (found.root, found.timestamp, found.snapshot, found.targets)}

    def has_expired(self, now: datetime) -> bool:
        """Whether any of it has since ``walk``."""
        return any(signed.is_expired(now) for signed in self.signed.values())

    def _sync(self) -> None:
        """python-tuf renames into place but does not sync: a power cut could bring back older."""
        for path in (*self._folder.rglob("*.json"), self._folder, self._folder / "root_history"):
            descriptor = os.open(path, os.O_RDONLY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)


@contextmanager
def translated(now: datetime) -> Iterator[None]:
    """python-tuf's errors in our words."""
    try:
        yield
    except exceptions.ExpiredMetadataError as error:
        raise UpdateError(
            f"The fleet's metadata is too old to install anything new: {error} "
            f"(it is {now:%Y-%m-%d %H:%M} UTC here). What is installed keeps running.",
            "Bring the device in touch with its fleet, and look at its clock: date -u",
        ) from error
    except exceptions.BadVersionNumberError as error:
        raise ArtifactError(
            f"The fleet's metadata is older than what was seen before: {error}. "
            "Somebody replays it, or the fleet was restored from an old backup.",
            "Compare with the fleet's trust/public folder.",
        ) from error
    except exceptions.UnsignedMetadataError as error:
        raise ArtifactError(
            f"The metadata is not signed by this fleet's keys: {error}.", _ANEW
        ) from error
    except (exceptions.RepositoryError, exceptions.DownloadLengthMismatchError) as error:
        raise ArtifactError(
            f"The fleet's metadata is not what was signed: {error}.", "Try again later."
        ) from error
    except exceptions.DownloadError as error:
        raise FleetError(
            f"The fleet does not give its metadata: {error}.", "Try again later."
        ) from error
    except OSError as error:
        raise disk_error(error, Path(error.filename or ".")) from error

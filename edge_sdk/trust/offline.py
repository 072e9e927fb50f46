"""Is this artifact published by that fleet? Answered from a copy of its public folder alone.

The folder is a fleet's ``DATA/trust/public``: ``root.json``, which is what one trusts, and
``metadata/``, which is proved from it. The same chain as on a device, without a network.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from tuf.api.metadata import Targets

from edge_sdk.artifact import MANIFEST, Artifact
from edge_sdk.errors import ArtifactError, FleetError, UpdateError, UsageError
from edge_sdk.files import sha256
from edge_sdk.spec import FileEntry
from edge_sdk.trust.chain import METADATA, Chain, Fetcher
from edge_sdk.trust.proof import TrustProof

_COPY = "Copy the fleet's trust/public folder again, whole."


class FolderFetcher(Fetcher):
    """Reads ``metadata/…`` from a folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def blocks(self, path: str) -> Iterator[bytes]:
        """The file's bytes, in one block."""
        try:
            yield (self._folder / path).read_bytes()
        except (FileNotFoundError, NotADirectoryError) as error:
            raise LookupError(path) from error


def prove(artifact: Artifact, folder: Path, now: datetime) -> TrustProof:
    """Follow the chain from ``folder/root.json`` to every file of the artifact.

    Args:
        artifact: open; its own digests are checked by whoever reads its files.
        folder: a copy of a fleet's public folder.
        now: against which expiry is judged, in UTC.

    Raises:
        UsageError: there is no such folder, or no root in it.
        ArtifactError: the chain does not hold, or does not lead to this artifact.
    """
    pinned = folder / "root.json"
    try:
        root = pinned.read_bytes()
    except OSError as error:
        raise UsageError(
            f"{pinned} cannot be read: {error.strerror}.",
            "Name a copy of the fleet's trust/public folder.",
        ) from error
    if not (folder / METADATA).is_dir():
        raise ArtifactError(
            f"{folder} holds a root, but no {METADATA}: nothing says what was published.", _COPY
        )
    with tempfile.TemporaryDirectory(prefix="edge-verify-") as scratch:
        chain = Chain(Path(scratch), root, FolderFetcher(folder), now)
        try:
            chain.walk()
        except UpdateError as error:
            raise ArtifactError(
                f"The copy in {folder} has expired: {error.message}", _COPY
            ) from error
        except FleetError as error:
            raise ArtifactError(
                f"The copy in {folder} is not whole: {error.message}", _COPY
            ) from error
        size = len(artifact.manifest_bytes)
        _compare(chain, artifact, MANIFEST, FileEntry(sha256=artifact.digest, size=size))
        for name, entry in artifact.manifest.files.items():
            _compare(chain, artifact, name, entry)
    return TrustProof(
        root_sha256=sha256(root),
        root_version=chain.root.version,
        signed_by=tuple(chain.root.roles[Targets.type].keyids),
        targets_version=chain.signed[Targets.type].version,
        expires=min(signed.expires for signed in chain.signed.values()).isoformat(),
    )


def _compare(chain: Chain, artifact: Artifact, name: str, entry: FileEntry) -> None:
    target = chain.target(f"{artifact.digest}/{name}")
    if target is None:
        raise ArtifactError(
            f"{artifact.path}: this fleet has not published {name} of {artifact.digest[:12]}….",
            "Publish the artifact: edge fleet publish X.edge",
        )
    if FileEntry(sha256=target.hashes["sha256"], size=target.length) != entry:
        raise ArtifactError(f"{artifact.path}: {name} is not the file that the fleet published.")

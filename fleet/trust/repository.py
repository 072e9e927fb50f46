"""The fleet's trust repository: publishes artifacts, keeps the metadata fresh, signs Desired.

A TUF repository (specification 1.0) with four Ed25519 keys and consistent snapshots. Publishing
splits an artifact into its files: each becomes a blob, and a target named
``ARTIFACT-DIGEST/FILE``, so that a device fetches only what it needs and can check it alone.

All methods may be called from any thread; ``read`` never waits for a release.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from copy import deepcopy
from datetime import datetime
from pathlib import Path

from tuf.api.metadata import MetaFile, Root, Signed, Snapshot, TargetFile, Targets, Timestamp

from edge_sdk.artifact import MANIFEST, Artifact
from edge_sdk.errors import UnavailableError, UsageError
from edge_sdk.files import sha256
from edge_sdk.spec.deployment import ArtifactRef, Desired
from edge_sdk.spec.deployment import Signed as SignedDesired
from edge_sdk.spec.wire import CHUNK_BYTES, Chunk
from edge_sdk.trust.chain import LIMITS, METADATA, TARGETS, wire_path
from fleet.blobs import Blobs, FolderBlobs
from fleet.trust.keys import KeyRing
from fleet.trust.roles import ROLES, is_due, issued, seal, stamp, unseal, utc_now
from fleet.trust.shelf import Shelf

_BACKUP = "Restore the fleet's trust folder from its backup."


class TrustRepository:
    """``DATA/trust``: ``keys/`` (secret), ``public/`` (to be copied freely), ``blobs/``.

    Attributes:
        director_public: the 32 bytes of the key that signs Desired.
        public: the folder of published metadata.
    """

    def __init__(
        self,
        folder: Path,
        blobs: Blobs | None = None,
        clock: Callable[[], datetime] = utc_now,
    ) -> None:
        """Open the repository, or make it at the fleet's first start.

        Args:
            folder: of its own.
            blobs: where files are kept; ``folder/blobs`` if None.
            clock: the time in UTC.

        Raises:
            UnavailableError: the disk is full, or what is there is not what this fleet signed.
            UsageError: the folder cannot be written.
        """
        self._clock = clock
        self._lock = threading.Lock()
        self._keys = KeyRing(folder / "keys")
        self._shelf = Shelf(folder / "public")
        self._blobs = blobs or FolderBlobs(folder / "blobs")
        self._director = self._keys.director()
        self.director_public = self._director.public
        self.public = self._shelf.folder
        self._served: dict[str, str] = {}
        self._root, self._root_bytes = self._load_root()
        self._load_release()
        self.refresh()

    @property
    def root_bytes(self) -> bytes:
        """The newest root, to pin at enrolment."""
        return self._root_bytes

    @property
    def published(self) -> Mapping[str, ArtifactRef]:
        """What is published, by artifact digest."""
        return self._published

    def publish(self, artifact: Artifact) -> ArtifactRef:
        """Store an artifact's files and put them on the signed list. Twice does no harm.

        Raises:
            ArtifactError: a file is not the one its manifest names.
            UsageError: that name and version is published with other contents, or the list is full.
            UnavailableError: the disk is full, or a key is missing.
        """
        manifest = artifact.manifest
        ref = ArtifactRef(digest=artifact.digest, name=manifest.name, version=manifest.version)
        files = list(artifact.verify_digests())
        with self._lock:
            for other in self._published.values():
                if (other.name, other.version) == (ref.name, ref.version) and other != ref:
                    raise UsageError(
                        f"{ref.name} {ref.version} is already published with other contents "
                        f"({other.digest[:12]}…, this is {ref.digest[:12]}…).",
                        "Give it a version of its own: edge convert … --version",
                    )
            self._blobs.put(artifact.manifest_bytes)
            for name in files:
                self._blobs.put(artifact.read(name))
            if ref.digest not in self._published:
                targets = deepcopy(self._targets)
                targets.targets |= {t.path: t for t in _targets_of(artifact)}
                self._release(targets)
        return ref

    def withdraw(self, digest: str) -> None:
        """Take an artifact off the signed list: from now on no device installs it anew.

        Raises:
            UsageError: it is not published.
        """
        with self._lock:
            if digest not in self._published:
                raise UsageError(f"No artifact {digest[:12]}… is published.")
            targets = deepcopy(self._targets)
            targets.targets = {
                path: target
                for path, target in targets.targets.items()
                if not path.startswith(f"{digest}/")
            }
            self._release(targets)

    def refresh(self, now: datetime | None = None) -> tuple[str, ...]:
        """Sign anew what has half its life behind it; call it every hour or so.

        Returns:
            The roles that were due. Root is left out while its key is elsewhere.

        Raises:
            UnavailableError: the disk is full, or another key than root's is missing.
        """
        with self._lock:
            now = self._not_before(now or self._clock())
            current = (self._root, self._targets, self._snapshot, self._timestamp)
            due = [signed.type for signed in current if is_due(signed, now)]
            if Root.type in due and not self._has_root_key():
                due.remove(Root.type)
            if Root.type in due:
                self._renew_root(deepcopy(self._root), now)
            if Targets.type in due:
                self._release(deepcopy(self._targets), now)
            elif Snapshot.type in due or Timestamp.type in due:
                self._release(None, now, snapshot=Snapshot.type in due)
            return tuple(due)

    def rotate(self, role: str) -> None:
        """Replace the key of a role, root's included: the new root is signed by old and new.

        What the new root judges is released first, signed with both keys; so there is no moment
        at which a device could not follow.

        Raises:
            UsageError: there is no such role.
            UnavailableError: the root key, or the role's own, is not in the key folder.
        """
        if role not in ROLES:
            raise UsageError(f"There is no role {role!r}.", f"Roles are: {', '.join(ROLES)}.")
        with self._lock:
            now = self._not_before(self._clock())
            root = deepcopy(self._root)
            for key in list(root.roles[role].keyids):
                root.revoke_key(key, role)
            root.add_key(self._keys.make(role, root.version + 1).public_key, role)
            if role != Root.type:
                self._release(deepcopy(self._targets), now, also=root)
            self._renew_root(root, now)

    def read(self, path: str, offset: int, length: int) -> Chunk:
        """Bytes of a published file, for a device that asks by wire path.

        Args:
            path: ``metadata/N.ROLE.json`` or ``targets/ARTIFACT/…/DIGEST.NAME``.
            offset: of the first byte.
            length: how many; at most ``CHUNK_BYTES`` are given.
        """
        length = max(0, min(length, CHUNK_BYTES))
        if offset < 0:
            return Chunk(path=path, offset=offset, missing=True)
        if path.startswith(METADATA):
            data = self._shelf.read(path.removeprefix(METADATA))
            if data is not None:
                part = data[offset : offset + length]
                return Chunk(path=path, offset=offset, size=len(data), data=part)
        elif path.startswith(TARGETS):
            digest = self._served.get(path)
            size = None if digest is None else self._blobs.size(digest)
            if digest is not None and size is not None:
                part = self._blobs.open_range(digest, offset, length)
                return Chunk(path=path, offset=offset, size=size, data=part)
        return Chunk(path=path, offset=offset, missing=True)

    def sign_desired(self, desired: Desired) -> SignedDesired:
        """The director's word for one device."""
        return self._director.sign(desired)

    def _load_root(self) -> tuple[Root, bytes]:
        """The newest root, or the first."""
        if found := self._shelf.newest_root():
            version, data = found
            root = unseal(Root, data, None)
            if root.version != version:
                raise UnavailableError(
                    f"{version}.root.json is of version {root.version}.", _BACKUP
                )
            self._shelf.pin(data)
            return root, data
        if self._shelf.read("timestamp.json") is not None:
            raise UnavailableError(f"{self.public} has lost its roots.", _BACKUP)
        root = Root(consistent_snapshot=True)
        for role in ROLES:
            root.add_key(self._keys.make(role, 1).public_key, role)
        stamp(root, self._clock(), 1)
        data = seal(root, self._keys, [root])
        self._shelf.write(Root.type, 1, data)
        return root, data

    def _load_release(self) -> None:
        """What ``timestamp.json`` leads to; at the first start, an empty list."""
        data = self._shelf.read("timestamp.json")
        if data is None:
            self._timestamp, self._snapshot = Timestamp(version=1), Snapshot(version=1)
            self._targets = Targets(version=1)
            for signed in (self._timestamp, self._snapshot, self._targets):
                signed.version = 0  # nothing is released yet: the first release is version 1
            self._release(self._targets)
            return
        self._timestamp = unseal(Timestamp, data, self._root)
        meta = self._timestamp.snapshot_meta
        self._snapshot = unseal(Snapshot, self._led_to(Snapshot.type, meta), self._root)
        meta = self._snapshot.meta["targets.json"]
        self._index(unseal(Targets, self._led_to(Targets.type, meta), self._root))

    def _led_to(self, role: str, meta: MetaFile) -> bytes:
        data = self._shelf.read(f"{meta.version}.{role}.json")
        if data is None or (meta.hashes or {}).get("sha256") != sha256(data):
            raise UnavailableError(
                f"{self.public} has no {meta.version}.{role}.json, or another one.", _BACKUP
            )
        return data

    def _release(
        self,
        targets: Targets | None,
        now: datetime | None = None,
        *,
        snapshot: bool = True,
        also: Root | None = None,
    ) -> None:
        """Publish a new state, what is pointed to first; memory follows the disk.

        Args:
            targets: the new list; None to keep the current one.
            now: of issue; the clock's time if None.
            snapshot: whether to sign a new snapshot, if the list stays.
            also: a root about to come, whose keys are to sign too.
        """
        now = now or self._not_before(self._clock())
        roots = [self._root] if also is None else [self._root, also]
        files: list[tuple[Signed, bytes]] = []

        def add(signed: Signed, version: int) -> MetaFile:
            stamp(signed, now, version)
            data = seal(signed, self._keys, roots)
            files.append((signed, data))
            return MetaFile(version, len(data), {"sha256": sha256(data)})

        new_snapshot, timestamp = deepcopy(self._snapshot), deepcopy(self._timestamp)
        if targets is not None:
            meta = add(targets, self._targets.version + 1)
            new_snapshot.meta["targets.json"] = meta
            if meta.length and meta.length > LIMITS.targets_max_length:
                raise UsageError(
                    f"The signed list of files is full ({LIMITS.targets_max_length} bytes).",
                    "Withdraw artifacts that no device runs any more.",
                )
        if targets is not None or snapshot:
            timestamp.snapshot_meta = add(new_snapshot, self._snapshot.version + 1)
        add(timestamp, self._timestamp.version + 1)
        if targets is not None:  # a device may ask the moment the timestamp is there
            self._served = {**self._served, **_served(targets)}
        for signed, data in files:
            self._shelf.write(signed.type, signed.version, data)
        self._snapshot, self._timestamp = new_snapshot, timestamp
        self._index(targets or self._targets)
        for signed, _ in files:
            self._shelf.prune(signed.type, signed.version)

    def _renew_root(self, root: Root, now: datetime) -> None:
        """Publish ``root`` as the next version, signed by the keys of the last and its own."""
        stamp(root, now, self._root.version + 1)
        data = seal(root, self._keys, [self._root, root])
        self._shelf.write(Root.type, root.version, data)
        self._root, self._root_bytes = root, data

    def _has_root_key(self) -> bool:
        role = self._root.roles[Root.type]
        return all(self._keys.signer(Root.type, key) is not None for key in role.keyids)

    def _not_before(self, now: datetime) -> datetime:
        """The fleet's clock never goes back behind what it has signed."""
        return max(now, issued(self._timestamp), issued(self._root))

    def _index(self, targets: Targets) -> None:
        self._targets = targets
        self._served = _served(targets)
        self._published = {
            path.partition("/")[0]: ArtifactRef(
                digest=path.partition("/")[0], **target.unrecognized_fields["custom"]
            )
            for path, target in targets.targets.items()
            if "custom" in target.unrecognized_fields
        }


def _served(targets: Targets) -> dict[str, str]:
    """The blob behind each wire path."""
    return {wire_path(target): target.hashes["sha256"] for target in targets.targets.values()}


def _targets_of(artifact: Artifact) -> list[TargetFile]:
    """The manifest, which also says what it is called, and every file that it lists."""
    manifest, digest = artifact.manifest, artifact.digest
    named = {"custom": {"name": manifest.name, "version": manifest.version}}
    size = len(artifact.manifest_bytes)
    listed = [TargetFile(size, {"sha256": digest}, f"{digest}/{MANIFEST}", named)]
    for name, entry in manifest.files.items():
        listed.append(TargetFile(entry.size, {"sha256": entry.sha256}, f"{digest}/{name}"))
    return listed

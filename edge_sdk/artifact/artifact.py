"""An artifact opened for use: its manifest, its digest, and files checked as they are read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from edge_sdk.artifact import container
from edge_sdk.closing import Closing
from edge_sdk.errors import ArtifactError, UsageError
from edge_sdk.files import disk_error, sha256, whole_file
from edge_sdk.spec import FileEntry, Manifest, Variant, decode_manifest, encode
from edge_sdk.spec.contents import GOLDEN, MANIFEST, REPORTS, contradictions, variant_files
from edge_sdk.text import nearest

if TYPE_CHECKING:
    from edge_sdk.artifact.golden import Golden


class _Contents(Protocol):
    """Files by name, wherever they are."""

    def __contains__(self, name: str, /) -> bool: ...
    def __iter__(self) -> Iterator[str]: ...
    def read(self, name: str) -> bytes: ...
    def close(self) -> None: ...


class Artifact(Closing):
    """``NAME-VERSION.edge``, opened and its layout checked. Use as a context manager, or ``close``.

    Attributes:
        path: the file.
        manifest: its description.
        manifest_bytes: the file it was read from, unknown fields and all.
    """

    def __init__(self, path: Path) -> None:
        """Open ``path``.

        Raises:
            UsageError: there is no such file.
            ArtifactError: it is not an artifact, or is corrupt.
            UnavailableError: it needs a newer edgeloop.
        """
        self.path = path
        self._container: _Contents = container.Container.open(path, MANIFEST)
        try:
            self._read_manifest()
        except BaseException:
            self.close()
            raise

    def _read_manifest(self) -> None:
        data = self._container.read(MANIFEST)
        self.manifest: Manifest = decode_manifest(data, f"{self.path}: {MANIFEST}")
        self.manifest_bytes = data
        for problem in contradictions(self.manifest, set(self._container) - {MANIFEST}):
            raise ArtifactError(f"{self.path} {problem}.")

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the manifest's bytes, in hex: the artifact's name for machines."""
        return sha256(self.manifest_bytes)

    def close(self) -> None:
        """Close the file. What was read stays valid."""
        self._container.close()

    def __contains__(self, name: str) -> bool:
        return name in self.manifest.files

    def read(self, name: str) -> bytes:
        """The bytes of one file; KeyError if there is none of that name.

        Raises:
            ArtifactError: they are not those that the manifest names; or of a report, which it
                need not name, not those that were written.
        """
        if name in self.unlisted:
            return self._container.read(name)
        entry = self.manifest.files[name]
        data = self._container.read(name)
        if len(data) != entry.size or sha256(data) != entry.sha256:
            raise self.wrong(name)
        return data

    def wrong(self, name: str) -> ArtifactError:
        """The complaint about a file that is not the one that was promised."""
        return ArtifactError(
            f"{self.path}: {name} is not the file its manifest names: its digest differs."
        )

    def model(self, variant: Variant) -> Path | bytes:
        """What an engine is handed of a variant: its model's bytes, or the file where it lies.

        Raises:
            ArtifactError: it is not the one that the manifest names.
        """
        return self.read(variant.path)

    @property
    def variants(self) -> tuple[Variant, ...]:
        """The variants that can be read from here."""
        return self.manifest.variants

    def variant(self, variant_id: str) -> Variant:
        """The variant of that id. Raises UsageError naming those there are."""
        try:
            return self.manifest.variant(variant_id)
        except KeyError:
            ids = [v.id for v in self.variants]
            raise UsageError(
                f"{self.path} has no variant {variant_id!r}.", nearest(variant_id, ids)
            ) from None

    def golden(self) -> Golden | None:
        """The golden vectors, or None if the artifact carries none."""
        if GOLDEN not in self:
            return None
        from edge_sdk.artifact import golden  # a load that trusts a kept verdict needs none of it

        return golden.unpack(self.read(GOLDEN), f"{self.path}: {GOLDEN}")

    def verify_digests(self) -> Iterator[str]:
        """Read and check every file, yielding each name once it has proved right.

        Reports that the manifest does not list are checked as well, and not among the names.
        """
        for name in self.manifest.files:
            self.read(name)
            yield name
        for name in self.unlisted:
            self.read(name)

    @property
    def unlisted(self) -> tuple[str, ...]:
        """The reports that the manifest does not list: neither digest nor signature covers them."""
        return tuple(n for n in REPORTS if n in self._container and n not in self.manifest.files)

    def extract(self, variant: Variant, folder: Path) -> Path:
        """Write one variant's files below ``folder``; answers its model file or package there.

        Raises:
            ArtifactError: a file is corrupt.
            UsageError: ``folder`` cannot be written.
            UnavailableError: the disk is full.
        """
        for name in variant_files(self.manifest, variant):
            target = folder / name
            try:
                target.parent.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise disk_error(error, target) from error
            with whole_file(target) as file:
                file.write(self.read(name))
        return folder / variant.path


def measure(contents: Mapping[str, container.Content]) -> dict[str, FileEntry]:
    """Digest and size of each file, sorted by name: the manifest's ``files``.

    Raises:
        UsageError: a file cannot be read.
    """
    import hashlib  # brings OpenSSL, see ``files.sha256``

    entries = {}
    for name in sorted(contents):
        digest, size = hashlib.sha256(), 0
        for block in container.blocks(contents[name]):
            digest.update(block)
            size += len(block)
        entries[name] = FileEntry(sha256=digest.hexdigest(), size=size)
    return entries


def pack(path: Path, manifest: Manifest, contents: Mapping[str, container.Content]) -> str:
    """Write an artifact, whole or not at all, that ``Artifact`` will open; answers its digest.

    Args:
        path: where to; an existing file is replaced.
        manifest: its ``files`` must describe ``contents`` (see ``measure``), but may leave out the
            reports.
        contents: every file but the manifest.

    Raises:
        UsageError: a name or a size that no artifact may have, a manifest that does not describe
            the contents, or a folder that cannot be written.
        UnavailableError: the disk is full.
    """
    data = encode(manifest)
    problems = list(contradictions(manifest, set(contents)))
    listed = {n: c for n, c in contents.items() if n not in REPORTS or n in manifest.files}
    if measure(listed) != manifest.files:
        problems.append("has files that are not those its manifest names")
    if problems:
        raise UsageError(f"{path} would not be an artifact: it {problems[0]}.")
    ordered = {MANIFEST: data, **{name: contents[name] for name in sorted(contents)}}
    with whole_file(path) as file:
        container.write(file, ordered)
    return sha256(data)

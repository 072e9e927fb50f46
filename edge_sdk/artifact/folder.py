"""An artifact unpacked in a folder, or as much of it as this device needs.

A device fetches the manifest, golden vectors, baseline and the one variant that fits it, each file
by itself; what it did not fetch is simply not there. What is there is checked as it is read, just
as in an ``.edge`` file: a flipped bit on the device's disk is found before it answers anybody.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from edge_sdk.artifact.artifact import Artifact
from edge_sdk.errors import ArtifactError, UsageError
from edge_sdk.files import sha256_file, tree
from edge_sdk.spec import Variant, decode_manifest
from edge_sdk.spec.contents import MANIFEST, contradictions, name_problem, variant_files


class ArtifactFolder(Artifact):
    """A folder with a ``manifest.json``, opened. Like an ``Artifact``, but need not be complete.

    Raises (on construction):
        UsageError: there is no such folder, or it cannot be read.
        ArtifactError: it is not an artifact's, or its manifest is corrupt.
        UnavailableError: it needs a newer edgeloop.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._container = _Files(path)
        self._read_manifest()

    def _read_manifest(self) -> None:
        if MANIFEST not in self._container:
            raise ArtifactError(f"{self.path} has no {MANIFEST}: it is no artifact's folder.")
        data = self._container.read(MANIFEST)
        self.manifest = decode_manifest(data, f"{self.path}: {MANIFEST}")
        self.manifest_bytes = data
        listed = set(self.manifest.files)
        for name in sorted(listed):
            if problem := name_problem(name):
                raise ArtifactError(f"{self.path} names the file {name!r}: {problem}.")
        for problem in contradictions(self.manifest, listed):
            raise ArtifactError(f"{self.path} {problem}.")

    def __contains__(self, name: str) -> bool:
        return name in self.manifest.files and name in self._container

    def model(self, variant: Variant) -> Path | bytes:
        """See ``Artifact.model``: the file itself, checked, for the engine to map.

        Who replaces a model on a device that runs puts a new file in its place: one that is written
        over, or cut short, changes under the engine.
        """
        path, entry = self.path / variant.path, self.manifest.files[variant.path]
        try:
            right = path.stat().st_size == entry.size and sha256_file(path) == entry.sha256
        except FileNotFoundError:
            raise ArtifactError(f"{self.path} lacks {variant.path}.") from None
        except OSError as error:
            raise UsageError(
                f"{path} cannot be read: {error.strerror}.", f"ls -l {path.parent}"
            ) from error
        if not right:
            raise self.wrong(variant.path)
        return path

    @property
    def variants(self) -> tuple[Variant, ...]:
        """The variants whose files are all here."""
        return tuple(
            variant
            for variant in self.manifest.variants
            if all(name in self for name in variant_files(self.manifest, variant))
        )

    def verify_digests(self) -> Iterator[str]:
        """Read and check every file that is here, yielding each name once it has proved right."""
        for name in self.manifest.files:
            if name in self:
                self.read(name)
                yield name


class _Files:
    """The files of a folder, in the terms of a container."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def __contains__(self, name: str) -> bool:
        return (self._folder / name).is_file()

    def __iter__(self) -> Iterator[str]:
        return iter(tree(self._folder))

    def read(self, name: str) -> bytes:
        path = self._folder / name
        try:
            return path.read_bytes()
        except FileNotFoundError:
            raise ArtifactError(f"{self._folder} lacks {name}.") from None
        except OSError as error:
            raise UsageError(
                f"{path} cannot be read: {error.strerror}.", f"ls -l {path.parent}"
            ) from error

    def close(self) -> None:
        """There is nothing to close: files are opened as they are read."""

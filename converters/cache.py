"""Variants that were made before and need not be made again, by all that decides their bytes.

A key is the digest of the source, its signature with the shapes that were fixed, the recipe, the
calibration data, the versions of all tools, and of the converters' own code. Only sources that are
files are kept: what a model in memory computes is not all in what can be digested of it.

**What comes out of the cache is proven as if it had just been made**, beside the original, on the
data of this run. So a stale or foreign entry costs a refusal at worst, and never makes an artifact.

An entry is one file: the digest of the rest on its first line, then a tar of the model file or
package. It is written beside its name and takes it when it is whole; one that does not match its
digest is removed and made anew. When all together are over the limit, those longest unused go.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import tarfile
from collections.abc import Mapping
from contextlib import suppress
from functools import cache
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

from converters.recipe import Order, Recipe
from converters.samples import Samples
from converters.sources import Source
from converters.targets import Emitted, Target
from converters.targets.coreml import MilRunner
from converters.targets.engine_runner import EngineRunner
from edge_sdk.errors import EdgeError
from edge_sdk.files import cache_folder, sha256_tree, whole_file
from edge_sdk.spec import AGENT_VERSION, Format, Signature, encode

LIMIT_BYTES = 2_000_000_000
"""Of all entries together."""
_BLOCK_BYTES = 1 << 20
_UNREADABLE = (OSError, tarfile.TarError, ValueError, EOFError, KeyError)


class VariantCache:
    """A folder of entries.

    Attributes:
        found: ids of the variants that came out of it.
    """

    def __init__(self, folder: Path | None = None, limit_bytes: int = LIMIT_BYTES) -> None:
        self._folder = folder or cache_folder() / "conversions"
        self._limit_bytes = limit_bytes
        self.found: list[str] = []

    def take(self, key: str, folder: Path) -> Path | None:
        """Unpack an entry into a new ``folder``; None if there is none that is whole."""
        entry = self._entry(key)
        try:
            with entry.open("rb") as file:
                wanted = file.readline(80).strip()
                start = file.tell()
                if hashlib.file_digest(file, "sha256").hexdigest().encode() != wanted:
                    raise ValueError("it does not match its digest")
                file.seek(start)
                with tarfile.open(fileobj=file, mode="r:") as archive:
                    name = archive.getnames()[0]
                    archive.extractall(folder, filter="data")
            os.utime(entry)
        except FileNotFoundError:
            return None
        except _UNREADABLE:
            shutil.rmtree(folder, ignore_errors=True)
            with suppress(OSError):
                entry.unlink()
            return None
        return folder / name.partition("/")[0]

    def keep(self, key: str, path: Path) -> None:
        """Put a model file or package in. A cache that cannot be written is no reason to stop."""
        with suppress(EdgeError, OSError):
            self._folder.mkdir(parents=True, exist_ok=True)
            with TemporaryFile() as packed, whole_file(self._entry(key)) as file:
                with tarfile.open(fileobj=packed, mode="w") as archive:
                    archive.add(path, arcname=path.name, filter=_plain)
                packed.seek(0)
                file.write(hashlib.file_digest(packed, "sha256").hexdigest().encode() + b"\n")
                packed.seek(0)
                shutil.copyfileobj(packed, file, _BLOCK_BYTES)
            self._shrink()

    def _entry(self, key: str) -> Path:
        return self._folder / f"{key}.variant"

    def _shrink(self) -> None:
        """Remove those longest unused, until the rest is within the limit."""
        entries = sorted(self._folder.glob("*.variant"), key=lambda entry: entry.stat().st_mtime)
        total = sum(entry.stat().st_size for entry in entries)
        for entry in entries:
            if total <= self._limit_bytes:
                return
            total -= entry.stat().st_size
            entry.unlink()


class CachedTarget:
    """A target that takes out of the cache what it can, and puts in what it has to make."""

    def __init__(
        self, target: Target, variants: VariantCache, source: Source, folder: Path
    ) -> None:
        self.format: Format = target.format
        self.backends = target.backends
        self._target, self._variants, self._source, self._folder = target, variants, source, folder

    def emit(self, recipe: Recipe, calibration: Samples | None) -> Emitted:
        """See ``Target.emit``."""
        variant = Order(self.format, recipe).id
        key = self._key(recipe, calibration if recipe.calibrated else None)
        path = self._variants.take(key, self._folder / "cached" / variant)
        if path is not None:
            with suppress(EdgeError):  # it does not load: as if it were not there
                emitted = _opened(path, self.format, self._source.signature, variant)
                self._variants.found.append(variant)
                return emitted
        emitted = self._target.emit(recipe, calibration)
        self._variants.keep(key, emitted.path)
        return emitted

    def trunk(self) -> Any:
        """See ``Target.trunk``."""
        return self._target.trunk()

    def tools(self) -> Mapping[str, str]:
        """See ``Target.tools``."""
        return self._target.tools()

    def _key(self, recipe: Recipe, calibration: Samples | None) -> str:
        """The name of a variant's entry: a digest of all that decides its bytes."""
        parts = [
            self._source.sha256,
            self._source.kind,
            encode(self._source.signature).hex(),
            self.format,
            repr(recipe),
            calibration.sha256 if calibration else "",
            repr(sorted((self._source.tools() | dict(self.tools())).items())),
            AGENT_VERSION,
            _own_code(),
        ]
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()


@cache
def _own_code() -> str:
    """The digest of the converters' code: in a checkout it changes without a new version."""
    folder = Path(__file__).parent
    files = sorted(path for path in folder.rglob("*.py"))
    return hashlib.sha256("".join(map(sha256_tree, files)).encode()).hexdigest()


def _plain(member: tarfile.TarInfo) -> tarfile.TarInfo:
    """Without times and owners: the same variant is the same entry."""
    member.mtime, member.uid, member.gid, member.uname, member.gname = 0, 0, 0, "", ""
    return member


def _opened(path: Path, format_: Format, declared: Signature, what: str) -> Emitted:
    """A variant's file as its target would hand it out."""
    runner: MilRunner | EngineRunner
    if format_ == "coreml":
        runner = MilRunner(path, declared, what)
    else:
        runner = EngineRunner(path.read_bytes(), format_, declared, what)
    return Emitted(path, runner.signature, runner)

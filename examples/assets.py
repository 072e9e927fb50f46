"""Real models and data by name: found in a cache outside the repository, or fetched into it once.

    from examples.assets import asset
    frames = asset("carphone")          # a file
    clothes = asset("fashion-mnist")    # a folder

``assets.toml`` says for each name where its files come from and which sha256 each must have. A file
of the cache is checked whenever it is asked for; one that is missing, cut off or altered is fetched
again, and once all are there nothing touches the network. The cache is ``$EDGELOOP_ASSETS``, else
``$XDG_CACHE_HOME/edgeloop/assets``, else ``~/.cache/edgeloop/assets``.

Only the standard library is used, so that this runs before anything is installed.
"""

from __future__ import annotations

import hashlib
import os
import sys
import tempfile
import tomllib
from dataclasses import dataclass
from pathlib import Path

from examples.asset_sources import Source, SourceError, read_files

CATALOGUE = Path(__file__).with_name("assets.toml")


class AssetError(Exception):
    """An asset cannot be had.

    Attributes:
        message: which one and why.
        hint: what to do about it.
        exit_code: 2 an unknown name, 3 not available here, 4 not what it should be.
    """

    def __init__(self, message: str, hint: str = "", exit_code: int = 3) -> None:
        super().__init__(f"{message}\n  {hint}" if hint else message)
        self.message = message
        self.hint = hint
        self.exit_code = exit_code


@dataclass(frozen=True, slots=True)
class Asset:
    """One entry of the catalogue.

    Attributes:
        name: what it is asked for by.
        about: one line for a person.
        licence: of the files, as far as their package states it.
        sources: where to get it, in the order to try.
        digests: file name to sha256 in hexadecimal.
        folder: whether its path is the folder rather than its only file.
        optional: whether it is fetched only when it is asked for by name.
    """

    name: str
    about: str
    licence: str
    sources: tuple[Source, ...]
    digests: dict[str, str]
    folder: bool
    optional: bool

    @property
    def home(self) -> Path:
        """The folder of the cache that holds its files."""
        return cache() / self.name

    @property
    def path(self) -> Path:
        """What ``asset`` returns, whether it is there yet or not."""
        return self.home if self.folder else self.home / next(iter(self.digests))

    def missing(self) -> dict[str, str]:
        """Return the files, with their digests, that the cache does not hold as they should be."""
        return {
            name: digest
            for name, digest in self.digests.items()
            if _digest_of(self.home / name) != digest
        }


def asset(name: str) -> Path:
    """Return the path of an asset, fetching it if it is not in the cache.

    Args:
        name: a name in ``assets.toml``, such as ``"carphone"``.

    Returns:
        A file, or for an asset of several files their folder.

    Raises:
        AssetError: the name is unknown, or the asset can neither be found nor fetched.
    """
    catalogue = load_catalogue()
    if name not in catalogue:
        raise AssetError(f"there is no asset {name!r}", f"choose from {', '.join(catalogue)}", 2)
    wanted = catalogue[name]
    missing = wanted.missing()
    if missing:
        _fetch(wanted, missing)
    return wanted.path


def load_catalogue() -> dict[str, Asset]:
    """Read ``assets.toml``."""
    entries = tomllib.loads(CATALOGUE.read_text(encoding="utf-8"))
    return {
        name: Asset(
            name=name,
            about=entry["about"],
            licence=entry["licence"],
            sources=tuple(Source(*pair) for each in entry["sources"] for pair in each.items()),
            digests=entry["files"],
            folder=entry.get("folder", False),
            optional=entry.get("optional", False),
        )
        for name, entry in entries.items()
    }


def cache() -> Path:
    """Return the folder that holds all assets."""
    if chosen := os.environ.get("EDGELOOP_ASSETS"):
        return Path(chosen).expanduser()
    root = os.environ.get("XDG_CACHE_HOME")
    return (Path(root) if root else Path.home() / ".cache") / "edgeloop" / "assets"


def _fetch(wanted: Asset, missing: dict[str, str]) -> None:
    """Fill the cache from the first source that gives every missing file as it should be."""
    reasons: list[str] = []
    altered = False
    for source in wanted.sources:
        print(f"fetching {wanted.name} from {source} …", file=sys.stderr)
        found: dict[str, str] = {}
        try:
            for name, content in read_files(source, missing):
                digest = hashlib.sha256(content).hexdigest()
                # A package may hold several files of one name; the digest says which is meant.
                if digest == missing[name]:
                    _write(wanted.home / name, content)
                if found.get(name) != missing[name]:
                    found[name] = digest
        except SourceError as error:
            reasons.append(f"{source}: {error}")
            continue
        wrong = [
            f"{source}: {name} has sha256 {found[name]} instead of {digest}"
            if name in found
            else f"{source}: holds no {name}"
            for name, digest in missing.items()
            if found.get(name) != digest
        ]
        if not wrong:
            return
        altered = True
        reasons += wrong
    raise AssetError(
        f"cannot get the asset {wanted.name}:\n    " + "\n    ".join(reasons),
        f"or put {', '.join(missing)} into {wanted.home} yourself",
        exit_code=4 if altered else 3,
    )


def _write(path: Path, content: bytes) -> None:
    """Write a file whole or not at all, so that no reader ever sees half of it."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=".", delete=False) as scratch:
            temporary = Path(scratch.name)
            try:
                scratch.write(content)
                scratch.flush()
                temporary.chmod(0o644)
                temporary.replace(path)
            except BaseException:
                temporary.unlink(missing_ok=True)
                raise
    except OSError as error:
        hint = "free some space or choose another folder: export EDGELOOP_ASSETS=FOLDER"
        raise AssetError(f"cannot write {path}: {error.strerror}", hint) from error


def _digest_of(path: Path) -> str | None:
    """Return the sha256 of a file in hexadecimal, or None if there is none to read."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return None

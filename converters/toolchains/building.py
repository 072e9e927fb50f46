"""Building a toolchain whole or not at all, and taking it away."""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
import sys
import venv
from collections.abc import Callable, Sequence
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path

import msgspec

from converters.toolchains.catalogue import Toolchain
from converters.toolchains.place import (
    HOME,
    MARK,
    Mark,
    census,
    examine,
    folder_of,
    home,
    locked,
    python_of,
)
from edge_sdk.errors import UnavailableError
from edge_sdk.files import disk_error, whole_file

Tell = Callable[[str], None]

_PIP = (
    *("--disable-pip-version-check", "--no-input", "--quiet", "install"),
    *("--no-deps", "--ignore-requires-python", "--only-binary=:all:", "--retries=2"),
)
_STRAY = ("PIP_TARGET", "PIP_PREFIX", "PIP_USER", "PIP_ROOT", "PIP_REQUIREMENT", "PIP_CONSTRAINT")
"""Settings that would make pip install other things, or elsewhere."""


def install(chain: Toolchain, tell: Tell = lambda _: None) -> Mark:
    """Make sure that a toolchain is there and works.

    What a killed build left behind does not count and is cleared away. Two builds at once: the
    second waits for the first and finds it done.

    Args:
        chain: which.
        tell: told what is going on.

    Returns:
        The mark of what is there now.

    Raises:
        UnavailableError: no pip, no package index, no room, or what was installed does not run.
        UsageError: its folder cannot be written.
    """
    with locked(chain) as descriptor:
        state, mark = examine(chain)
        folder = folder_of(chain)
        if state == "installed" and mark is not None and not _complaint(chain, folder):
            return mark
        if state == "damaged" or mark is not None:
            tell(f"{chain.name} is damaged; building it anew …")
        try:
            _clear(folder)
            _check_room(chain)
            return _build(chain, folder, descriptor, tell)
        except BaseException as error:
            _clear(folder)
            if isinstance(error, OSError):
                raise disk_error(error, folder) from error
            raise


def remove(chain: Toolchain) -> int:
    """Take a toolchain away, in every version and for every Python; answers how many bytes."""
    if not home().is_dir():
        return 0
    with locked(chain):
        freed = 0
        for folder in home().glob(f"{chain.name}-*"):
            freed += census(folder)[1]
            try:
                _clear(folder)
            except OSError as error:
                raise disk_error(error, folder) from error
        return freed


def _build(chain: Toolchain, folder: Path, descriptor: int, tell: Tell) -> Mark:
    tell(f"making a Python environment for {chain.name} …")
    venv.EnvBuilder(symlinks=True, with_pip=False).create(folder)
    python = python_of(folder)
    tell(f"installing {chain.name} {chain.version} from its lock file …")
    done = _run([*_pip_for(python), *_PIP, "--requirement", str(chain.lock)], descriptor)
    if done.returncode != 0:
        raise _no_install(chain, done)
    tell(f"trying {chain.name} …")
    if complaint := _complaint(chain, folder):
        raise UnavailableError(
            f"The toolchain {chain.name} was installed, but does not run here: {complaint}",
            f"edge toolchain install {chain.name}   # on Linux, with Python 3.11 to 3.13",
        )
    digest, size = census(folder)
    mark = Mark(
        version=chain.version,
        lock_sha256=chain.lock_sha256,
        python=platform.python_version(),
        census=digest,
        size=size,
    )
    with whole_file(folder / MARK) as file:
        file.write(msgspec.json.encode(mark))
    return mark


def _pip_for(python: Path) -> list[str]:
    """A pip that installs for that Python: this environment's own, else one that venv brings."""
    if find_spec("pip") is not None:
        return [sys.executable, "-m", "pip", "--python", str(python)]
    if find_spec("ensurepip") is None:
        raise UnavailableError(
            "This Python has neither pip nor ensurepip, and a toolchain is installed by pip.",
            "sudo apt-get install python3-venv   # or: uv pip install pip",
        )
    done = _run([str(python), "-I", "-m", "ensurepip"], None)
    if done.returncode != 0:
        raise UnavailableError(
            f"pip could not be set up: {_last(done.stdout)}",
            "sudo apt-get install python3-venv   # or: uv pip install pip",
        )
    return [str(python), "-I", "-m", "pip"]


def _complaint(chain: Toolchain, folder: Path) -> str:
    """Why what is installed does not run; empty if it does."""
    done = _run([str(python_of(folder)), "-I", "-B", str(chain.driver), "--check"], None)
    return "" if done.returncode == 0 else _last(done.stdout) or f"exit code {done.returncode}"


def _run(command: Sequence[str], descriptor: int | None) -> subprocess.CompletedProcess[str]:
    stray = {*_STRAY, "PYTHONPATH", "PYTHONHOME"}
    environment = {name: value for name, value in os.environ.items() if name not in stray}
    try:
        return subprocess.run(
            command,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            check=False,
            pass_fds=() if descriptor is None else (descriptor,),
        )
    except OSError as error:
        return subprocess.CompletedProcess(command, 127, stdout=str(error))


def _no_install(chain: Toolchain, done: subprocess.CompletedProcess[str]) -> UnavailableError:
    """pip's complaint, and what to do about it."""
    said = done.stdout
    if "No space left" in said or "Errno 28" in said:
        return UnavailableError(
            f"There is no room for the toolchain {chain.name} in {home()}.",
            f"df -h {home()}   # make room there, or: export {HOME}=/a/folder/with/room",
        )
    return UnavailableError(
        f"The toolchain {chain.name} could not be installed: {_last(said)}",
        "pip takes it from a package index: check the network, and `pip config list`.\n"
        f"Then type it again: edge toolchain install {chain.name}",
    )


def _last(said: str) -> str:
    """What matters of a program's last words."""
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    errors = [line for line in lines if re.match(r"(ERROR|\w+Error)\b", line)]
    return (errors or lines or [""])[-1].removeprefix("ERROR: ")[:400]


def _check_room(chain: Toolchain) -> None:
    free_mb = shutil.disk_usage(home()).free // 1_000_000
    if free_mb < chain.needed_mb:
        raise UnavailableError(
            f"The disk of {home()} has {free_mb} MB left; {chain.name} needs {chain.needed_mb} MB.",
            f"Make room there, or choose another folder: export {HOME}=/a/folder",
        )


def _clear(folder: Path) -> None:
    """Take a toolchain's folder away, the mark first, so that half of it never counts."""
    with suppress(FileNotFoundError, NotADirectoryError):
        (folder / MARK).unlink()
    if folder.is_symlink() or folder.is_file():
        folder.unlink()
    elif folder.exists():
        shutil.rmtree(folder)

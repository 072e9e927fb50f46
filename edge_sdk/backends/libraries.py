"""Delegates that come as shared libraries: found, looked at, tried elsewhere, and only then loaded.

A library that is loaded runs code in this process before anything can be checked, and one that is
broken takes the process with it. So, before that: is the file there, is it built for this machine,
and does it survive a run of the model in a process of its own (``edge_sdk.backends.probe``)? A
verdict is kept for as long as the process lives, for that library, its options and that model.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path

from edge_sdk.backends.base import DelegateRequest
from edge_sdk.backends.delegates import TFLITE_LIBRARIES
from edge_sdk.backends.probe import THROUGH
from edge_sdk.errors import UnavailableError
from edge_sdk.files import memory_file, sha256

PROBE_SECONDS = 60
"""How long a library may take for loading, preparing and one run; the first run may compile."""

_MACHINES = {
    3: "32-bit x86",
    8: "MIPS",
    40: "32-bit Arm",
    62: "x86-64",
    183: "64-bit Arm",
    243: "RISC-V",
}
"""ELF's ``e_machine``."""

_FOLDERS = (
    "/usr/local/lib",
    "/lib",
    "/usr/lib",
    f"/usr/lib/{getattr(sys.implementation, '_multiarch', '')}",
    f"/lib/{getattr(sys.implementation, '_multiarch', '')}",
    "/lib64",
    "/usr/lib64",
)


def find(request: DelegateRequest) -> Path:
    """The library's file.

    Raises:
        UnavailableError: there is none, or it is not built for this machine.
    """
    name = request.name if request.library else TFLITE_LIBRARIES[request.name]
    path = next((place for place in places(name, given=request.library) if place.is_file()), None)
    if path is None:
        where = "" if request.library else f"; {request.name} needs it, from its maker's driver"
        raise UnavailableError(f"its library cannot be loaded: {name}: No such file here{where}")
    _check_machine(path)
    return path.resolve()


def places(name: str, *, given: bool) -> Iterator[Path]:
    """Where a library would be found, the first place first.

    Args:
        name: the file's name, or its path.
        given: whether that is what somebody wrote, who may mean a file in the current folder.
    """
    if given:
        yield Path(name)
    if "/" not in name:
        for folder in os.environ.get("LD_LIBRARY_PATH", "").split(":"):
            if folder:
                yield Path(folder, name)
        yield from (Path(folder, name) for folder in _FOLDERS)


def _check_machine(path: Path) -> None:
    theirs, ours = _machine(path), _machine(Path("/proc/self/exe"))
    if theirs is None:
        raise UnavailableError(f"its library cannot be loaded: {path} is no shared library")
    if ours is not None and theirs != ours:
        raise UnavailableError(
            f"its library cannot be loaded: {path} is built for {_MACHINES.get(theirs, theirs)}, "
            f"this is {_MACHINES.get(ours, ours)}"
        )


def _machine(path: Path) -> int | None:
    """For which processors an ELF file is built; None if it is no such file."""
    try:
        with path.open("rb") as file:
            head = file.read(20)
    except OSError:
        return None
    if head[:4] != b"\x7fELF" or len(head) < 20:
        return None
    return int.from_bytes(head[18:20], "little" if head[5] == 1 else "big")


def driver(path: Path) -> str:
    """What tells one build of a library from the next: its name and the digest of its bytes."""
    stat = path.stat()
    return f"{path.name} {_digest(str(path), stat.st_mtime_ns, stat.st_size, stat.st_ino)}"


_in_process: dict[str, str] = {}


def driver_in_process(path: Path) -> str:
    """The same of the library that this process has loaded from there, once it has.

    It stays until the process ends: loading it again gives the old one, whatever lies there now.
    """
    return _in_process.setdefault(str(path), driver(path))


@lru_cache(maxsize=64)
def _digest(path: str, *_stat: int) -> str:
    return sha256(Path(path).read_bytes())[:16]


_survived: set[tuple[str, ...]] = set()
"""What has come through its probe in the life of this process."""


def try_elsewhere(
    engine: str, library: Path, options: dict[str, str], model: Path | bytes, threads: int
) -> None:
    """Load a library, give it the model and run once on zeros, in a process of its own.

    Args:
        engine: the module that has ``Interpreter`` and ``load_delegate``.
        library, options: the delegate.
        model: what it is to run.
        threads: for what it leaves.

    Raises:
        UnavailableError: it killed that process, or did not come to an end. A refusal that the
            engine can report is none: it will be reported by the engine itself.
    """
    content = str(model) if isinstance(model, Path) else sha256(model)
    if isinstance(model, Path):
        stat = model.stat()
        content += f" {stat.st_mtime_ns} {stat.st_size} {stat.st_ino}"
    key = (engine, driver(library), json.dumps(options, sort_keys=True), content)
    if key in _survived:
        return
    with _as_file(model) as path:
        code, stages = _run_probe(
            [engine, str(library), json.dumps(options), str(path), str(threads)]
        )
    through = THROUGH in stages
    stage = next((each for each in reversed(stages) if each != THROUGH), "the engine was loaded")
    if code is None:
        raise UnavailableError(f"it did not come to an end within {PROBE_SECONDS} s while {stage}")
    if code < 0:
        name = signal.Signals(-code).name if -code in set(signal.Signals) else f"signal {-code}"
        raise UnavailableError(f"it crashes the process ({name}) while {stage}")
    if code != 0 or not through:
        raise UnavailableError(f"it ends the process (exit code {code}) while {stage}")
    _survived.add(key)


@contextmanager
def _as_file(model: Path | bytes) -> Iterator[str]:
    """A path at which our child processes find the model; its bytes take no room on a disk."""
    if isinstance(model, Path):
        yield str(model)
        return
    with memory_file() as file:
        file.write(model)
        file.flush()
        yield f"/proc/{os.getpid()}/fd/{file.fileno()}"


def _run_probe(arguments: list[str]) -> tuple[int | None, list[str]]:
    """The probe's exit code, None if it was cut short, and what it said that it was at."""
    import subprocess

    # -I, and our own path: what lies in the current folder, or is in the environment, is not ours.
    root = str(Path(__file__).resolve().parents[2])
    program = (
        f"import sys; sys.path[:] = {[root, *sys.path]!r}; "
        "from edge_sdk.backends.probe import main; main(sys.argv[1:])"
    )
    ours, theirs = os.pipe()
    try:
        with os.fdopen(ours, "rb") as said:
            os.set_blocking(ours, False)
            try:
                code: int | None = subprocess.run(
                    [sys.executable, "-I", "-c", program, str(theirs), *arguments],
                    pass_fds=[theirs],
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                    timeout=PROBE_SECONDS,
                    check=False,
                ).returncode
            except subprocess.TimeoutExpired:
                code = None
            stages = (said.read() or b"").decode(errors="replace").splitlines()
    finally:
        os.close(theirs)
    return code, stages

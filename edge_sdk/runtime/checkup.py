"""The checks of ``edge doctor``: what is ok, what is missing, what is wrong, and what mends it.

*Missing* means that nothing is broken and here is how to get it; *wrong* means that it will fail,
or already harms something else. Each check is a function of what was read from the machine;
``examine`` reads it.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from edge_sdk.files import cache_folder
from edge_sdk.runtime import installation
from edge_sdk.runtime.installation import PACKAGES, Snapshot
from edge_sdk.runtime.machine import profile
from edge_sdk.spec import DeviceProfile, Runtime, Word

EXTRAS = ("litert", "tflite", "onnx", "vision", "mediapipe", "convert")
"""The extras that people choose between, in the order they are told of."""

_ENGINES = {
    "litert": "litert",
    "litert-compiled": "litert",
    "tflite-runtime": "tflite",
    "onnxruntime": "onnx",
}
"""Backend to the extra that installs it."""


class Check(Word, frozen=True, kw_only=True):
    """One thing that was looked at.

    Attributes:
        name: what it is.
        state: see the module.
        found: what was seen.
        mend: the command, or the step, that gets or repairs it; empty where nothing needs doing.
    """

    name: str
    state: Literal["ok", "missing", "wrong"]
    found: str
    mend: str = ""


class Diagnosis(Word, frozen=True, kw_only=True):
    """What ``edge doctor --json`` prints.

    Attributes:
        healthy: whether nothing is wrong; missing things do not count.
    """

    profile: DeviceProfile
    checks: tuple[Check, ...]
    healthy: bool


@dataclass(frozen=True, slots=True)
class Wheels:
    """The machines that a distribution is built for; it has no source that pip could build.

    Attributes:
        machines: architecture to the oldest C library (glibc) there.
        pythons: oldest and newest.
    """

    machines: dict[str, tuple[int, int]]
    pythons: tuple[tuple[int, int], tuple[int, int]]


WHEELS = {
    "litert": Wheels({"x86_64": (2, 27), "aarch64": (2, 27)}, ((3, 10), (3, 14))),
    "tflite": Wheels({"x86_64": (2, 17), "aarch64": (2, 34), "armv7l": (2, 34)}, ((3, 8), (3, 11))),
}
"""What is known of engines' wheels on Linux (ai-edge-litert 2.3, tflite-runtime 2.14)."""


def examine() -> Diagnosis:
    """Look at this machine. Engines are imported; TensorFlow and its like are only looked up."""
    here, machine = installation.snapshot(), profile()
    root = Path(__file__).resolve().parents[2]
    checks = (
        python_check(sys.version_info[:2]),
        names_check(here, root),
        opencv_check(here),
        *(engine_check(runtime, here) for runtime in machine.runtimes),
        *extra_checks(here, machine.machine, sys.version_info[:2], glibc()),
        cache_check(cache_folder()),
        camera_check(sorted(Path("/dev").glob("video*"))),
    )
    healthy = all(check.state != "wrong" for check in checks)
    return Diagnosis(profile=machine, checks=checks, healthy=healthy)


def python_check(version: tuple[int, int]) -> Check:
    """Which of our packages this Python runs."""
    text = f"{version[0]}.{version[1]}"
    if version >= (3, 11):
        return Check(name="python", state="ok", found=f"{text} runs all of edgeloop")
    return Check(
        name="python",
        state="missing",
        found=f"{text} runs edge_sdk and device_agent; converters and fleet need 3.11",
        mend="python3.11 -m venv .venv, or newer",
    )


def names_check(here: Snapshot, root: Path) -> Check:
    """Whether our import packages are ours alone."""
    names = ", ".join(PACKAGES)
    strangers = installation.strangers(here, root)
    if not strangers:
        return Check(name="names", state="ok", found=f"{names} are edgeloop's alone")
    taken = "; ".join(f"{package} is also in {who}" for package, who in strangers.items())
    guilty = sorted(set().union(*here.owners.values()) - {installation.DISTRIBUTION})
    mend = (
        f"pip uninstall -y {' '.join(guilty)} && pip install --force-reinstall --no-deps edgeloop"
        if guilty
        else "rename that folder, or run edge from another one"
    )
    return Check(name="names", state="wrong", found=taken, mend=mend)


def opencv_check(here: Snapshot) -> Check:
    """Whether one distribution alone owns ``cv2``."""
    found = installation.opencvs(here)
    if not found:
        return Check(name="cv2", state="missing", found="no OpenCV", mend=_pip("vision"))
    if len(found) == 1:
        return Check(name="cv2", state="ok", found=f"{found[0]} {here.versions[found[0]]}")
    # MediaPipe asks for the contrib build by name; every other user of cv2 takes any of them.
    keep = "opencv-contrib-python" if "mediapipe" in here.versions else "opencv-python-headless"
    return Check(
        name="cv2",
        state="wrong",
        found=f"{' and '.join(found)} overwrite each other's files",
        mend=f"pip uninstall -y {' '.join(found)} && pip install {keep}",
    )


def engine_check(runtime: Runtime, here: Snapshot) -> Check:
    """Whether one inference engine is here and starts."""
    name = f"backend {runtime.backend}"
    if runtime.version is not None:
        offers = ", ".join(runtime.delegates)
        return Check(name=name, state="ok", found=f"{runtime.version}, delegates: {offers}")
    if runtime.backend not in _ENGINES:  # for other systems, or a last resort: nothing to mend
        return Check(name=name, state="missing", found=" ".join(runtime.reason.split()))
    extra = _ENGINES[runtime.backend]
    wanted = installation.of_extra(here.requirements, extra)
    engines = [r.name for r in wanted if r.name != "numpy"]  # which an extra may only hold back
    installed = [each for each in engines if each in here.versions]
    if not installed:
        return Check(name=name, state="missing", found="not installed", mend=_pip(extra))
    return Check(
        name=name,
        state="wrong",
        found=" ".join(runtime.reason.split()),
        mend=f"pip install --force-reinstall --no-deps {' '.join(installed)}",
    )


def extra_checks(
    here: Snapshot, machine: str, python: tuple[int, int], libc: tuple[int, ...]
) -> Iterator[Check]:
    """What each extra would bring that is not here."""
    if not here.requirements:
        yield Check(
            name="edgeloop",
            state="missing",
            found="runs from a folder without being installed: extras cannot be looked up",
            mend="pip install -e .",
        )
        return
    for extra in EXTRAS:
        yield extra_check(here, extra, unavailable(extra, machine, python, libc))


def extra_check(here: Snapshot, extra: str, obstacle: str = "") -> Check:
    """Whether everything an extra asks for is installed, in versions that it accepts.

    Args:
        here: what is installed.
        extra: its name.
        obstacle: why pip could not install it on this machine; empty if it could.
    """
    name = f"extra {extra}"
    wanted = installation.of_extra(here.requirements, extra)
    absent = installation.absent(here, extra)
    clashes = [
        f"{r.name} is {here.versions[r.name]} where {r.versions} is needed"
        for r in installation.unfit(here, extra)
    ]
    if not absent and clashes:
        return Check(name=name, state="wrong", found="; ".join(clashes), mend=_pip(extra))
    if not absent:
        has = [f"{r.name} {here.versions[r.name]}" for r in wanted]
        found = ", ".join(has) if len(has) < 4 else f"all of its {len(has)} packages"
        return Check(name=name, state="ok", found=found)
    if obstacle:
        return Check(name=name, state="missing", found=obstacle)
    if extra in ("vision", "mediapipe") and (owners := installation.opencvs(here)):
        clashes.append(f"{' and '.join(owners)} already owns cv2")
    lacking = "not installed: " + ", ".join(r.name for r in absent)
    return Check(
        name=name,
        state="missing",
        found="; ".join([lacking, *clashes]),
        mend=_pip(extra) + ("   # in an environment of its own" if clashes else ""),
    )


def unavailable(extra: str, machine: str, python: tuple[int, int], libc: tuple[int, ...]) -> str:
    """Why no wheel of an extra's engine fits this machine; empty if one does or none is known."""
    wheels = WHEELS.get(extra)
    if wheels is None:
        return ""
    if machine not in wheels.machines:
        return f"no wheel for {machine}, only for {', '.join(wheels.machines)}"
    oldest, newest = wheels.pythons
    if not oldest <= python <= newest:
        reach = f"{_dotted(oldest)} to {_dotted(newest)}"
        return f"no wheel for Python {_dotted(python)}, only for {reach}"
    if libc and libc < wheels.machines[machine]:
        return f"its wheel needs glibc {_dotted(wheels.machines[machine])}, not {_dotted(libc)}"
    return ""


def cache_check(folder: Path) -> Check:
    """Whether the cache, or the nearest folder above it that exists, can be written."""
    there = next(path for path in (folder, *folder.parents) if os.access(path, os.F_OK))
    if there.is_dir() and os.access(there, os.W_OK | os.X_OK):
        return Check(name="cache", state="ok", found=str(folder))
    return Check(
        name="cache",
        state="wrong",
        found=f"{there} cannot be written",
        mend="export XDG_CACHE_HOME=…   # a folder of yours",
    )


def camera_check(devices: Sequence[Path]) -> Check:
    """Whether there is a camera that this user may open."""
    usable = [str(path) for path in devices if os.access(path, os.R_OK | os.W_OK)]
    if usable:
        return Check(name="camera", state="ok", found=", ".join(usable))
    if devices:
        return Check(
            name="camera",
            state="missing",
            found=f"{', '.join(map(str, devices))}: not yours to open",
            mend="sudo usermod -aG video $USER, then log in again",
        )
    return Check(name="camera", state="missing", found="no /dev/video*", mend="plug one in")


def glibc() -> tuple[int, ...]:
    """The version of the C library; empty where it is another one (musl)."""
    try:
        text = os.confstr("CS_GNU_LIBC_VERSION") or ""
    except (OSError, ValueError):
        return ()
    return installation.release(text.rpartition(" ")[2])


def _dotted(version: tuple[int, ...]) -> str:
    return ".".join(map(str, version))


def _pip(extra: str) -> str:
    return f"pip install 'edgeloop[{extra}]'"

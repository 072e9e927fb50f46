"""The checks of ``edge doctor``: what is ok, what is missing, what is wrong, and what mends it.

Each check is a function of what was read; ``examine`` reads it. Here are those of Python, its
packages and the engines; those of the machine are in ``checkup_machine``.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from msgspec.structs import replace

from edge_sdk.backends import processor
from edge_sdk.files import cache_folder
from edge_sdk.machine import imports, installation
from edge_sdk.machine.check import Check, pip
from edge_sdk.machine.checkup_machine import machine_checks
from edge_sdk.machine.installation import BUILDS, PACKAGES, Snapshot
from edge_sdk.machine.profile import profile
from edge_sdk.spec import DeviceProfile, Runtime, Word

EXTRAS = ("litert", "tflite", "onnx", "vision", "voice", "mediapipe", "agent", "fleet", "convert")
"""The extras that people choose between, in the order they are told of."""

_ENGINES = {
    "litert": "litert",
    "litert-compiled": "litert",
    "tflite-runtime": "tflite",
    "onnxruntime": "onnx",
}
"""Backend to the extra that installs it."""


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
    here, machine = installation.snapshot(), profile(imports.deadly())
    found = extra_checks(here, machine.machine, sys.version_info[:2], glibc())
    extras = {check.name: check for check in found}
    root = Path(__file__).resolve().parents[2]
    checks = (
        python_check(sys.version_info[:2]),
        names_check(here, root),
        numpy_check(here),
        opencv_check(here),
        *builds_checks(here),
        *engine_checks(here, machine.runtimes, machine.machine, extras),
        *extras.values(),
        cache_check(cache_folder()),
        *machine_checks(here, machine.machine),
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


def numpy_check(here: Snapshot) -> Check:
    """Whether the numpy that is here is one that the engines beside it can use."""
    version = here.versions.get("numpy", "")
    old = [name for name in BUILDS["tflite_runtime"] if name in here.versions]
    if installation.release(version) >= (2,) and old:
        others = [name for name in here.versions if name in BUILDS["tensorflow"]]
        litert = "LiteRT runs the same models: "
        return Check(
            name="numpy",
            state="wrong",
            found=f"{version}, and {old[0]} crashes with anything but numpy 1"
            + (f", which {others[0]} does not go with" if others else ""),
            mend=f"pip uninstall -y {' '.join(old)} && {pip('litert')}   # {litert.strip(': ')}"
            if others
            else "pip install 'numpy<2'",
        )
    wanted = [r.versions for r in here.requirements if r.name == "numpy" and not r.extra]
    unmet = [each for each in wanted if version and not installation.accepts(each, version)]
    if unmet:
        return Check(
            name="numpy",
            state="wrong",
            found=f"{version} where {', '.join(unmet)} is needed",
            mend=f"pip install 'numpy{unmet[0]}'",
        )
    return Check(name="numpy", state="ok", found=version or "not installed by pip")


def builds_checks(here: Snapshot) -> Iterator[Check]:
    """A check for each engine that two distributions claim; none where all is well."""
    for package in BUILDS:
        found = installation.builds(here, package)
        if package != "cv2" and len(found) > 1:
            yield Check(
                name=package,
                state="wrong",
                found=f"{' and '.join(found)} overwrite each other's files",
                mend=f"pip uninstall -y {' '.join(found)} && pip install {found[0]}",
            )


def opencv_check(here: Snapshot) -> Check:
    """Whether one distribution alone owns ``cv2``."""
    found = installation.opencvs(here)
    if not found:
        return Check(name="cv2", state="missing", found="no OpenCV", mend=pip("vision"))
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


def engine_checks(
    here: Snapshot, runtimes: Iterable[Runtime], machine: str, extras: Mapping[str, Check]
) -> Iterator[Check]:
    """A check of each engine. One that is not here is to be had as its extra is.

    Args:
        here: what is installed.
        runtimes: the engines, as the machine describes them.
        machine: the architecture.
        extras: the checks of the extras, by their names.
    """
    for runtime in runtimes:
        lacking = processor.lacking(runtime.backend, machine, processor.cpuinfo())
        check = engine_check(runtime, here, lacking)
        brings = extras.get(f"extra {_ENGINES.get(runtime.backend, '')}")
        if check.state == "missing" and brings is not None:
            check = replace(check, found=brings.found, mend=brings.mend)
        yield check


def engine_check(runtime: Runtime, here: Snapshot, lacking: tuple[str, ...] = ()) -> Check:
    """Whether one inference engine is here and starts.

    Args:
        runtime: it, as the machine describes it.
        here: what is installed.
        lacking: what the processor lacks of what its wheel is built for.
    """
    check = _engine_check(runtime, here, lacking)
    return replace(check, area="engines")


def _engine_check(runtime: Runtime, here: Snapshot, lacking: tuple[str, ...]) -> Check:
    name = f"backend {runtime.backend}"
    if runtime.version is not None:
        offers = ", ".join(runtime.delegates)
        return Check(name=name, state="ok", found=f"{runtime.version}, delegates: {offers}")
    if runtime.backend not in _ENGINES:  # for other systems, or a last resort: nothing to mend
        return Check(name=name, state="missing", found=runtime.reason.partition("\n")[0])
    extra = _ENGINES[runtime.backend]
    wanted = installation.of_extra(here.requirements, extra)
    engines = [r.name for r in wanted if r.name != "numpy"]  # which an extra may only hold back
    installed = [each for each in engines if each in here.versions]
    installed = installed or [s for each in engines if (s := installation.stand_in(here, each))]
    if not installed:
        return Check(name=name, state="missing", found="not installed", mend=pip(extra))
    if lacking:
        return Check(
            name=name,
            state="wrong",
            found=f"is built for processors with {', '.join(lacking)}: not imported",
            mend=f"pip uninstall -y {' '.join(installed)}",
        )
    reason, _, hint = runtime.reason.partition("\n  ")
    if "numpy" in reason and hint.startswith(pip(extra)):
        return Check(name=name, state="wrong", found=reason, mend=hint)
    said = reason if hint.startswith("pip install") else runtime.reason  # mended otherwise, below
    return Check(
        name=name,
        state="wrong",
        found=" ".join(said.split()),
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
        check = extra_check(here, extra, unavailable(extra, machine, python, libc))
        yield replace(check, area="extras")


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
        return Check(name=name, state="wrong", found="; ".join(clashes), mend=pip(extra))
    if not absent:
        names = [
            r.name if r.name in here.versions else installation.stand_in(here, r.name)
            for r in wanted
        ]
        has = [f"{name} {here.versions[name]}" for name in dict.fromkeys(names)]
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
        mend=pip(extra) + ("   # in an environment of its own" if clashes else ""),
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
    if folder.is_relative_to(os.devnull):
        return Check(
            name="cache",
            state="wrong",
            found="none: this user has no home folder",
            mend="export XDG_CACHE_HOME=…   # a folder of yours",
            area="machine",
        )
    there = next(path for path in (folder, *folder.parents) if os.access(path, os.F_OK))
    if there.is_dir() and os.access(there, os.W_OK | os.X_OK):
        return Check(name="cache", state="ok", found=str(folder), area="machine")
    return Check(
        name="cache",
        state="wrong",
        found=f"{there} cannot be written",
        mend="export XDG_CACHE_HOME=…   # a folder of yours",
        area="machine",
    )


def glibc() -> tuple[int, ...]:
    """The version of the C library; empty where it is another one (musl)."""
    try:
        text = os.confstr("CS_GNU_LIBC_VERSION") or ""
    except (OSError, ValueError):
        return ()
    return installation.release(text.rpartition(" ")[2])


def _dotted(version: tuple[int, ...]) -> str:
    return ".".join(map(str, version))

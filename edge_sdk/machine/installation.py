"""What pip has put on this machine: our extras, and packages that stand in each other's way.

Pip merges packages of the same name without a word, and lets two distributions own one folder until
the removal of one breaks the other. Both are found here, by reading the records that pip keeps;
nothing is imported, so that looking for TensorFlow does not cost the seconds of loading it.

The judgements are functions of a ``Snapshot``; ``snapshot`` alone reads the disk.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib.metadata import distributions
from importlib.util import find_spec
from pathlib import Path

DISTRIBUTION = "edgeloop"
PACKAGES = ("edge_sdk", "converters", "device_agent", "fleet")
"""The import packages that must be ours alone."""

OPENCVS = (
    "opencv-python",
    "opencv-python-headless",
    "opencv-contrib-python",
    "opencv-contrib-python-headless",
)
"""Distributions that each own the folder ``cv2``."""
BUILDS: Mapping[str, tuple[str, ...]] = {
    "cv2": OPENCVS,
    "onnxruntime": (
        "onnxruntime-gpu",
        "onnxruntime-openvino",
        "onnxruntime-directml",
        "onnxruntime-qnn",
        "onnxruntime-training",
        "onnxruntime-silicon",
        "ort-nightly",
        "ort-nightly-gpu",
        "onnxruntime",
    ),
    "tensorflow": (
        "tensorflow",
        "tensorflow-cpu",
        "tensorflow-gpu",
        "tensorflow-intel",
        "intel-tensorflow",
        "tf-nightly",
        "tf-nightly-cpu",
    ),
    "ai_edge_litert": ("ai-edge-litert", "ai-edge-litert-nightly"),
    "tflite_runtime": ("tflite-runtime", "tflite-runtime-nightly"),
}
"""Import package to the distributions that each own it, the one to keep first."""

_REQUIREMENT = re.compile(
    r"([A-Za-z0-9._-]+)(?:\[[^\]]*\])?\s*\(?((?:[<>=!~][^;)]*)?)\)?\s*(?:;(.*))?"
)
_EXTRA = re.compile(r"""extra\s*==\s*['"]([^'"]+)['"]""")


@dataclass(frozen=True, slots=True)
class Requirement:
    """One line of a distribution's metadata, as far as ours use the language of PEP 508.

    Attributes:
        name: normalised (PEP 503).
        versions: what it accepts, as written (``>=2.21,<2.22``); empty accepts all.
        extra: the extra that asks for it; empty for a base dependency.
    """

    name: str
    versions: str
    extra: str


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What is installed.

    Attributes:
        versions: normalised distribution name to version.
        requirements: edgeloop's own; empty if it runs from a folder without being installed.
        owners: each of ``PACKAGES`` to the distributions whose files lie in it.
        folders: each of ``PACKAGES`` to the folder that ``import`` would take; absent if none.
    """

    versions: Mapping[str, str]
    requirements: tuple[Requirement, ...]
    owners: Mapping[str, frozenset[str]]
    folders: Mapping[str, Path]


def snapshot() -> Snapshot:
    """Read what is installed in this interpreter's environment."""
    versions: dict[str, str] = {}
    requirements: tuple[Requirement, ...] = ()
    owners: dict[str, set[str]] = {package: set() for package in PACKAGES}
    for distribution in distributions():
        metadata_name = distribution.name
        if not metadata_name:  # the leftover folder of an interrupted uninstall
            continue
        name = normal(metadata_name)
        if name in versions:  # further down sys.path: hidden by the first
            continue
        versions[name] = distribution.version
        if name == DISTRIBUTION:
            requirements = tuple(read_requirement(line) for line in distribution.requires or ())
        records = "\n" + (distribution.read_text("RECORD") or "")
        tops = (distribution.read_text("top_level.txt") or "").split()
        for package in PACKAGES:
            if f"\n{package}/" in records or package in tops:
                owners[package].add(name)
    folders = {}
    for package in PACKAGES:
        spec = find_spec(package)
        if spec is not None and spec.origin is not None:
            folders[package] = Path(spec.origin).resolve().parent
    return Snapshot(
        versions, requirements, {p: frozenset(names) for p, names in owners.items()}, folders
    )


def normal(name: str) -> str:
    """A distribution's name as packaging tools compare it (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def read_requirement(line: str) -> Requirement:
    """Read one ``Requires-Dist`` line."""
    found = _REQUIREMENT.fullmatch(line.strip())
    if found is None:
        raise ValueError(f"not a requirement: {line!r}")
    extra = _EXTRA.search(found[3] or "")
    return Requirement(normal(found[1]), found[2].replace(" ", ""), extra[1] if extra else "")


def accepts(versions: str, version: str) -> bool:
    """Whether ``version`` meets every clause of ``versions``, by the numbers of its release."""
    return all(_meets(clause, version) for clause in versions.split(",") if clause)


def _meets(clause: str, version: str) -> bool:
    operator = re.match(r"[<>=!~]+", clause)
    if operator is None:
        raise ValueError(f"not a version clause: {clause!r}")
    wanted, found = release(clause[operator.end() :]), release(version)
    family = wanted[:-1]
    length = max(len(wanted), len(found))
    wanted, found = (numbers + (0,) * (length - len(numbers)) for numbers in (wanted, found))
    verdicts = {
        ">=": found >= wanted,
        ">": found > wanted,
        "<=": found <= wanted,
        "<": found < wanted,
        "==": found == wanted,
        "!=": found != wanted,
        "~=": found >= wanted and found[: len(family)] == family,
    }
    return verdicts[operator[0]]


def release(version: str) -> tuple[int, ...]:
    """The numbers of a version; what makes it a pre- or post-release is left out."""
    found = re.match(r"\d+(?:\.\d+)*", version)
    return tuple(int(part) for part in found[0].split(".")) if found else ()


def of_extra(requirements: Iterable[Requirement], extra: str) -> tuple[Requirement, ...]:
    """What one extra asks for."""
    return tuple(r for r in requirements if r.extra == extra)


def absent(here: Snapshot, extra: str) -> tuple[Requirement, ...]:
    """Requirements of an extra that are not installed, nor another build in their stead."""
    return tuple(
        r
        for r in of_extra(here.requirements, extra)
        if r.name not in here.versions and not stand_in(here, r.name)
    )


def unfit(here: Snapshot, extra: str) -> tuple[Requirement, ...]:
    """Requirements of an extra that are installed in a version it does not accept."""
    return tuple(
        r
        for r in of_extra(here.requirements, extra)
        if r.name in here.versions and not accepts(r.versions, here.versions[r.name])
    )


def builds(here: Snapshot, package: str) -> tuple[str, ...]:
    """The distributions that own an import package here, the one to keep first.

    More than one overwrite each other's files.
    """
    return tuple(name for name in BUILDS.get(package, ()) if name in here.versions)


def opencvs(here: Snapshot) -> tuple[str, ...]:
    """The distributions that own ``cv2`` here."""
    return builds(here, "cv2")


def stand_in(here: Snapshot, name: str) -> str:
    """Another build of an engine that is here in a distribution's stead; empty if there is none."""
    for package, names in BUILDS.items():
        if package != "cv2" and name in names:
            return next((other for other in builds(here, package) if other != name), "")
    return ""


def strangers(here: Snapshot, root: Path) -> dict[str, str]:
    """Which of ``PACKAGES`` are not ours alone, and who else has them.

    Args:
        here: what is installed.
        root: the folder that holds our own packages, as found from the running code.
    """
    found: dict[str, str] = {}
    for package in PACKAGES:
        others = sorted(here.owners[package] - {DISTRIBUTION})
        folder = here.folders.get(package)
        if others:
            found[package] = f"the distribution {', '.join(others)}"
        elif folder is not None and folder != root / package:
            found[package] = str(folder)
    return found

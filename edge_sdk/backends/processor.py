"""What an engine's wheel demands of the processor, asked before any of its code is loaded.

A wheel is compiled for a certain least processor, and says so nowhere: pip installs it on any, and
the import then ends the whole process with an illegal instruction (SIGILL), which no ``except``
sees. So the kernel is asked first what the processor has.

The table was found by running the wheels (ai-edge-litert 2.3, onnxruntime 1.23 and 1.31,
tensorflow 2.21, tflite-runtime 2.14) under qemu-user on processors with fewer and fewer instruction
sets: what is not in it ran on each of them. The lines for Arm are of the wheels' build
descriptions; only aarch64 has been run.
"""

from __future__ import annotations

import platform
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

from edge_sdk.errors import UnavailableError

NEEDS: Mapping[str, Mapping[str, frozenset[str]]] = {
    "tensorflow": {"x86_64": frozenset({"avx"}), "aarch64": frozenset({"asimd"})},
    "litert": {"x86_64": frozenset({"sse4_1"}), "aarch64": frozenset({"asimd"})},
    "onnxruntime": {"aarch64": frozenset({"asimd"})},
    "tflite-runtime": {
        "aarch64": frozenset({"asimd"}),
        "armv7l": frozenset({"neon", "vfpv4"}),
    },
}
"""Backend to architecture to instruction sets, in the words of ``/proc/cpuinfo``."""


def listed(cpuinfo: str, *names: str) -> list[str]:
    """What ``/proc/cpuinfo`` says under these names, core by core.

    By hand: to compile a regular expression would be a twentieth of a small model's load.
    """
    found = _fields(cpuinfo)
    return [value for name in names for value in found.get(name, ())]


@lru_cache(maxsize=2)
def _fields(cpuinfo: str) -> dict[str, list[str]]:
    fields: dict[str, list[str]] = {}
    for line in cpuinfo.splitlines():
        name, _, value = line.partition(":")
        fields.setdefault(name.rstrip(), []).append(value.strip())
    return fields


def flags(cpuinfo: str) -> frozenset[str]:
    """The instruction sets that every listed core has, from the text of ``/proc/cpuinfo``."""
    cores = set(listed(cpuinfo, "flags", "Features"))
    return frozenset.intersection(*(frozenset(core.split()) for core in cores)) if cores else _NONE


_NONE: frozenset[str] = frozenset()


@lru_cache(maxsize=8)
def lacking(backend: str, machine: str, cpuinfo: str) -> tuple[str, ...]:
    """What an engine's wheel needs and the processor does not have.

    Args:
        backend: edgeloop's name of the engine.
        machine: the architecture, as the kernel calls it.
        cpuinfo: the text of ``/proc/cpuinfo``. Where it lists nothing, nothing is known to lack.
    """
    needed = NEEDS.get(backend, {}).get(machine, _NONE)
    has = flags(cpuinfo) if needed else _NONE
    return tuple(sorted(needed - has)) if has else ()


@lru_cache(maxsize=1)
def cpuinfo() -> str:
    """The kernel's description of the processor; empty where this kernel has none."""
    try:
        return Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def check(backend: str, title: str) -> None:
    """Refuse an engine that would die here of an illegal instruction.

    Args:
        backend: edgeloop's name of the engine.
        title: its name for people.

    Raises:
        UnavailableError: its wheel is not for this processor.
    """
    if missing := lacking(backend, platform.machine(), cpuinfo()):
        raise UnavailableError(
            f"{title} would end this program: its wheel is built for processors with "
            f"{', '.join(missing)}, which this one does not have.",
            "Take another engine here: edge doctor lists those that run",
        )

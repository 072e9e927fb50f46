"""The doctor's checks of the machine itself: processor, sensors, and what hangs on it.

Each is a function of what was read; ``machine_checks`` reads it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from edge_sdk.backends import processor
from edge_sdk.backends.delegates import TFLITE_LIBRARIES
from edge_sdk.machine import energy, peripherals, throttling
from edge_sdk.machine.check import Check
from edge_sdk.machine.installation import BUILDS, Snapshot, builds
from edge_sdk.machine.peripherals import Device

_OWNERS = {"litert": "ai_edge_litert", "tflite-runtime": "tflite_runtime"}
"""Backend to the folder of its package, where they are not the same."""

_CORAL = "install libedgetpu1-std   # Coral's package: coral.ai/docs/accelerator/get-started"


def machine_checks(here: Snapshot, machine: str, root: Path = Path("/")) -> Iterator[Check]:
    """Look at the machine below ``root``."""
    yield processor_check(here, machine, processor.cpuinfo())
    yield power_check(throttling.now(root), throttling.since_boot(root))
    yield energy_check(*energy.find(root))
    yield device_check("camera", "/dev/video*", peripherals.cameras(root), "video")
    yield device_check("microphone", "/dev/snd/pcm*c", peripherals.microphones(root), "audio")
    libraries = {
        name: peripherals.library(file, root)
        for name, file in {**TFLITE_LIBRARIES, "gpu": "libvulkan.so.1"}.items()
    }
    yield from accelerator_checks(peripherals.accelerators(root), libraries, here)


def processor_check(here: Snapshot, machine: str, cpuinfo: str) -> Check:
    """Whether an engine that is installed would die here of an illegal instruction."""
    asked: set[str] = set()
    deadly: dict[str, tuple[str, ...]] = {}
    for backend, machines in processor.NEEDS.items():
        asked |= machines.get(machine, frozenset())
        owners = builds(here, _OWNERS.get(backend, backend))
        if missing := processor.lacking(backend, machine, cpuinfo):
            deadly |= dict.fromkeys(owners, missing)
    if deadly:
        found = "; ".join(
            f"{name} is built for processors with {', '.join(lacks)}, and would end any program"
            for name, lacks in deadly.items()
        )
        mend = f"pip uninstall -y {' '.join(deadly)}"
        return Check(name="processor", state="wrong", found=found, mend=mend, area="machine")
    has = f"has what engines' wheels are built for: {', '.join(sorted(asked))}"
    known = bool(processor.flags(cpuinfo))
    lacks = asked - processor.flags(cpuinfo)
    if known and lacks:
        has = f"lacks {', '.join(sorted(lacks))}; no engine that needs it is installed"
    if not asked or not known:
        has = "no engine is known to ask for more than it has"
    return Check(name="processor", state="ok", found=has, area="machine")


def power_check(now: Sequence[str], before: Sequence[str]) -> Check:
    """Whether the processor is held back, or has been."""
    supply = any("voltage" in each for each in (*now, *before))
    mend = "use the supply that the board's maker names" if supply else "cool it, with a fan"
    name = "throttling"
    if now:
        return Check(name=name, state="wrong", found="; ".join(now), mend=mend, area="machine")
    if before:
        found = f"not now; since the machine was started: {'; '.join(before)}"
        return Check(name=name, state="ok", found=found, mend=mend, area="machine")
    return Check(name=name, state="ok", found="nothing holds the processor back", area="machine")


def energy_check(sensor: energy.Sensor | None, mend: str) -> Check:
    """Whether ``edge bench`` can tell what a call costs in energy."""
    name = "energy sensor"
    if sensor is not None:
        return Check(name=name, state="ok", found=sensor.name, area="machine")
    found = "there is one that you may not read" if mend else "none that the kernel shows"
    return Check(name=name, state="missing", found=found, mend=mend, area="machine")


def device_check(name: str, pattern: str, devices: Sequence[Device], group: str) -> Check:
    """Whether there is a camera, or a microphone, that this user may open."""
    usable = [str(device) for device in devices if device.usable]
    if usable:
        return Check(name=name, state="ok", found=", ".join(usable), area="machine")
    if devices:
        return Check(
            name=name,
            state="missing",
            found=f"{', '.join(map(str, devices))}: not yours to open",
            mend=f"sudo usermod -aG {group} $USER   # then log in again",
            area="machine",
        )
    return Check(name=name, state="missing", found=f"none: no {pattern}", area="machine")


def accelerator_checks(
    found: Mapping[str, Sequence[Device]],
    libraries: Mapping[str, Path | None],
    here: Snapshot,
) -> Iterator[Check]:
    """What could run a model besides the processor, and what it still takes to use it.

    Args:
        found: by the delegate that drives it.
        libraries: delegate to the shared library that it needs; None where that is not installed.
        here: what pip has installed.
    """
    if not found:
        yield Check(
            name="accelerators",
            state="missing",
            found="none that edgeloop knows: models run on the processor",
            area="machine",
        )
    groups = {"gpu": "render", "edgetpu": "plugdev"}
    for delegate, devices in found.items():
        name, seen = f"accelerator {delegate}", ", ".join(map(str, devices))
        mend = ""
        if not any(device.usable for device in devices):
            seen += ": not yours to open"
            mend = f"sudo usermod -aG {groups.get(delegate, 'video')} $USER   # then log in again"
        elif delegate == "gpu" and libraries.get("gpu") is None:
            seen += ", and no Vulkan to reach it by"
            mend = "sudo apt-get install libvulkan1 mesa-vulkan-drivers"
        elif delegate == "edgetpu" and libraries.get("edgetpu") is None:
            seen += f", and no {TFLITE_LIBRARIES['edgetpu']}"
            mend = _CORAL
        elif delegate == "cuda" and "onnxruntime-gpu" not in here.versions:
            seen += ", and no ONNX Runtime that can use it"
            others = [name for name in BUILDS["onnxruntime"] if name in here.versions]
            first = f"pip uninstall -y {' '.join(others)} && " if others else ""
            mend = f"{first}pip install onnxruntime-gpu   # on a Jetson: NVIDIA's own wheel"
        elif delegate == "npu":
            seen += ": no delegate of edgeloop's drives it"
            yield Check(name=name, state="missing", found=seen, area="machine")
            continue
        state = "missing" if mend else "ok"
        yield Check(name=name, state=state, found=seen, mend=mend, area="machine")  # type: ignore[arg-type]

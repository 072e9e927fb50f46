"""This machine, described by itself: the facts by which a variant is chosen and a benchmark judged.

Everything is read from the kernel's own files, so that describing a machine needs no privilege and
no package. On Arm the kernel gives numbers where x86 gives names; the names are Arm's own, from the
"Main ID Register" page of each core's technical reference manual.
"""

from __future__ import annotations

import os
import platform
import re
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from edge_sdk.backends import MODULES, backend
from edge_sdk.backends.processor import cpuinfo as cpuinfo_text
from edge_sdk.backends.processor import flags, listed
from edge_sdk.errors import UnavailableError
from edge_sdk.machine.cores import usable_cores
from edge_sdk.machine.kernel_files import kernel_text
from edge_sdk.spec import AGENT_VERSION, DeviceProfile, Runtime

FEATURES = frozenset(
    {
        # x86
        *("sse4_1", "avx", "avx2", "fma", "f16c", "avx_vnni"),
        *("avx512f", "avx512bw", "avx512_vnni", "avx512_bf16", "avx512_fp16"),
        *("amx_tile", "amx_int8", "amx_bf16"),
        # Arm: NEON of 32 and of 64 bits, half precision, int8 dot and matrix products, vectors
        *("neon", "vfpv4", "asimd", "asimdhp", "asimddp", "i8mm", "bf16", "sve", "sve2", "sme"),
    }
)
"""Instruction sets for which inference engines have kernels of their own, in the kernel's words."""

_ARM_CORES = {
    (0x41, 0xC07): "Cortex-A7",
    (0x41, 0xC08): "Cortex-A8",
    (0x41, 0xC09): "Cortex-A9",
    (0x41, 0xC0F): "Cortex-A15",
    (0x41, 0xB76): "ARM1176",
    (0x41, 0xD03): "Cortex-A53",
    (0x41, 0xD04): "Cortex-A35",
    (0x41, 0xD05): "Cortex-A55",
    (0x41, 0xD07): "Cortex-A57",
    (0x41, 0xD08): "Cortex-A72",
    (0x41, 0xD09): "Cortex-A73",
    (0x41, 0xD0A): "Cortex-A75",
    (0x41, 0xD0B): "Cortex-A76",
    (0x41, 0xD0C): "Neoverse-N1",
    (0x41, 0xD40): "Neoverse-V1",
    (0x41, 0xD41): "Cortex-A78",
    (0x41, 0xD42): "Cortex-A78AE",
    (0x41, 0xD49): "Neoverse-N2",
    (0x41, 0xD4F): "Neoverse-V2",
    (0x4E, 0x003): "Denver 2",
    (0x4E, 0x004): "Carmel",
}
"""(implementer, part) as /proc/cpuinfo numbers them."""


_NAMED = ("model name", "uarch", "cpu model")
"""Where the kernel writes a processor's name: on x86, RISC-V, MIPS."""


def profile(deadly: Mapping[str, str] = MappingProxyType({})) -> DeviceProfile:
    """Describe this machine. Imports every engine that is installed, but starts none.

    Args:
        deadly: engines that are not to be imported, and why.
    """
    cores = cpuinfo_text()
    return DeviceProfile(
        name=device_name(kernel_text(Path("/proc/device-tree/model"))) or platform.node(),
        system=f"{platform.system()} {platform.release()}",
        machine=platform.machine(),
        python=platform.python_version(),
        cpu=cpu_name(cores) or "unknown",
        cpu_features=cpu_features(cores),
        cores=usable_cores(),
        memory_bytes=os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"),
        runtimes=tuple(
            Runtime(backend=name, version=None, reason=deadly[name])
            if name in deadly
            else describe_runtime(name)
            for name in MODULES
        ),
        edgeloop=AGENT_VERSION,
    )


def describe_runtime(name: str) -> Runtime:
    """One engine as it is on this machine, by edgeloop's name for it."""
    engine = backend(name)
    try:
        version = engine.version()
    except UnavailableError as error:
        return Runtime(backend=name, version=None, reason=str(error))
    except Exception as error:  # noqa: BLE001 - a broken engine's import may raise anything
        return Runtime(backend=name, version=None, reason=f"{name} does not start: {error}")
    return Runtime(backend=name, version=version, delegates=engine.delegates())


def processor() -> str:
    """The processor and how many of its cores this process may use: ``Cortex-A76, 4 cores``."""
    count = usable_cores()
    name = cpu_name(cpuinfo_text()) or platform.machine()
    return f"{name}, {count} core{'' if count == 1 else 's'}"


def device_name(model: str) -> str:
    """A board's name from its device tree: ``raspberry-pi-5-model-b``; empty where it has none.

    Revisions are left out, so that boards that run the same models have the same name.
    """
    model = re.sub(r" Rev .*", "", model.rstrip("\0"))
    return re.sub(r"[^a-z0-9]+", "-", model.lower()).strip("-")


def cpu_name(cpuinfo: str) -> str:
    """The processor's own name, from the text of ``/proc/cpuinfo``; empty if it does not say.

    A processor with cores of several kinds is named by all of them, in the order of the cores.
    """
    implementers, parts = listed(cpuinfo, "CPU implementer"), listed(cpuinfo, "CPU part")
    cores = [(int(i, 0), int(p, 0)) for i, p in zip(implementers, parts, strict=False)]
    names = (_ARM_CORES.get(core, f"Arm {core[0]:#04x}/{core[1]:#05x}") for core in cores)
    if cores:
        return " + ".join(dict.fromkeys(names))
    return next((" ".join(name.split()) for name in listed(cpuinfo, *_NAMED)), "")


def cpu_features(cpuinfo: str) -> tuple[str, ...]:
    """Those of ``FEATURES`` that every listed core has, sorted, from ``/proc/cpuinfo``."""
    return tuple(sorted(flags(cpuinfo) & FEATURES))

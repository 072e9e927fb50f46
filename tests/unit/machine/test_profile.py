"""What the kernel says of processors, read for machines that are not here."""

from __future__ import annotations

import mmap
import os
import platform
from pathlib import Path

import numpy as np
import pytest

from edge_sdk.backends import MODULES, backend
from edge_sdk.backends.notices import overheard
from edge_sdk.backends.weight_cache import prepared_weights
from edge_sdk.machine import profile
from edge_sdk.machine.memory import resident_bytes
from edge_sdk.spec import decode, encode
from edge_sdk.spec.profile import DeviceProfile


def arm_core(features: str, part: int, implementer: int = 0x41) -> str:
    return (
        f"processor\t: 0\nBogoMIPS\t: 108.00\nFeatures\t: {features}\n"
        f"CPU implementer\t: {implementer:#04x}\nCPU architecture: 8\nCPU variant\t: 0x4\n"
        f"CPU part\t: {part:#05x}\nCPU revision\t: 1\n\n"
    )


PI_4 = 4 * arm_core("fp asimd evtstrm crc32 cpuid", 0xD08)
PI_5 = 4 * arm_core(
    "fp asimd evtstrm aes pmull sha1 sha2 crc32 atomics fphp asimdhp cpuid asimddp", 0xD0B
)
BIG_LITTLE = 4 * arm_core("fp asimd asimdhp asimddp", 0xD05) + 4 * arm_core(
    "fp asimd asimdhp asimddp i8mm", 0xD0B
)
ORIN = 6 * arm_core("fp asimd asimdhp asimddp uscat", 0xD42)
XAVIER = 6 * arm_core("fp asimd asimdhp", 0x004, implementer=0x4E)
UNKNOWN_ARM = arm_core("fp asimd", 0x123, implementer=0x99)
X86 = (
    "processor\t: 0\nvendor_id\t: GenuineIntel\nmodel name\t: Intel(R) N100   (four   cores)\n"
    "flags\t\t: fpu sse sse2 sse4_1 avx avx2 fma f16c avx_vnni\nbugs\t\t: none\n\n"
)


@pytest.mark.parametrize(
    ("cpuinfo", "name"),
    [
        (PI_4, "Cortex-A72"),
        (PI_5, "Cortex-A76"),
        (BIG_LITTLE, "Cortex-A55 + Cortex-A76"),
        (ORIN, "Cortex-A78AE"),
        (XAVIER, "Carmel"),
        (UNKNOWN_ARM, "Arm 0x99/0x123"),
        (X86, "Intel(R) N100 (four cores)"),
        ("", ""),
        ("processor\t: 0\nhart\t: 0\nisa\t: rv64imafdc\nuarch\t: sifive,u74-mc\n", "sifive,u74-mc"),
    ],
)
def test_cpu_name(cpuinfo: str, name: str) -> None:
    assert profile.cpu_name(cpuinfo) == name


@pytest.mark.parametrize(
    ("cpuinfo", "features"),
    [
        (PI_4, ("asimd",)),
        (PI_5, ("asimd", "asimddp", "asimdhp")),
        (BIG_LITTLE, ("asimd", "asimddp", "asimdhp")),
        (X86, ("avx", "avx2", "avx_vnni", "f16c", "fma", "sse4_1")),
        ("", ()),
    ],
)
def test_features_that_every_core_has(cpuinfo: str, features: tuple[str, ...]) -> None:
    assert profile.cpu_features(cpuinfo) == features


@pytest.mark.parametrize(
    ("model", "name"),
    [
        ("Raspberry Pi 5 Model B Rev 1.0\0", "raspberry-pi-5-model-b"),
        ("NVIDIA Jetson Orin Nano Developer Kit\0", "nvidia-jetson-orin-nano-developer-kit"),
        ("", ""),
    ],
)
def test_a_board_is_named_by_its_device_tree(model: str, name: str) -> None:
    assert profile.device_name(model) == name


def test_resident_memory_grows_with_what_is_written() -> None:
    with mmap.mmap(-1, 64 << 20) as block:  # malloc may give pages that were resident before
        before = resident_bytes()
        np.frombuffer(block, np.uint8)[:] = 1
        assert resident_bytes() - before > 48 << 20


def test_a_system_without_linuxs_own_calls(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """As macOS is; a model is loaded there too, and its engine kept off the terminal."""
    monkeypatch.delattr(os, "sched_getaffinity")
    monkeypatch.delattr(os, "memfd_create")
    assert profile.profile().cores == os.cpu_count()
    with overheard() as said:
        os.write(2, b"INFO: Created something.\nnot an engine's\n")
    assert said == [b"INFO: Created something.\n"]
    assert capfd.readouterr().err == "not an engine's\n"
    with prepared_weights(tmp_path, "0" * 64, "engine 1") as path:
        assert path is None


def test_this_machine() -> None:
    here = profile.profile()
    assert here.machine == platform.machine()
    assert here.python == platform.python_version()
    assert here.cores == len(os.sched_getaffinity(0))
    assert here.memory_bytes > 100 << 20
    assert here.name
    assert here.cpu
    assert [runtime.backend for runtime in here.runtimes] == list(MODULES)
    for runtime in here.runtimes:
        if runtime.version is None:  # not on this machine, which it says
            assert runtime.reason
            continue
        assert runtime.version == backend(runtime.backend).version()
        assert runtime.delegates == backend(runtime.backend).delegates()
        assert runtime.reason == ""
    assert {"litert", "onnxruntime"} <= {r.backend for r in here.runtimes if r.version}
    assert decode(encode(here), DeviceProfile, "profile") == here

"""The doctor's look at a machine: folders laid out as those of machines that are not here."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import pytest

from edge_sdk.backends import processor
from edge_sdk.errors import UnavailableError
from edge_sdk.machine import checkup_machine as checks
from edge_sdk.machine import peripherals
from edge_sdk.machine.check import Check
from edge_sdk.machine.energy import Meter
from edge_sdk.machine.installation import Snapshot
from edge_sdk.machine.peripherals import Device

NEHALEM = "flags\t\t: fpu sse sse2 ssse3 sse4_1 sse4_2 popcnt\n\n" * 2
CORE_2 = "flags\t\t: fpu sse sse2 ssse3\n\n" * 2
HASWELL = "flags\t\t: fpu sse sse2 ssse3 sse4_1 sse4_2 popcnt avx avx2 fma\n\n" * 2
PI_4 = "Features\t: fp asimd evtstrm crc32 cpuid\n\n" * 4


def here(**versions: str) -> Snapshot:
    names = {name.replace("_", "-"): version for name, version in versions.items()}
    return Snapshot(names, (), {}, {})


def write(root: Path, *files: tuple[str, str]) -> Path:
    for name, text in files:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text + "\n", encoding="utf-8")
    return root


# The processor


@pytest.mark.parametrize(
    ("backend", "machine", "cpuinfo", "lacking"),
    [
        ("tensorflow", "x86_64", NEHALEM, ("avx",)),
        ("tensorflow", "x86_64", HASWELL, ()),
        ("tensorflow", "x86_64", "", ()),
        ("litert", "x86_64", CORE_2, ("sse4_1",)),
        ("litert", "x86_64", NEHALEM, ()),
        ("litert", "aarch64", PI_4, ()),
        ("onnxruntime", "x86_64", CORE_2, ()),
        ("tflite-runtime", "armv7l", "Features\t: half thumb vfp edsp vfpv3\n", ("neon", "vfpv4")),
        ("coreml", "x86_64", CORE_2, ()),
    ],
)
def test_what_a_wheel_needs(
    backend: str, machine: str, cpuinfo: str, lacking: tuple[str, ...]
) -> None:
    assert processor.lacking(backend, machine, cpuinfo) == lacking


def test_one_core_that_lacks_it_is_enough() -> None:
    assert processor.lacking("tensorflow", "x86_64", HASWELL + NEHALEM) == ("avx",)


@pytest.mark.skipif(os.uname().machine != "x86_64", reason="it is about processors of x86-64")
def test_an_engine_is_refused_before_it_is_imported() -> None:
    """On a processor that would make it die: in a process whose kernel says it is an old one."""
    code = f"""
import sys
from edge_sdk.backends import backend, processor
from edge_sdk.errors import UnavailableError
processor.cpuinfo = lambda: {CORE_2!r}
for name, module in (("litert", "ai_edge_litert"), ("litert-compiled", "ai_edge_litert")):
    try:
        backend(name).version()
    except UnavailableError as error:
        assert "sse4_1" in error.message and "edge doctor" in error.hint, error
    else:
        raise SystemExit(f"{{name}} was not refused")
    assert module not in sys.modules, module
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_an_engine_that_this_processor_runs_is_not_refused() -> None:
    processor.check("litert", "LiteRT")


def test_the_refusal_is_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processor, "cpuinfo", lambda: NEHALEM)
    monkeypatch.setattr(processor.platform, "machine", lambda: "x86_64")
    with pytest.raises(UnavailableError, match="processors with avx"):
        processor.check("tensorflow", "TensorFlow")


@pytest.mark.parametrize(
    ("versions", "machine", "cpuinfo", "state", "found", "mend"),
    [
        ({}, "x86_64", HASWELL, "ok", "avx, sse4_1", ""),
        ({}, "x86_64", NEHALEM, "ok", "lacks avx; no engine that needs it is installed", ""),
        ({}, "riscv64", "isa : rv64imafdc", "ok", "no engine is known to ask for more", ""),
        (
            {"tensorflow_cpu": "2.21", "ai_edge_litert": "2.3"},
            *("x86_64", NEHALEM, "wrong", "tensorflow-cpu is built for processors with avx"),
            "pip uninstall -y tensorflow-cpu",
        ),
        (
            {"tensorflow": "2.21", "ai_edge_litert": "2.3"},
            *("x86_64", CORE_2, "wrong", "ai-edge-litert is built for processors with sse4_1"),
            "pip uninstall -y tensorflow ai-edge-litert",
        ),
    ],
)
def test_processor(
    versions: dict[str, str], machine: str, cpuinfo: str, state: str, found: str, mend: str
) -> None:
    check = checks.processor_check(here(**versions), machine, cpuinfo)
    assert (check.state, check.mend) == (state, mend)
    assert found in check.found


# Power


def test_power() -> None:
    assert checks.power_check((), ()).state == "ok"
    now = checks.power_check(("the supply's voltage is too low",), ())
    assert now.state == "wrong"
    assert "supply" in now.mend
    before = checks.power_check((), ("the firmware throttles the processor",))
    assert before.state == "ok"
    assert "since the machine was started" in before.found
    assert before.mend == "cool it, with a fan"


def test_energy() -> None:
    assert checks.energy_check(Meter("ina219", (), 1e-6), "").found == "ina219"
    assert checks.energy_check(None, "").mend == ""
    check = checks.energy_check(None, "sudo chmod a+r /sys/x")
    assert (check.state, check.mend) == ("missing", "sudo chmod a+r /sys/x")


# Cameras and microphones


def test_cameras_are_told_from_codecs(tmp_path: Path) -> None:
    write(
        tmp_path,
        ("dev/video0", ""),
        ("sys/class/video4linux/video0/name", "unicam-image"),
        ("dev/video2", ""),
        ("sys/class/video4linux/video2/name", "HD Pro Webcam C920"),
        ("dev/video10", ""),
        ("sys/class/video4linux/video10/name", "bcm2835-codec-decode"),
        ("dev/video13", ""),
        ("sys/class/video4linux/video13/name", "bcm2835-isp-output0"),
        ("dev/video19", ""),
        ("sys/class/video4linux/video19/name", "rpi-hevc-dec"),
    )
    found = peripherals.cameras(tmp_path)
    assert [(device.path.name, device.name) for device in found] == [
        ("video0", "unicam-image"),
        ("video2", "HD Pro Webcam C920"),
    ]
    check = checks.device_check("camera", "/dev/video*", found, "video")
    assert check.state == "ok"
    assert "(HD Pro Webcam C920)" in check.found


def test_microphones(tmp_path: Path) -> None:
    write(
        tmp_path,
        ("dev/snd/pcmC0D0p", ""),
        ("dev/snd/pcmC1D0c", ""),
        ("proc/asound/card1/id", "Device"),
        ("proc/asound/card1/pcm0c/info", "card: 1\nstream: CAPTURE\nname: USB Audio"),
        ("dev/snd/pcmC2D0c", ""),
        ("proc/asound/card2/id", "seeed2micvoicec"),
    )
    found = peripherals.microphones(tmp_path)
    assert [device.name for device in found] == ["USB Audio", "seeed2micvoicec"]


def test_devices_of_others(tmp_path: Path) -> None:
    locked = [Device(Path("/dev/snd/pcmC1D0c"), "USB Audio", usable=False)]
    check = checks.device_check("microphone", "/dev/snd/pcm*c", locked, "audio")
    assert check.state == "missing"
    assert check.mend.startswith("sudo usermod -aG audio $USER")
    assert checks.device_check("microphone", "/dev/snd/pcm*c", [], "audio").mend == ""


# Accelerators


def accelerator(
    root: Path, libraries: dict[str, Path | None], **versions: str
) -> dict[str, tuple[str, str]]:
    found: Iterable[Check] = checks.accelerator_checks(
        peripherals.accelerators(root), libraries, here(**versions)
    )
    return {check.name: (check.state, check.mend) for check in found}


def test_no_accelerator(tmp_path: Path) -> None:
    assert accelerator(tmp_path, {}) == {"accelerators": ("missing", "")}


def test_a_graphics_adapter(tmp_path: Path) -> None:
    write(tmp_path, ("dev/dri/renderD128", ""))
    vulkan: dict[str, Path | None] = {"gpu": Path("/usr/lib/libvulkan.so.1")}
    assert accelerator(tmp_path, vulkan) == {"accelerator gpu": ("ok", "")}
    without = accelerator(tmp_path, {"gpu": None})["accelerator gpu"]
    assert without == ("missing", "sudo apt-get install libvulkan1 mesa-vulkan-drivers")


def test_a_coral_stick(tmp_path: Path) -> None:
    write(
        tmp_path,
        ("sys/bus/usb/devices/1-1/idVendor", "18d1"),
        ("sys/bus/usb/devices/1-1/idProduct", "9302"),
        ("sys/bus/usb/devices/1-1/busnum", "1"),
        ("sys/bus/usb/devices/1-1/devnum", "7"),
        ("sys/bus/usb/devices/1-2/idVendor", "046d"),
        ("sys/bus/usb/devices/1-2/idProduct", "082d"),
    )
    away = accelerator(tmp_path, {"edgetpu": Path("/lib/libedgetpu.so.1")})["accelerator edgetpu"]
    assert away[1].startswith("sudo usermod -aG plugdev")  # its file is not there to be opened
    write(tmp_path, ("dev/bus/usb/001/007", ""))
    assert accelerator(tmp_path, {"edgetpu": None})["accelerator edgetpu"][1].startswith(
        "install libedgetpu1-std"
    )
    assert accelerator(tmp_path, {"edgetpu": Path("/lib/libedgetpu.so.1")}) == {
        "accelerator edgetpu": ("ok", "")
    }


def test_an_nvidia_card_needs_the_other_onnx_runtime(tmp_path: Path) -> None:
    write(tmp_path, ("dev/nvidia0", ""), ("dev/nvidiactl", ""))
    assert accelerator(tmp_path, {}, onnxruntime_gpu="1.31.1") == {"accelerator cuda": ("ok", "")}
    state, mend = accelerator(tmp_path, {}, onnxruntime="1.31.1")["accelerator cuda"]
    assert state == "missing"
    assert mend.startswith("pip uninstall -y onnxruntime && pip install onnxruntime-gpu")


def test_an_npu_that_nothing_drives(tmp_path: Path) -> None:
    write(tmp_path, ("dev/hailo0", ""))
    assert accelerator(tmp_path, {}) == {"accelerator npu": ("missing", "")}


def test_a_library_where_debian_puts_it(tmp_path: Path) -> None:
    assert peripherals.library("libvulkan.so.1", tmp_path) is None
    write(tmp_path, ("usr/lib/aarch64-linux-gnu/libvulkan.so.1", ""))
    found = peripherals.library("libvulkan.so.1", tmp_path)
    assert found == tmp_path / "usr/lib/aarch64-linux-gnu/libvulkan.so.1"


def test_this_machine() -> None:
    found = list(checks.machine_checks(here(), os.uname().machine))
    names = [check.name for check in found]
    assert len(names) == len(set(names))
    assert {"processor", "throttling", "energy sensor", "camera", "microphone"} <= set(names)
    assert all(check.area == "machine" for check in found)

"""What hangs on this machine: cameras, microphones and accelerators, as the kernel lists them.

Nothing is opened but for asking a video device whether it captures at all: on a Raspberry Pi most
of ``/dev/video*`` are codecs. All paths are below a root, so that another machine's files can be
read as well as this one's.
"""

from __future__ import annotations

import fcntl
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from edge_sdk.machine.kernel_files import kernel_text

_QUERYCAP = 0x80685600
"""``VIDIOC_QUERYCAP`` of linux/videodev2.h: fills a ``struct v4l2_capability`` of 104 bytes."""
_CAPTURES = 0x00000001 | 0x00001000
"""``V4L2_CAP_VIDEO_CAPTURE``, and the same for several planes."""
_DEVICE_CAPS_AT = 88

_NO_CAMERA = re.compile(
    r"codec|decod|encod|\bisp\b|-isp|hevc|rpivid|\bjpeg\b|scaler|loopback", re.I
)
"""Names of video devices that work on pictures, and take none (drivers of Pi, Rockchip, NXP)."""

_ACCELERATORS = {
    "edgetpu": ("dev/apex_*",),
    "cuda": ("dev/nvidia[0-9]*", "dev/nvhost-gpu", "dev/nvgpu/igpu0"),
    "gpu": ("dev/dri/renderD*", "dev/mali0", "dev/kgsl-3d0"),
    "qnn": ("dev/fastrpc-cdsp", "dev/adsprpc-smd"),
    "npu": ("dev/accel/accel*", "dev/rknpu", "dev/hailo*"),
}
"""Delegate to the device files that a driver makes for what it drives."""

_EDGETPU_USB = {("1a6e", "089a"), ("18d1", "9302")}
"""Coral's USB stick, before its firmware is loaded and after (vendor, product)."""


@dataclass(frozen=True, slots=True)
class Device:
    """One device file, or one stick on the bus.

    Attributes:
        path: its file.
        name: what its driver calls it; empty if it does not.
        usable: whether this user may open it.
    """

    path: Path
    name: str
    usable: bool

    def __str__(self) -> str:
        return f"{self.path} ({self.name})" if self.name else str(self.path)


def cameras(root: Path = Path("/")) -> list[Device]:
    """Video devices that take pictures."""
    found = []
    for path in _numbered(root.glob("dev/video*")):
        name = kernel_text(root / "sys/class/video4linux" / path.name / "name")
        captures = _captures(path)
        if not (captures is False or (captures is None and _NO_CAMERA.search(name))):
            found.append(Device(path, name, _usable(path)))
    return found


def _captures(path: Path) -> bool | None:
    """Whether a video device says that it captures; None if it cannot be asked."""
    answer = bytearray(104)
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_NONBLOCK)
    except OSError:
        return None
    try:
        fcntl.ioctl(descriptor, _QUERYCAP, answer)
    except OSError:
        return None
    finally:
        os.close(descriptor)
    capabilities = int.from_bytes(answer[_DEVICE_CAPS_AT : _DEVICE_CAPS_AT + 4], "little")
    return bool(capabilities & _CAPTURES)


def microphones(root: Path = Path("/")) -> list[Device]:
    """Sound devices that record: ALSA's ``pcmC1D0c`` is card 1, device 0, capture."""
    found = []
    for path in _numbered(root.glob("dev/snd/pcmC*D*c")):
        numbers = re.fullmatch(r"pcmC(\d+)D(\d+)c", path.name)
        if numbers is not None:
            about = kernel_text(root / f"proc/asound/card{numbers[1]}/pcm{numbers[2]}c/info")
            name = re.search(r"^name: (.+)$", about, re.MULTILINE)
            card = name[1] if name else kernel_text(root / f"proc/asound/card{numbers[1]}/id")
            found.append(Device(path, card.strip(), _usable(path)))
    return found


def accelerators(root: Path = Path("/")) -> dict[str, list[Device]]:
    """What could run a model besides the processor, by the delegate that drives it."""
    found: dict[str, list[Device]] = {}
    for delegate, patterns in _ACCELERATORS.items():
        for pattern in patterns:
            for path in _numbered(root.glob(pattern)):
                found.setdefault(delegate, []).append(Device(path, "", _usable(path)))
    for stick in sorted(root.glob("sys/bus/usb/devices/*")):
        if (kernel_text(stick / "idVendor"), kernel_text(stick / "idProduct")) in _EDGETPU_USB:
            bus, number = kernel_text(stick / "busnum"), kernel_text(stick / "devnum")
            path = root / "dev/bus/usb" / bus.zfill(3) / number.zfill(3)
            found.setdefault("edgetpu", []).append(Device(path, "Coral USB", _usable(path)))
    return found


def library(name: str, root: Path = Path("/")) -> Path | None:
    """Where the loader would find a shared library, in the folders of every Linux."""
    folders = ("lib", "usr/lib", "usr/local/lib", "lib64", "usr/lib64", "lib/*", "usr/lib/*")
    return next((path for folder in folders for path in root.glob(f"{folder}/{name}")), None)


def _numbered(paths: Iterator[Path]) -> list[Path]:
    """In the order of their numbers, not of their digits."""
    return sorted(paths, key=lambda path: [int(n) for n in re.findall(r"\d+", path.name)])


def _usable(path: Path) -> bool:
    return os.access(path, os.R_OK | os.W_OK)

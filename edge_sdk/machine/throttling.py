"""Throttling: whether a machine holds its processor back, and how hot it is.

A measurement taken on a hot board is one of its cooling. The kernel and the firmware say when they
slow the processor down, in several places, and each machine has some of them:

* a Raspberry Pi's firmware: the bits of ``get_throttled`` (as ``vcgencmd get_throttled`` prints
  them), too low a supply included;
* Intel's counters of thermal events (``cpu*/thermal_throttle/*_throttle_count``);
* cooling devices that are processors' frequencies (``/sys/class/thermal/cooling_device*``);
* a ceiling of the frequency that falls below the hardware's own (``scaling_max_freq``), which is
  what cooling does on Arm.

A ``Watch`` is asked again and again while something is measured, and collects what it saw.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

from edge_sdk.machine.kernel_files import kernel_number, kernel_text

_PI_NOW = {
    0: "the supply's voltage is too low",
    1: "the firmware caps the frequency",
    2: "the firmware throttles the processor",
    3: "the soft temperature limit is reached",
}
"""Bits of the Raspberry Pi firmware's word (raspberrypi.com, ``vcgencmd get_throttled``)."""
_PI_SINCE_BOOT = 16
"""The same bits, so much higher: it has happened since the machine was started."""
_FREQUENCY = re.compile(r"(?!.*fan)(processor|(thermal-)?(cpufreq|devfreq)\b.*|cpu.*)", re.I)
"""Types of cooling devices that cool by slowing down; the others are fans and idle injection."""


@dataclass(slots=True)
class Watch:
    """Notices throttling from when it is made on.

    Attributes:
        seen: each thing that was noticed, once, in the order of noticing.
    """

    root: Path = Path("/")
    seen: list[str] = field(default_factory=list)
    _counts: dict[Path, int] = field(default_factory=dict)
    _ceilings: dict[Path, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Remember how things are at the beginning."""
        self._counts = self._count()
        self._ceilings = self._ceiling()

    def look(self) -> bool:
        """Look once; answers whether anything holds the processor back now, or has since before."""
        found = list(now(self.root))
        counts = self._count()
        if any(count > self._counts.get(path, count) for path, count in counts.items()):
            found.append("the processor has counted thermal events")
        self._counts = counts
        for path, ceiling in self._ceiling().items():
            if ceiling < self._ceilings.get(path, ceiling):
                found.append(f"the frequency's ceiling fell to {ceiling / 1000:.0f} MHz")
        self.seen += [each for each in dict.fromkeys(found) if each not in self.seen]
        return bool(found)

    def _count(self) -> dict[Path, int]:
        pattern = "sys/devices/system/cpu/cpu*/thermal_throttle/*_throttle_count"
        return _numbers(self.root, pattern)

    def _ceiling(self) -> dict[Path, int]:
        return _numbers(self.root, "sys/devices/system/cpu/cpufreq/policy*/scaling_max_freq")


def now(root: Path = Path("/")) -> tuple[str, ...]:
    """What holds the processor back at this moment."""
    word = _pi_word(root)
    found = [text for bit, text in _PI_NOW.items() if word >> bit & 1]
    for device in sorted(root.glob("sys/class/thermal/cooling_device*")):
        level, kind = kernel_number(device / "cur_state"), kernel_text(device / "type")
        if level is not None and level > 0 and _FREQUENCY.fullmatch(kind):
            found.append(
                f"{kind} is cooled, at level {level} of {kernel_text(device / 'max_state')}"
            )
    return tuple(dict.fromkeys(found))


def since_boot(root: Path = Path("/")) -> tuple[str, ...]:
    """What a Raspberry Pi's firmware remembers of since it was started."""
    word = _pi_word(root) >> _PI_SINCE_BOOT
    return tuple(text for bit, text in _PI_NOW.items() if word >> bit & 1)


def temperature_c(root: Path = Path("/")) -> float | None:
    """The hottest of the machine's zones, in degrees Celsius; None where there is no sensor."""
    found = _numbers(root, "sys/class/thermal/thermal_zone*/temp")
    # A zone whose sensor is off gives nothing, 0 or a number below any that a machine can have.
    degrees = [value / 1000 for value in found.values() if 0 < value < 200_000]
    return max(degrees, default=None)


def governor(root: Path = Path("/")) -> str:
    """Who chooses the frequency (``performance``, ``ondemand``, …); empty where nobody does."""
    policies = sorted(root.glob("sys/devices/system/cpu/cpufreq/policy*/scaling_governor"))
    return " + ".join(dict.fromkeys(filter(None, map(kernel_text, policies))))


def _pi_word(root: Path) -> int:
    for path in root.glob("sys/devices/platform/soc*/*firmware/get_throttled"):
        try:
            return int(kernel_text(path), 16)
        except ValueError:
            continue
    return 0


def _numbers(root: Path, pattern: str) -> dict[Path, int]:
    found = {path: kernel_number(path) for path in root.glob(pattern)}
    return {path: number for path, number in found.items() if number is not None}

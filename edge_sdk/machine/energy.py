"""Energy: what a machine's own sensors say that it took.

Two kinds of sensor are read, where the kernel has them:

* **counters** of energy: the processor's (RAPL: ``/sys/class/powercap/intel-rapl:0/energy_uj``, on
  AMD too), or of a board (``hwmon``'s ``energy*_input``). The difference over a stretch of time is
  the energy of that stretch, to the counter's step, a millisecond or so.
* **meters** of power: ``hwmon``'s ``power*_input``, or voltage and current as the INA3221 of
  Jetsons gives them (``in1_input``, ``curr1_input``), or the files of JetPack 4's driver. One
  reading is the mean over the last milliseconds, taken as the power of the stretch that it ends.

What is measured is all that the sensor sees: a whole package or board, idle or not, and whoever
else is at work on it. What a board takes in altogether is read where its rails are named
(``VDD_IN``), and not the sum with the rails behind it. Units are those of the kernel's documents
(``Documentation/hwmon/sysfs-interface.rst``, ``Documentation/power/powercap``).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from edge_sdk.machine.kernel_files import kernel_number, kernel_text

_WHOLE_BOARD = ("VDD_IN", "POM_5V_IN", "5V_IN", "VIN", "VIN_SYS_5V0")
"""Labels of the rail that feeds a whole Jetson, by the order of generations."""
_CHIPS = re.compile(
    r"ina\d+x?|max\d+|ltc\d+|pac\d+|amdgpu|zenpower|amd_energy|power_meter|scpi_\w+"
)
"""Drivers in ``hwmon`` whose power is that of a processor or board."""


class Sensor(Protocol):
    """Something that can tell what a stretch of time took.

    Attributes:
        name: which sensor, for people.
    """

    @property
    def name(self) -> str:
        """See above."""

    def begin(self) -> None:
        """A stretch begins."""

    def end(self, seconds: float) -> float | None:
        """Joules since ``begin``, so many seconds ago; None if the sensor gave no number."""


@dataclass(slots=True)
class Counter:
    """Files that count microjoules, each up to a number at which it begins anew.

    Attributes:
        files: with the largest value of each; 0 where it is not known.
    """

    name: str
    files: tuple[tuple[Path, int], ...]
    _before: tuple[int | None, ...] = ()

    def begin(self) -> None:
        """See ``Sensor.begin``."""
        self._before = tuple(kernel_number(path) for path, _ in self.files)

    def end(self, seconds: float) -> float | None:
        """See ``Sensor.end``."""
        total = 0
        for (path, largest), before in zip(self.files, self._before, strict=True):
            after = kernel_number(path)
            if before is None or after is None:
                return None
            if after < before:
                if not largest:
                    return None
                after += largest + 1
            total += after - before
        return total / 1e6


@dataclass(slots=True)
class Meter:
    """Files whose product is a power: one of microwatts, or millivolts and milliamperes.

    Attributes:
        files: to be multiplied.
        unit: watts of their product.
    """

    name: str
    files: tuple[Path, ...]
    unit: float

    def begin(self) -> None:
        """See ``Sensor.begin``: a meter has nothing to remember."""

    def watts(self) -> float | None:
        """The power now."""
        product = self.unit
        for path in self.files:
            value = kernel_number(path)
            if value is None:
                return None
            product *= value
        return product

    def end(self, seconds: float) -> float | None:
        """See ``Sensor.end``."""
        watts = self.watts()
        return None if watts is None or watts < 0 else watts * seconds


def find(root: Path = Path("/")) -> tuple[Sensor | None, str]:
    """The sensor that sees the most of this machine.

    Args:
        root: below which ``sys`` lies.

    Returns:
        The sensor, None if none can be read; and, where there is one that this user may not read,
        the command that lets him.
    """
    locked: list[Path] = []
    for sensor, files in _all(root):
        if all(kernel_number(path) is not None for path in files):
            return sensor, ""
        locked += [path for path in files if path.exists()]
    if locked:
        return None, f"sudo chmod a+r {' '.join(map(str, locked))}"
    return None, ""


def _all(root: Path) -> Iterator[tuple[Sensor, tuple[Path, ...]]]:
    """Every sensor, those that see the most first, with the files that it reads."""
    rails = [*_hwmon_rails(root), *_jetpack_4_rails(root)]
    whole = [rail for rail in rails if rail[0] in _WHOLE_BOARD]
    for label, meter in sorted(whole, key=lambda rail: _WHOLE_BOARD.index(rail[0])):
        meter.name = f"{meter.name} {label}"
        yield meter, meter.files
    # intel-rapl:0 is a package; intel-rapl:0:1 is a part of it, and is counted in it.
    packages = [
        (zone / "energy_uj", kernel_number(zone / "max_energy_range_uj") or 0)
        for zone in sorted(root.glob("sys/class/powercap/intel-rapl:*"))
        if zone.name.count(":") == 1 and kernel_text(zone / "name").startswith("package")
    ]
    if packages:
        rapl = Counter("RAPL package", tuple(packages))
        yield rapl, tuple(path for path, _ in packages)
    for chip in sorted(root.glob("sys/class/hwmon/hwmon*")):
        if energy := sorted(chip.glob("energy*_input")):
            yield Counter(f"{kernel_text(chip / 'name')} energy", ((energy[0], 0),)), (energy[0],)
    for label, meter in rails:
        if label not in _WHOLE_BOARD:
            meter.name = f"{meter.name} {label}".rstrip()
            yield meter, meter.files


def _hwmon_rails(root: Path) -> Iterator[tuple[str, Meter]]:
    """Labels and meters of power in ``hwmon``."""
    for chip in sorted(root.glob("sys/class/hwmon/hwmon*")):
        name = kernel_text(chip / "name")
        if not _CHIPS.fullmatch(name):
            continue
        for path in sorted(chip.glob("power*_input")):
            label = kernel_text(path.with_name(path.name.replace("_input", "_label")))
            yield label, Meter(name, (path,), 1e-6)
        for path in sorted(chip.glob("curr*_input")):
            number = path.name.removeprefix("curr").removesuffix("_input")
            volts = chip / f"in{number}_input"
            if volts.exists() and not (chip / f"power{number}_input").exists():
                yield kernel_text(chip / f"in{number}_label"), Meter(name, (volts, path), 1e-6)


def _jetpack_4_rails(root: Path) -> Iterator[tuple[str, Meter]]:
    """The INA3221 as NVIDIA's driver of JetPack 4 shows it: milliwatts by rail."""
    for path in sorted(root.glob("sys/bus/i2c/drivers/ina3221x/*/iio:device*/in_power*_input")):
        number = path.name.removeprefix("in_power").removesuffix("_input")
        yield kernel_text(path.with_name(f"rail_name_{number}")), Meter("ina3221x", (path,), 1e-3)

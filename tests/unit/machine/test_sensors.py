"""Energy, throttling and temperature, read from folders that are laid out as real machines' are."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from itertools import count
from pathlib import Path

import pytest
from tiny_models import tflite_affine

from edge_sdk.machine import energy, throttling
from edge_sdk.machine.surroundings import Surroundings
from edge_sdk.runtime.bench import measure
from edge_sdk.runtime.configurations import plan
from edge_sdk.spec.bench import Conditions, Measurement

Machine = Callable[[Mapping[str, object]], Path]

RAPL = {
    "sys/class/powercap/intel-rapl/enabled": 1,
    "sys/class/powercap/intel-rapl:0/name": "package-0",
    "sys/class/powercap/intel-rapl:0/energy_uj": 262_143_000_000,
    "sys/class/powercap/intel-rapl:0/max_energy_range_uj": 262_143_328_850,
    "sys/class/powercap/intel-rapl:0:0/name": "core",
    "sys/class/powercap/intel-rapl:0:0/energy_uj": 1,
    "sys/class/powercap/intel-rapl:1/name": "psys",
    "sys/class/powercap/intel-rapl:1/energy_uj": 1,
}
ORIN = {
    "sys/class/hwmon/hwmon0/name": "tmp451",
    "sys/class/hwmon/hwmon0/temp1_input": 41_000,
    "sys/class/hwmon/hwmon1/name": "ina3221",
    "sys/class/hwmon/hwmon1/in1_label": "VDD_IN",
    "sys/class/hwmon/hwmon1/in1_input": 5072,
    "sys/class/hwmon/hwmon1/curr1_input": 1000,
    "sys/class/hwmon/hwmon1/in2_label": "VDD_CPU_GPU_CV",
    "sys/class/hwmon/hwmon1/in2_input": 5072,
    "sys/class/hwmon/hwmon1/curr2_input": 200,
}
NANO = {
    "sys/bus/i2c/drivers/ina3221x/6-0040/iio:device0/rail_name_0": "POM_5V_IN",
    "sys/bus/i2c/drivers/ina3221x/6-0040/iio:device0/in_power0_input": 2500,
    "sys/bus/i2c/drivers/ina3221x/6-0040/iio:device0/rail_name_1": "POM_5V_GPU",
    "sys/bus/i2c/drivers/ina3221x/6-0040/iio:device0/in_power1_input": 40,
}
INA219 = {
    "sys/class/hwmon/hwmon2/name": "ina219",
    "sys/class/hwmon/hwmon2/power1_input": 3_400_000,
    "sys/class/hwmon/hwmon2/curr1_input": 680,
    "sys/class/hwmon/hwmon2/in1_input": 5000,
}
BATTERY_CHARGER = {
    "sys/class/hwmon/hwmon0/name": "ucsi_source_psy",
    "sys/class/hwmon/hwmon0/curr1_input": 680,
    "sys/class/hwmon/hwmon0/in1_input": 5000,
}
PI = "sys/devices/platform/soc/soc:firmware/get_throttled"
PI_5 = "sys/devices/platform/soc@107c000000/soc@107c000000:firmware/get_throttled"


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    def lay_out(files: Mapping[str, object]) -> Path:
        for name, value in files.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(f"{value}\n", encoding="ascii")
        return tmp_path

    return lay_out


def watts(sensor: energy.Sensor | None) -> float | None:
    assert isinstance(sensor, energy.Meter)
    return sensor.watts()


# Energy


def test_a_machine_without_sensors(machine: Machine) -> None:
    assert energy.find(machine({})) == (None, "")
    assert energy.find(machine(BATTERY_CHARGER)) == (None, "")


def test_rapl_counts_the_package_and_begins_anew(machine: Machine) -> None:
    root = machine(RAPL)
    sensor, mend = energy.find(root)
    assert sensor is not None
    assert (sensor.name, mend) == ("RAPL package", "")
    sensor.begin()
    counter = root / "sys/class/powercap/intel-rapl:0/energy_uj"
    counter.write_text("262143300000\n")
    assert sensor.end(1.0) == pytest.approx(0.3)
    sensor.begin()
    counter.write_text("171149\n")  # 28,851 to the end and over it, then so many
    assert sensor.end(1.0) == pytest.approx(0.2)


def test_two_sockets_are_added(machine: Machine) -> None:
    second = {
        "sys/class/powercap/intel-rapl:1/name": "package-1",
        "sys/class/powercap/intel-rapl:1/energy_uj": 5_000_000,
        "sys/class/powercap/intel-rapl:1/max_energy_range_uj": 262_143_328_850,
    }
    root = machine(RAPL | second)
    sensor, _ = energy.find(root)
    assert sensor is not None
    sensor.begin()
    (root / "sys/class/powercap/intel-rapl:0/energy_uj").write_text("262143100000")
    (root / "sys/class/powercap/intel-rapl:1/energy_uj").write_text("5200000")
    assert sensor.end(1.0) == pytest.approx(0.3)


@pytest.mark.parametrize(
    ("files", "name", "power"),
    [
        (ORIN, "ina3221 VDD_IN", 5.072),
        (NANO, "ina3221x POM_5V_IN", 2.5),
        (INA219, "ina219", 3.4),
        (ORIN | RAPL | INA219, "ina3221 VDD_IN", 5.072),
    ],
)
def test_meters(machine: Machine, files: dict[str, object], name: str, power: float) -> None:
    sensor, mend = energy.find(machine(files))
    assert sensor is not None
    assert (sensor.name, mend) == (name, "")
    assert watts(sensor) == pytest.approx(power)
    sensor.begin()
    assert sensor.end(0.25) == pytest.approx(power / 4)


def test_a_rail_without_a_reading_is_passed_over(machine: Machine) -> None:
    sensor, _ = energy.find(machine(ORIN | {"sys/class/hwmon/hwmon1/curr1_input": ""}))
    assert sensor is not None
    assert sensor.name == "ina3221 VDD_CPU_GPU_CV"
    assert watts(sensor) == pytest.approx(1.0144)


def test_a_sensor_that_ends_gives_no_number(machine: Machine) -> None:
    root = machine(INA219)
    sensor, _ = energy.find(root)
    assert sensor is not None
    (root / "sys/class/hwmon/hwmon2/power1_input").unlink()
    assert sensor.end(1.0) is None


def test_a_counter_that_may_not_be_read_is_told_with_the_way_to_it(machine: Machine) -> None:
    root = machine(RAPL)
    counter = root / "sys/class/powercap/intel-rapl:0/energy_uj"
    if os.geteuid() == 0:  # to whom no mode forbids anything: a counter that answers nothing
        counter.write_text("")
    else:
        counter.chmod(0)
    assert energy.find(root) == (None, f"sudo chmod a+r {counter}")


# Throttling


@pytest.mark.parametrize("path", [PI, PI_5])
@pytest.mark.parametrize(
    ("word", "now", "since"),
    [
        ("0", [], []),
        ("1", ["voltage"], []),
        ("50005", ["voltage", "throttles"], ["voltage", "throttles"]),
        ("20002", ["caps"], ["caps"]),
        ("80000", [], ["soft temperature"]),
        ("nonsense", [], []),
    ],
)
def test_a_raspberry_pi(
    machine: Machine, path: str, word: str, now: list[str], since: list[str]
) -> None:
    root = machine({path: word})
    for found, wanted in (
        (throttling.now(root), now),
        (throttling.since_boot(root), since),
    ):
        assert len(found) == len(wanted)
        assert all(part in text for part, text in zip(wanted, found, strict=True))


@pytest.mark.parametrize(
    ("kind", "level", "held"),
    [
        ("thermal-cpufreq-0", 2, True),
        ("cpufreq-cpu0", 1, True),
        ("Processor", 3, True),
        ("devfreq-17000000.gpu", 1, True),
        ("thermal-cpufreq-0", 0, False),
        ("pwm-fan", 4, False),
        ("cpu-fan", 4, False),
        ("intel_powerclamp", -1, False),
    ],
)
def test_cooling_devices(machine: Machine, kind: str, level: int, held: bool) -> None:
    device = "sys/class/thermal/cooling_device0"
    files = {f"{device}/type": kind, f"{device}/cur_state": level, f"{device}/max_state": 5}
    found = throttling.now(machine(files))
    assert found == ((f"{kind} is cooled, at level {level} of 5",) if held else ())


def test_a_watch_notices_events_and_ceilings_from_then_on(machine: Machine) -> None:
    events = "sys/devices/system/cpu/cpu0/thermal_throttle/core_throttle_count"
    ceiling = "sys/devices/system/cpu/cpufreq/policy0/scaling_max_freq"
    root = machine({events: 7, ceiling: 1_800_000})
    watch = throttling.Watch(root)
    assert not watch.look()
    machine({events: 9})
    assert watch.look()
    assert not watch.look()  # it was then, and is no more
    machine({ceiling: 1_500_000})
    assert watch.look()
    assert watch.look()  # as long as it lasts
    assert watch.seen == [
        "the processor has counted thermal events",
        "the frequency's ceiling fell to 1500 MHz",
    ]


def test_the_hottest_zone_and_who_chooses_the_frequency(machine: Machine) -> None:
    assert throttling.temperature_c(machine({})) is None
    zones = {f"sys/class/thermal/thermal_zone{n}/temp": t for n, t in enumerate((41_200, 55_900))}
    off = {"sys/class/thermal/thermal_zone2/temp": -274_000}
    policy = "sys/devices/system/cpu/cpufreq/policy{}/scaling_governor"
    root = machine(zones | off | {policy.format(0): "ondemand", policy.format(4): "ondemand"})
    assert throttling.temperature_c(root) == pytest.approx(55.9)
    assert throttling.governor(root) == "ondemand"
    assert (
        throttling.governor(machine({policy.format(4): "performance"})) == "ondemand + performance"
    )


# In a measurement


def measured(model: Path, root: Path, ticks: Callable[[], int]) -> tuple[Measurement, Conditions]:
    model.write_bytes(tflite_affine())
    configurations, _ = plan(model, backends=["litert"], threads=[1])
    around = Surroundings(root, ticks)
    (one,), _ = measure(model, configurations, seconds=0.01, shapes={}, clock=ticks, around=around)
    return one, around.conditions()


def test_a_measurement_has_energy_and_is_marked_as_throttled(
    machine: Machine, tmp_path: Path
) -> None:
    """A machine that takes 2 W, whose clock ticks a millisecond a look, and that gets hot."""
    counter = "sys/class/powercap/intel-rapl:0/energy_uj"
    zone = "sys/class/thermal/thermal_zone0/temp"
    root = machine(RAPL | {counter: 0, zone: 50_000, PI: "0"})
    times = count(step=1_000_000)

    def ticks() -> int:
        now = next(times)
        machine({counter: now // 1000 * 2})
        if now == 100_000_000:
            machine({PI: "40004", zone: 82_000})
        return now

    one, conditions = measured(tmp_path / "m.tflite", root, ticks)
    assert one.power_w == pytest.approx(2.0, rel=0.05)
    assert one.energy_mj is not None
    assert one.energy_mj >= 2.0 * one.timings.mean_ms * 0.95  # the clock's own looks are in it
    assert one.throttled
    assert conditions.energy_sensor == "RAPL package"
    assert (conditions.before_c, conditions.after_c) == (50.0, 82.0)
    assert conditions.throttling == ("the firmware throttles the processor",)


def test_a_measurement_without_sensors_says_so(machine: Machine, tmp_path: Path) -> None:
    ticks = count(step=1_000_000).__next__
    one, conditions = measured(tmp_path / "m.tflite", machine({}), ticks)
    assert (one.energy_mj, one.power_w, one.throttled) == (None, None, False)
    assert conditions.throttling == ()
    assert conditions.before_c is None

"""The machine around a measurement: the energy that turns take, and what holds it back meanwhile.

* **Energy** is what the machine's best sensor (``energy``) saw over a subject's turns, divided by
  the calls in them: all that the sensor sees, the idle machine and its other work included.
  **Power** is the same over the time of the turns.
* **Throttling** (``throttling``) is looked for after every turn, once warm-up is over; a turn after
  which the processor is held back, or was since the turn before, marks its subject.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter_ns
from typing import Protocol

from msgspec.structs import replace

from edge_sdk.machine import energy, throttling
from edge_sdk.spec.bench import Conditions, Measurement


class Turns(Protocol):
    """What takes turns: ``edge_sdk.runtime.bench.Timed``."""

    times: list[int]

    def take_turn(self, seconds: float, /) -> None:
        """Call again and again, for that long."""


@dataclass(slots=True)
class _Seen:
    joules: float | None = 0.0
    seconds: float = 0.0
    throttled: bool = False


class Surroundings:
    """Watches a machine while things take turns. Make it before they are loaded."""

    def __init__(self, root: Path = Path("/"), clock: Callable[[], int] = perf_counter_ns) -> None:
        """Find the sensors.

        Args:
            root: below which the kernel's files are.
            clock: nanoseconds from some fixed moment.
        """
        self._root = root
        self._clock = clock
        self._sensor, self._hint = energy.find(root)
        self._before_c = throttling.temperature_c(root)
        self._watch: throttling.Watch | None = None
        self._seen: dict[int, _Seen] = {}

    def take_turn(self, subject: Turns, seconds: float) -> None:
        """Have a subject take its turn, of so many seconds, and note what that took."""
        if self._watch is None:
            self._watch = throttling.Watch(self._root)
        seen = self._seen.setdefault(id(subject), _Seen())
        if self._sensor is None:
            subject.take_turn(seconds)
            seen.joules = None
        else:
            self._sensor.begin()
            start = self._clock()
            subject.take_turn(seconds)
            took_s = (self._clock() - start) / 1e9
            joules = self._sensor.end(took_s)
            known = seen.joules is not None and joules is not None
            seen.joules = (seen.joules or 0.0) + (joules or 0.0) if known else None
            seen.seconds += took_s
        seen.throttled |= self._watch.look()

    def told(self, subject: Turns, measurement: Measurement) -> Measurement:
        """A subject's measurement, with what its turns took."""
        seen = self._seen[id(subject)]
        if seen.joules is None:
            return replace(measurement, throttled=seen.throttled)
        return replace(
            measurement,
            energy_mj=seen.joules / len(subject.times) * 1e3,
            power_w=seen.joules / max(seen.seconds, 1e-9),
            throttled=seen.throttled,
        )

    def conditions(self) -> Conditions:
        """What the machine was like, until now."""
        return Conditions(
            energy_sensor="" if self._sensor is None else self._sensor.name,
            energy_hint=self._hint,
            governor=throttling.governor(self._root),
            before_c=self._before_c,
            after_c=throttling.temperature_c(self._root),
            throttling=() if self._watch is None else tuple(self._watch.seen),
        )

"""Measurements of a model on a device: what ``edge bench`` writes, and what a fleet is told.

What each number is, is defined where it is measured (``edge_sdk.runtime.bench``).
"""

from __future__ import annotations

from edge_sdk.spec.deployment import ArtifactRef
from edge_sdk.spec.placement import Placement
from edge_sdk.spec.profile import DeviceProfile
from edge_sdk.spec.tensor import TensorSpec
from edge_sdk.spec.word import Word


class Configuration(Word, frozen=True, kw_only=True):
    """One way to run a model.

    Attributes:
        variant: an artifact's variant; None for a bare model.
        delegates: as ``edge_sdk.load`` takes them; empty for the engine's best CPU path.
    """

    backend: str
    threads: int
    variant: str | None = None
    delegates: tuple[str, ...] = ()

    def __str__(self) -> str:
        words = [self.variant or "", self.backend, ",".join(self.delegates)]
        return " ".join(filter(None, [*words, f"x{self.threads}"]))


class Skipped(Word, frozen=True, kw_only=True):
    """A variant that cannot be run here, and why."""

    variant: str
    reason: str


class Timings(Word, frozen=True, kw_only=True):
    """What the measured calls of one configuration took."""

    calls: int
    mean_ms: float
    p50_ms: float
    p90_ms: float
    p99_ms: float
    per_second: float


class Measurement(Word, frozen=True, kw_only=True):
    """One configuration, measured.

    Attributes:
        placement: where it really ran.
        load_ms: from the path to a session ready to run, the engine already imported.
        first_ms: the first call, which engines use to finish preparing.
        energy_mj: millijoules a call, of all that the sensor sees; None where there is none.
        power_w: watts while it ran, likewise.
        throttled: whether the processor was held back during its turns.
    """

    configuration: Configuration
    placement: Placement
    load_ms: float
    first_ms: float
    timings: Timings
    memory_growth_bytes: int
    energy_mj: float | None = None
    power_w: float | None = None
    throttled: bool = False


class Conditions(Word, frozen=True, kw_only=True):
    """What the machine was like meanwhile.

    Attributes:
        energy_sensor: what energy was measured by; empty if by nothing.
        energy_hint: the command that lets this user read a sensor that is there.
        governor: who chose the processor's frequency; empty where nobody does.
        before_c, after_c: the hottest zone, in degrees Celsius; None where there is no sensor.
        throttling: what held the processor back, each thing once.
    """

    energy_sensor: str = ""
    energy_hint: str = ""
    governor: str = ""
    before_c: float | None = None
    after_c: float | None = None
    throttling: tuple[str, ...] = ()


class BenchReport(Word, frozen=True, kw_only=True):
    """What ``edge bench --json`` prints.

    Attributes:
        artifact: which one it was; None for a bare model.
        inputs: what was fed: random numbers of these types and shapes, the same to all.
        seconds: the time that was asked for.
        fastest: what ``auto`` chose among them; None where it was not asked.
    """

    model: str
    profile: DeviceProfile
    inputs: tuple[TensorSpec, ...]
    seconds: float
    measurements: tuple[Measurement, ...]
    skipped: tuple[Skipped, ...] = ()
    fastest: Configuration | None = None
    artifact: ArtifactRef | None = None
    conditions: Conditions = Conditions()

"""Measuring: how long a model takes here, configuration beside configuration.

Machines drift: clocks change, neighbours come and go. So all configurations are loaded first and
then take turns, a few dozen milliseconds each, forwards and backwards through the list, until the
time is up; what disturbs one disturbs all. Within a turn a configuration is called again and again,
as it would be in use, and only those calls are timed.

Definitions, since benchmarks differ in them:

* A **percentile** p is the smallest measured value that at least p % of the values do not exceed
  (the nearest-rank definition); no value is invented between two measured ones. With fewer than 100
  calls p99 is the slowest call.
* **Throughput** is calls divided by the sum of their times: one caller, back to back.
* **Memory growth** is by how much the resident memory of this process rose from before a
  configuration was loaded until after its first call, the engine having been imported earlier.
  Later configurations profit from memory that earlier ones have freed: measure one configuration
  alone where this number matters.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from statistics import median
from time import perf_counter_ns
from typing import Any

import numpy as np

from edge_sdk.backends import backend
from edge_sdk.backends.base import Array, numpy_dtype
from edge_sdk.errors import EdgeError, UsageError
from edge_sdk.machine.memory import resident_bytes
from edge_sdk.machine.surroundings import Surroundings
from edge_sdk.runtime.opening import open_session
from edge_sdk.runtime.session import Session
from edge_sdk.spec import Signature, TensorSpec
from edge_sdk.spec.bench import Configuration, Measurement, Timings
from edge_sdk.text import nearest

TURN_SECONDS = 0.05
WARM_UP_CALLS = 3
WARM_UP_SHARE = 0.1
"""Part of a configuration's share of the time that its warm-up may take beyond those calls."""

Clock = Callable[[], int]
"""Nanoseconds from some fixed moment, never going back."""


def percentile(ascending: Sequence[float], percent: float) -> float:
    """The smallest value that at least ``percent`` % of the values do not exceed.

    Args:
        ascending: at least one value, sorted.
        percent: above 0, at most 100.
    """
    return ascending[math.ceil(len(ascending) * percent / 100) - 1]


def summarize(nanoseconds: Iterable[int]) -> Timings:
    """The timings of at least one call."""
    ascending = sorted(nanoseconds)
    total = sum(ascending)
    return Timings(
        calls=len(ascending),
        mean_ms=total / len(ascending) / 1e6,
        p50_ms=percentile(ascending, 50) / 1e6,
        p90_ms=percentile(ascending, 90) / 1e6,
        p99_ms=percentile(ascending, 99) / 1e6,
        per_second=len(ascending) / max(total, 1) * 1e9,
    )


def random_inputs(
    signature: Signature, shapes: Mapping[str, tuple[int, ...]], seed: int = 0
) -> dict[str, Array]:
    """Random numbers to feed: floats in [0, 1), quantized integers over their whole range.

    Other integers are 0 or 1, since they may be indices, of which only these are sure to exist.

    Args:
        signature: what the model takes.
        shapes: by input name; needed only where the signature leaves a length open, which is
            otherwise taken to be 1.
        seed: the same seed gives the same numbers.

    Raises:
        UsageError: a shape for an input that there is not, or that does not fit; an input of text.
    """
    names = [tensor.name for tensor in signature.inputs]
    for name in shapes:
        if name not in names:
            raise UsageError(f"The model has no input {name!r}.", nearest(name, names))
    rng = np.random.default_rng(seed)
    return {
        tensor.name: _random(tensor, shapes.get(tensor.name), rng) for tensor in signature.inputs
    }


def _random(tensor: TensorSpec, shape: tuple[int, ...] | None, rng: np.random.Generator) -> Array:
    if shape is None:
        shape = tuple(dim if isinstance(dim, int) else 1 for dim in tensor.shape)
    elif not tensor.accepts(shape):
        given = "x".join(map(str, shape))
        raise UsageError(
            f"The shape {given} does not fit the input {tensor}.",
            "Lengths that are names are free, numbers are fixed.",
        )
    dtype = numpy_dtype(tensor.dtype)
    if dtype.kind == "f":
        return rng.random(shape).astype(dtype)
    if dtype.kind in "iu" and tensor.quantization is not None:
        limits = np.iinfo(dtype)
        return rng.integers(limits.min, limits.max, shape, dtype, endpoint=True)
    if dtype.kind in "iub":
        return rng.integers(0, 2, shape).astype(dtype)
    raise UsageError(
        f"The input {tensor} cannot be invented.",
        "edge bench feeds random numbers; measure this model from a program of yours.",
    )


class Timed:
    """A session under measurement.

    Attributes:
        session: what is called.
        inputs: what it is fed.
        times: of its calls so far, in nanoseconds.
        turns: the median call of each of its turns, in nanoseconds.
    """

    def __init__(self, session: Session, inputs: Mapping[str, Array], clock: Clock) -> None:
        self.session = session
        self.inputs = inputs
        self.times: list[int] = []
        self.turns: list[float] = []
        self._clock = clock

    def warm_up(self, seconds: float) -> None:
        """Call it a few times, and as long as that, without counting."""
        end = self._clock() + seconds * 1e9
        calls = 0
        while calls < WARM_UP_CALLS or self._clock() < end:
            self.call()
            calls += 1

    def take_turn(self, seconds: float = TURN_SECONDS) -> None:
        """Call it again and again for that long."""
        end = self._clock() + seconds * 1e9
        before = len(self.times)
        self.times.append(self.call())
        while self._clock() < end:
            self.times.append(self.call())
        self.turns.append(median(self.times[before:]))

    def call(self) -> int:
        """How long one call takes."""
        start = self._clock()
        self.session.run(self.inputs)
        return self._clock() - start


class Subject(Timed):
    """A configuration under measurement, from its loading on.

    Attributes:
        looked: what ``look`` found, in nanoseconds.
    """

    def __init__(self, path: Path, configuration: Configuration, clock: Clock) -> None:
        self.configuration = configuration
        self._path = path
        backend(configuration.backend).version()
        self._memory_before = resident_bytes()
        start = clock()
        session = self._opened()
        self._load_ns = clock() - start
        super().__init__(session, {}, clock)

    def feed(
        self, shapes: Mapping[str, tuple[int, ...]], inputs: Mapping[str, Array] | None = None
    ) -> None:
        """Decide what it is fed, and call it the first time; see ``random_inputs``."""
        self.inputs = inputs or random_inputs(self.session.signature, shapes)
        self._first_ns = self.call()
        self._memory_growth = resident_bytes() - self._memory_before

    @property
    def renewal_ns(self) -> int:
        """About what ``renew`` takes."""
        return self._load_ns + self._first_ns

    def renew(self) -> None:
        """Go on with an instance made afresh; with the old one, where there cannot be two."""
        try:
            fresh = self._opened()
        except EdgeError:
            return
        self.session.close()
        self.session = fresh
        self.call()

    def _opened(self) -> Session:
        return open_session(
            self._path,
            variant=self.configuration.variant,
            backend=self.configuration.backend,
            delegates=self.configuration.delegates,
            threads=self.configuration.threads,
        )

    def look(self, calls: int) -> float:
        """The time of its fastest call out of a few, as a first impression."""
        self.looked = float(min(self.call() for _ in range(calls)))
        return self.looked

    def measurement(self) -> Measurement:
        """What it came to."""
        return Measurement(
            configuration=self.configuration,
            placement=self.session.placement,
            load_ms=self._load_ns / 1e6,
            first_ms=self._first_ns / 1e6,
            timings=summarize(self.times),
            memory_growth_bytes=self._memory_growth,
        )


def take_turns(
    subjects: Sequence[Timed],
    seconds: float,
    clock: Clock,
    around: Surroundings | None = None,
    turn_seconds: float = TURN_SECONDS,
) -> None:
    """Warm all up and let them take turns, forwards and backwards, until the time is up.

    Args:
        subjects: at least one.
        seconds: for all of them together.
        clock: what tells the time.
        around: who watches the machine meanwhile; None for nobody.
        turn_seconds: for one turn.
    """
    share = seconds / len(subjects)
    end = clock() + seconds * 1e9
    for subject in subjects:
        subject.warm_up(share * WARM_UP_SHARE)
    order = subjects
    rounds = 0
    while rounds < 2 or clock() < end:
        for subject in order:
            if around is None:
                subject.take_turn(turn_seconds)
            else:
                around.take_turn(subject, turn_seconds)
        order = order[::-1]
        rounds += 1


def time_sessions(
    sessions: Mapping[str, tuple[Session, Mapping[str, Array]]],
    *,
    seconds: float,
    clock: Clock = perf_counter_ns,
) -> dict[str, Timings]:
    """Time sessions that are loaded already, side by side; those that take longer overrun.

    Args:
        sessions: by any name: a session, and what it is fed.
        seconds: for all of them together.
        clock: what tells the time.

    Returns:
        The timings, by the same names.

    Raises:
        EdgeError: one of them does not run.
    """
    if not sessions:
        return {}
    subjects = {name: Timed(*fed, clock) for name, fed in sessions.items()}
    take_turns(list(subjects.values()), seconds, clock)
    return {name: summarize(subject.times) for name, subject in subjects.items()}


def fed(subject: Subject) -> tuple[TensorSpec, ...]:
    """What it was fed."""
    return tuple(
        TensorSpec(name=t.name, dtype=t.dtype, shape=subject.inputs[t.name].shape)
        for t in subject.session.signature.inputs
    )


def measurements(
    subjects: Iterable[Subject], around: Surroundings | None
) -> tuple[Measurement, ...]:
    """What they came to, with what was seen of the machine meanwhile."""
    if around is None:
        return tuple(subject.measurement() for subject in subjects)
    return tuple(around.told(subject, subject.measurement()) for subject in subjects)


def measure(
    path: Path,
    configurations: Sequence[Configuration],
    *,
    seconds: float,
    shapes: Mapping[str, tuple[int, ...]],
    clock: Clock = perf_counter_ns,
    progress: Callable[[str], Any] = lambda _: None,
    around: Surroundings | None = None,
) -> tuple[tuple[Measurement, ...], tuple[TensorSpec, ...]]:
    """Load every configuration, warm it up, and let all take turns until the time is up.

    Every configuration is measured at least once forwards and once backwards, so slow ones may
    overrun ``seconds``.

    Args:
        path: an artifact or a bare model.
        configurations: at least one.
        seconds: for all of them together, loading excluded.
        shapes: see ``random_inputs``.
        clock: what tells the time.
        progress: called with a line for people as each step begins.
        around: who watches the machine meanwhile; None for nobody.

    Returns:
        The measurements, in the order of the configurations, and what was fed.

    Raises:
        EdgeError: a configuration cannot be loaded or fed.
    """
    subjects: list[Subject] = []
    try:
        for configuration in configurations:
            progress(f"loading {configuration} …")
            subjects.append(Subject(path, configuration, clock))
            subjects[-1].feed(shapes)
        progress(f"measuring {len(subjects)} configurations for {seconds:g} s …")
        take_turns(subjects, seconds, clock, around)
        return measurements(subjects, around), fed(subjects[0])
    finally:
        for subject in subjects:
            subject.session.close()

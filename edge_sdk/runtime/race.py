"""A race: the ways to run a model, one beside the other, until it is clear which is fastest.

Each is loaded, fed, held against the golden vectors, or against the first one's answers where a
model brings none, and called a few times; what is wrong, or far slower than the best so far, is
closed at once, so that only few are in memory together. The others race in heats of short turns, so
that what happens to the machine happens to all, and with instances made afresh, unless making them
takes longer than a heat; who lags falls out, and it is over when one is left or the time is up
(``lead``).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from time import perf_counter_ns
from typing import Any

import numpy as np

from edge_sdk.artifact import Golden
from edge_sdk.backends import backend
from edge_sdk.backends.base import Array
from edge_sdk.backends.notices import overheard
from edge_sdk.errors import EdgeError
from edge_sdk.machine.surroundings import Surroundings
from edge_sdk.runtime.bench import Clock, Subject, fed, measurements, take_turns
from edge_sdk.runtime.candidates import Model
from edge_sdk.runtime.lead import lags, leader, plainest
from edge_sdk.runtime.selfcheck import judge
from edge_sdk.runtime.trial import OWN
from edge_sdk.spec import TensorSpec
from edge_sdk.spec.bench import Configuration, Measurement, Skipped

TURN_SECONDS = 0.02
HEAT_SECONDS = 0.25
HOPELESS = 3.0
"""So many times the best so far, and a candidate is not measured any further."""
LOOKS = 5
ALIKE = 0.05
"""How far, as a share of its span, an output may be from the first candidate's."""
LOCK_HANDICAP = 1.5
"""A way that holds Python's lock while it computes must be that much faster than one that does not:
it stops the threads that fetch the next picture and show the last."""


@dataclass(frozen=True, kw_only=True)
class Raced:
    """What came of a race.

    Attributes:
        measured: in the order of the configurations.
        skipped: who fell out before it was measured, and why.
        fed: what was fed; none if nobody was measured.
        fastest: who won; None if nobody was measured.
    """

    measured: tuple[Measurement, ...]
    skipped: tuple[Skipped, ...]
    fed: tuple[TensorSpec, ...]
    fastest: Configuration | None


def race(
    model: Model,
    configurations: Sequence[Configuration],
    *,
    seconds: float,
    shapes: Mapping[str, tuple[int, ...]],
    clock: Clock = perf_counter_ns,
    progress: Callable[[str], Any] = lambda _: None,
    around: Surroundings | None = None,
) -> Raced:
    """Find the fastest of those that are right.

    Args:
        model: what is run.
        configurations: at least one, the plainest first.
        seconds: for the turns, at most.
        shapes: see ``random_inputs``; a golden input needs none.
        clock: what tells the time.
        progress: called with a line for people as each step begins.
        around: who watches the machine meanwhile; None for nobody.
    """
    subjects: list[Subject] = []
    out: list[Skipped] = []
    reference: dict[str, Array] | None = None
    best = float("inf")
    try:
        for configuration in configurations:
            progress(f"trying {configuration} …")
            subject = None
            try:
                with overheard():  # what an engine complains of, it raises as well
                    subject = Subject(model.path, configuration, clock)
                    subject.feed(shapes, _row(model.golden))
                    reason = _idle(subject) or _wrong(model, subject, reference)
                    reference = reference or subject.session.run(subject.inputs)
                if not reason:
                    took = subject.look(LOOKS)
                    best = min(best, took)
                    if took > HOPELESS * best:
                        reason = f"{took / best:.1f} times as slow as the best"
            except EdgeError as error:
                reason = error.message.removeprefix(f"{model.path}: ")
            if reason:
                out.append(Skipped(variant=str(configuration), reason=reason))
                if subject is not None:
                    subject.session.close()
            else:
                assert subject is not None
                subjects.append(subject)
        for slow in [each for each in subjects if each.looked > HOPELESS * best]:
            reason = f"{slow.looked / best:.1f} times as slow as the best"
            out.append(Skipped(variant=str(slow.configuration), reason=reason))
            slow.session.close()
            subjects.remove(slow)
        if not subjects:
            return Raced(measured=(), skipped=tuple(out), fed=(), fastest=None)
        progress(f"measuring {len(subjects)} configurations for {seconds:g} s at most …")
        winner = _winner(subjects, seconds, clock, around)
        return Raced(
            measured=measurements(subjects, around),
            skipped=tuple(out),
            fed=fed(subjects[0]),
            fastest=winner.configuration,
        )
    finally:
        for subject in subjects:
            subject.session.close()


def _winner(
    subjects: Sequence[Subject], seconds: float, clock: Clock, around: Surroundings | None
) -> Subject:
    """Let them race in heats until one is left or the time is up; see ``lead``."""
    end = clock() + seconds * 1e9
    left = list(subjects)
    heats: dict[Subject, list[list[float]]] = {subject: [] for subject in left}
    while True:
        began, before = clock(), [len(subject.turns) for subject in left]
        heat = min(HEAT_SECONDS, seconds)
        take_turns(left[:: -1 if len(heats[left[0]]) % 2 else 1], heat, clock, around, TURN_SECONDS)
        for subject, start in zip(left, before, strict=True):
            handicap = _handicap(subject.configuration)
            heats[subject].append([turn * handicap for turn in subject.turns[start:]])
        ways = [heats[subject] for subject in left]
        best = ways[leader(ways)]
        left = [subject for subject in left if not lags(heats[subject], best)]
        if len(left) == 1 or clock() >= end:
            return left[plainest([heats[subject] for subject in left])]
        if sum(subject.renewal_ns for subject in left) <= clock() - began:
            for subject in left:
                subject.renew()


def _handicap(way: Configuration) -> float:
    return LOCK_HANDICAP if backend(way.backend).holds_lock(way.delegates) else 1.0


def _row(golden: Golden | None) -> Mapping[str, Array] | None:
    """A real input, if there is one."""
    if golden is None:
        return None
    return {name: np.ascontiguousarray(array[0]) for name, array in golden.inputs.items()}


def _idle(subject: Subject) -> str:
    """Why the delegate that was asked for does nothing; empty if it does something."""
    wanted = next(iter(subject.configuration.delegates), None)
    placement = subject.session.placement if wanted not in (None, *OWN) else None
    if placement is None or wanted in placement.actual:
        return ""
    return next((a.reason for a in placement.refused if a.delegate == wanted), "it took nothing")


def _wrong(model: Model, subject: Subject, reference: Mapping[str, Array] | None) -> str:
    """What is wrong with a candidate's answers; empty if nothing is."""
    if model.golden is not None:
        found = judge(subject.session, model.golden).reason
        return f"it answers wrongly on the golden vectors: {found}" if found else ""
    if reference is None:
        return ""
    outputs = subject.session.run(subject.inputs)
    for name, expected in reference.items():
        gap, span = _gap(outputs[name], expected)
        if not gap <= ALIKE * span:
            return f"{name} differs by {gap:.3g} from what the engine's own kernels answer"
    return ""


def _gap(found: Array, expected: Array) -> tuple[float, float]:
    """The greatest difference of two outputs, and the span of the second; none for text."""
    if found.dtype.kind not in "fiub" or not expected.size:
        return (0.0 if np.array_equal(found, expected) else np.inf), 0.0
    if found.shape != expected.shape:
        return np.inf, 0.0
    one, other = found.astype(np.float64), expected.astype(np.float64)
    if not np.isfinite(other).all():
        return (0.0 if np.array_equal(one, other, equal_nan=True) else np.inf), 0.0
    span = float(max(np.ptp(other), np.abs(other).max()))
    return float(np.max(np.abs(one - other))), span

"""Drift on one device: is the newest window stranger than this device's windows usually are? Pure.

The customary alarms (a test at 5 %, an index above 0.1) assume that one input has nothing to do
with the next. Cameras are not like that: on real streams without any change they raise the alarm
in 10 to 90 % of all windows. So no formula says here what is usual; the device's own past does.

    distance    of a window: by feature, Kolmogorov-Smirnov from the artifact's baseline over its
                bins (for classes, which have no order, total variation)
    score       of a window among others: the greatest distance over its features, each less its
                median and in units of its spread, so that a feature which is always far off, or
                always noisy, does not hide the others
    p           the share of windows, past ones and the new one, whose score is at least the new
                one's: right for any data, as long as the order of windows says nothing (conformal
                prediction; V. Vovk et al., Algorithmic Learning in a Random World, 2005)
    effect      of the feature, against the past of the same device: what is significant may still
                be too small to matter

Drift begins when ``confirmations`` windows in a row are strange, and ends likewise. Windows of a
drift never join the past, or it would become usual by lasting; strange ones that were not confirmed
do, or what is usual would look ever narrower. With n past windows p is never below 1 / (n + 1), so
while they are few "strange" means stranger than all of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from edge_sdk.spec.drift import Drift, DriftVerdict, Evidence
from edge_sdk.spec.sketch import Baseline, Window
from edge_sdk.telemetry.distance import kolmogorov_smirnov, stability_index, total_variation

Counts = tuple[tuple[int, ...], ...]
"""By feature, in the order of ``references``: how many in each bin, the last for no number."""

CLASSES = "classes"
NOISE = 0.02
"""The least spread of a distance: a window of hundreds of values has that by chance."""


@dataclass(frozen=True, slots=True)
class Limits:
    """When to speak, and when to raise the alarm.

    Attributes:
        min_windows: of the past, before anything is said.
        max_p: a window is strange up to this p; never less than the past's length allows.
        min_effect: and from this stability index on.
        confirmations: strange windows in a row that make a drift, and usual ones that end it.
        min_inferences: windows of fewer are put together with the next.
        most_windows: of the past that are remembered.
    """

    min_windows: int = 40
    max_p: float = 0.05
    min_effect: float = 0.1
    confirmations: int = 2
    min_inferences: int = 30
    most_windows: int = 200


@dataclass(frozen=True, slots=True)
class Measured:
    """A window, or several put together: its counts and its distances from the baseline."""

    started_ms: int
    counts: Counts
    distances: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class History:
    """What is known of one model on one device.

    Attributes:
        past: distances of usual windows, oldest first.
        total: their counts, added up.
        held: a window that is still too small to be judged.
        odd: strange windows in a row, newest last; all of them while drifting.
        calm: usual windows in a row, while drifting.
        verdict: the newest.
    """

    past: tuple[tuple[float, ...], ...] = ()
    total: Counts = ()
    held: tuple[int, int, Counts] | None = None
    odd: tuple[Measured, ...] = ()
    calm: tuple[Measured, ...] = ()
    since_ms: int = 0
    verdict: DriftVerdict = field(
        default_factory=lambda: DriftVerdict(verdict=Drift.LEARNING, windows=0, needed=0)
    )


def judge(
    baseline: Baseline, windows: Iterable[Window], limits: Limits | None = None
) -> DriftVerdict:
    """The verdict on one device's windows of one artifact, oldest first."""
    limits = limits or Limits()
    history = begin(limits)
    for window in windows:
        history = step(history, baseline, window, limits)
    return history.verdict


def begin(limits: Limits) -> History:
    """Nothing is known yet."""
    verdict = DriftVerdict(verdict=Drift.LEARNING, windows=0, needed=limits.min_windows)
    return History(verdict=verdict)


def step(history: History, baseline: Baseline, window: Window, limits: Limits) -> History:
    """One more window, newer than all before."""
    size, started_ms = window.inferences, window.started_ms
    counts = counts_of(baseline, window)
    if history.held is not None:
        held_size, started_ms, held = history.held
        size, counts = size + held_size, _added(held, counts)
    if size < limits.min_inferences:
        return replace(history, held=(size, started_ms, counts))
    history = replace(history, held=None)
    found = Measured(started_ms, counts, _distances(baseline, counts))
    if len(history.past) < limits.min_windows:
        history = _learn(history, found, limits)
        verdict = DriftVerdict(
            verdict=Drift.LEARNING, windows=len(history.past), needed=limits.min_windows
        )
        return replace(history, verdict=verdict)
    p, scores = rank(history.past, found.distances)
    recent = (*history.odd, found)[-limits.confirmations :]
    evidence = _evidence(baseline, history, found, recent, scores)
    strange = (
        p <= max(limits.max_p, 1 / (len(history.past) + 1))
        and evidence[0].effect >= limits.min_effect
    )
    windows = len(history.past)
    history = _strange(history, found, limits) if strange else _usual(history, found, limits)
    verdict = DriftVerdict(
        verdict=Drift.DRIFTING if history.since_ms else Drift.STEADY,
        windows=windows,
        needed=limits.min_windows,
        p=p,
        since_ms=history.since_ms,
        evidence=evidence,
    )
    return replace(history, verdict=verdict)


def rank(
    past: Sequence[tuple[float, ...]], newest: tuple[float, ...]
) -> tuple[float, npt.NDArray[np.float64]]:
    """The newest window among the past ones: its p, and its score by feature.

    Median and spread are of all windows, the newest included: only so do all play the same part,
    on which p rests.
    """
    distances = np.array([*past, newest])
    median = np.median(distances, axis=0)
    spread = np.median(np.abs(distances - median), axis=0) + NOISE
    scores = (distances - median) / spread
    highest = scores.max(axis=1)
    return float((highest >= highest[-1]).mean()), scores[-1]


def references(baseline: Baseline) -> dict[str, tuple[int, ...]]:
    """By feature, the baseline's counts, and none without a number; classes if there are two."""
    found = {feature.name: (*feature.reference, 0) for feature in baseline.features}
    if len(baseline.classes) > 1:
        found[CLASSES] = (*baseline.classes, 0)
    return found


def counts_of(baseline: Baseline, window: Window) -> Counts:
    """A window's counts, feature by feature in the order of ``references``."""
    counts = []
    for name, reference in references(baseline).items():
        bins = len(reference) - 1
        if name == CLASSES:
            known = [window.classes.get(index, 0) for index in range(bins)]
            counts.append((*known, sum(window.classes.values()) - sum(known)))
        elif name in window.features and len(window.features[name].counts) == bins:
            counts.append((*window.features[name].counts, window.features[name].missing))
        else:
            counts.append((0,) * (bins + 1))
    return tuple(counts)


def _distances(baseline: Baseline, counts: Counts) -> tuple[float, ...]:
    return tuple(
        (total_variation if name == CLASSES else kolmogorov_smirnov)(reference, found)
        for (name, reference), found in zip(references(baseline).items(), counts, strict=True)
    )


def _evidence(
    baseline: Baseline,
    history: History,
    found: Measured,
    recent: Sequence[Measured],
    scores: npt.NDArray[np.float64],
) -> tuple[Evidence, ...]:
    """What there is to say of each feature, the one with the highest score first."""
    together = recent[0].counts
    for measured in recent[1:]:
        together = _added(together, measured.counts)
    usual = np.median(np.array(history.past), axis=0)
    evidence = [
        Evidence(
            feature=name,
            distance=round(found.distances[i], 4),
            usual=round(float(usual[i]), 4),
            effect=round(stability_index(history.total[i], together[i]), 4),
        )
        for i, name in enumerate(references(baseline))
    ]
    return tuple(evidence[i] for i in np.argsort(-scores, kind="stable"))


def _learn(history: History, found: Measured, limits: Limits) -> History:
    """A usual window joins the past."""
    return replace(
        history,
        past=(*history.past, found.distances)[-limits.most_windows :],
        total=_added(history.total, found.counts) if history.total else found.counts,
    )


def _strange(history: History, found: Measured, limits: Limits) -> History:
    odd = (*history.odd, found)[-limits.confirmations :]
    since_ms = history.since_ms
    if not since_ms and len(odd) >= limits.confirmations:
        since_ms = odd[0].started_ms
    return replace(history, odd=odd, calm=(), since_ms=since_ms)


def _usual(history: History, found: Measured, limits: Limits) -> History:
    if history.since_ms and len(history.calm) + 1 < limits.confirmations:
        return replace(history, calm=(*history.calm, found))
    joining = (*history.calm, found) if history.since_ms else (*history.odd, found)
    history = replace(history, odd=(), calm=(), since_ms=0)
    for measured in joining:
        history = _learn(history, measured, limits)
    return history


def _added(some: Counts, others: Counts) -> Counts:
    return tuple(
        tuple(a + b for a, b in zip(x, y, strict=True)) for x, y in zip(some, others, strict=True)
    )

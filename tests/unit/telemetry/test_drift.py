"""Drift verdicts on one device: silent on what is usual for it, heard when something changes.

The pictures are Fashion-MNIST's; a "device" sees some of them, again and again or at random. Draws
are seeded: rates are exact numbers here, not chance.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import cv2
import numpy as np
import pytest

from edge_sdk.processing import Processing
from edge_sdk.spec import ImageInput, Signature, TensorSpec
from edge_sdk.spec.drift import Drift, DriftVerdict
from edge_sdk.spec.sketch import Baseline, BinCounts, Feature, Window
from edge_sdk.telemetry.baseline import baseline_of
from edge_sdk.telemetry.features import Probe
from examples.fashion_mnist.dataset import load
from fleet.core.drift import History, Limits, begin, judge, rank, step

FEW = Limits(min_windows=8)
PER_WINDOW = 100

BASELINE = Baseline(
    samples=1000,
    features=(
        Feature(name="x", edges=(-1.0, 0.0, 1.0), reference=(160, 340, 340, 160)),
        Feature(name="y", edges=(0.0,), reference=(500, 500)),
    ),
    classes=(500, 500),
)


def window(
    index: int,
    x: tuple[int, ...] = (16, 34, 34, 16),
    y: tuple[int, ...] = (50, 50),
    classes: tuple[int, ...] = (50, 50),
    missing: int = 0,
) -> Window:
    return Window(
        app="a",
        artifact="0" * 64,
        role="serve",
        started_ms=1000 * index,
        ended_ms=1000 * index + 999,
        boot="b",
        monotonic_ms=0,
        inferences=sum(x) + missing,
        classes=dict(enumerate(classes)),
        features={"x": BinCounts(counts=x, missing=missing), "y": BinCounts(counts=y)},
    )


def usual(count: int, start: int = 1) -> list[Window]:
    """Windows that differ a little from each other, as all do."""
    return [
        window(start + i, x=(16 + i % 3, 34 - i % 2, 34, 16 - i % 3 + i % 2)) for i in range(count)
    ]


DARK = (80, 20, 0, 0)


def test_it_learns_first():
    verdict = judge(BASELINE, usual(7), FEW)
    assert verdict == DriftVerdict(verdict=Drift.LEARNING, windows=7, needed=8)
    assert str(verdict) == "learning (7 of 8 windows)"
    assert judge(BASELINE, [], FEW).needed == 8


def test_what_is_strange_while_it_learns_is_not_drift():
    assert judge(BASELINE, [window(i, x=DARK) for i in range(1, 9)], FEW).verdict is Drift.LEARNING


def test_one_strange_window_is_not_drift_two_are():
    past = usual(12)
    once = judge(BASELINE, [*past, window(20, x=DARK)], FEW)
    assert once.verdict is Drift.STEADY
    twice = judge(BASELINE, [*past, window(20, x=DARK), window(21, x=DARK)], FEW)
    assert twice.verdict is Drift.DRIFTING
    assert twice.since_ms == 20_000
    assert twice.p == pytest.approx(1 / 13)
    first = twice.evidence[0]
    assert first.feature == "x"
    assert first.distance == pytest.approx(0.64)
    assert first.usual < 0.05
    assert first.effect > 1
    assert str(twice).startswith("drifting: x is 0.64 from the baseline, usually 0.0")


def test_with_a_usual_one_between_they_are_not():
    windows = [*usual(12), window(20, x=DARK), window(21), window(22, x=DARK)]
    assert judge(BASELINE, windows, FEW).verdict is Drift.STEADY


def test_drift_lasts_as_long_as_it_lasts_and_ends_when_it_ends():
    windows = [*usual(12), *(window(20 + i, x=DARK) for i in range(100))]
    assert judge(BASELINE, windows, FEW).verdict is Drift.DRIFTING
    assert judge(BASELINE, [*windows, window(200)], FEW).verdict is Drift.DRIFTING
    ended = judge(BASELINE, [*windows, window(200), window(201)], FEW)
    assert (ended.verdict, ended.since_ms) == (Drift.STEADY, 0)
    again = [*windows, window(200), window(201), *(window(300 + i, x=DARK) for i in range(2))]
    assert judge(BASELINE, again, FEW).since_ms == 300_000


def test_a_device_that_is_always_far_off_is_not_drifting():
    windows = [window(i, x=(70 + i % 3, 30 - i % 3, 0, 0)) for i in range(1, 40)]
    assert judge(BASELINE, windows, FEW).verdict is Drift.STEADY


def test_a_feature_that_is_always_far_off_hides_no_other():
    far = [window(i, x=(90 + i % 3, 10 - i % 3, 0, 0)) for i in range(1, 20)]
    moved = [window(20 + i, x=(91, 9, 0, 0), y=(85, 15)) for i in range(2)]
    verdict = judge(BASELINE, [*far, *moved], FEW)
    assert verdict.verdict is Drift.DRIFTING
    assert verdict.evidence[0].feature == "y"
    assert verdict.evidence[0].distance < verdict.evidence[1].distance


def test_answers_can_drift_too():
    moved = [window(20 + i, classes=(95, 5)) for i in range(2)]
    verdict = judge(BASELINE, [*usual(12), *moved], FEW)
    assert verdict.verdict is Drift.DRIFTING
    assert verdict.evidence[0].feature == "classes"


def test_values_that_are_no_numbers_are_strange():
    moved = [window(20 + i, x=(1, 2, 2, 1), missing=94) for i in range(2)]
    assert judge(BASELINE, [*usual(12), *moved], FEW).evidence[0].feature == "x"


def test_what_is_significant_but_small_is_not_drift():
    same = [window(i, x=(160, 340, 340, 160)) for i in range(1, 60)]
    moved = [window(100 + i, x=(200, 340, 340, 120)) for i in range(5)]
    found = judge(BASELINE, [*same, *moved], FEW)
    assert found.verdict is Drift.STEADY
    assert found.evidence[0].effect < FEW.min_effect
    assert judge(BASELINE, [*same, *moved], replace(FEW, min_effect=0.0)).verdict is Drift.DRIFTING


def test_small_windows_are_put_together():
    small = [window(i, x=(2, 3, 3, 2), y=(5, 5), classes=(5, 5)) for i in range(1, 28)]
    assert judge(BASELINE, small, FEW).windows == 8  # three make thirty; it learns from eight
    assert judge(BASELINE, small[:24], FEW) == DriftVerdict(
        verdict=Drift.LEARNING, windows=8, needed=8
    )


def test_windows_without_features_say_nothing_of_them():
    bare = [
        Window(
            app="a",
            artifact="0" * 64,
            role="serve",
            started_ms=i,
            ended_ms=i + 1,
            boot="b",
            monotonic_ms=0,
            inferences=100,
            classes={0: 50 + i % 3, 1: 50 - i % 3},
        )
        for i in range(1, 20)
    ]
    verdict = judge(BASELINE, bare, FEW)
    assert verdict.verdict is Drift.STEADY
    assert {e.distance for e in verdict.evidence if e.feature != "classes"} == {0.0}


def test_a_class_the_baseline_does_not_know_counts():
    moved = [window(20 + i, classes=(10, 10, 80)) for i in range(2)]
    assert judge(BASELINE, [*usual(12), *moved], FEW).evidence[0].feature == "classes"


def test_the_past_is_bounded():
    history = begin(FEW)
    for one in usual(50):
        history = step(history, BASELINE, one, replace(FEW, most_windows=20))
    assert len(history.past) == 20


def test_p_is_right_for_windows_whose_order_says_nothing():
    rng = np.random.default_rng(5)
    draws = [tuple(rng.gamma(2, 0.05, 4)) for _ in range(41)]
    every = [rank([*draws[:i], *draws[i + 1 :]], draws[i])[0] for i in range(41)]
    assert sorted(every) == pytest.approx([(i + 1) / 41 for i in range(41)])


# ------------------------------------------------------------------------------- on real pictures

IMAGE = ImageInput(input="image", size=(28, 28), channels="gray")
SIGNATURE = Signature(
    inputs=(TensorSpec(name="image", dtype="float32", shape=(1, 28, 28, 1)),), outputs=()
)


class Pictures:
    """Features of pictures, once for all; windows of any of them in a moment."""

    def __init__(self, changed: Callable[[np.ndarray], np.ndarray] | None = None) -> None:
        processing = Processing(signature=SIGNATURE, engine_signature=SIGNATURE, preprocess=IMAGE)
        probe = Probe(processing, SIGNATURE, SIGNATURE)
        pictures = load("test").images[:4000, ..., 0]
        if changed is not None:
            pictures = np.stack([changed(picture) for picture in pictures])
        rows = [probe.measure(processing.before(picture)[0], {}, None) for picture in pictures]
        self.names, self.rows = probe.names, np.array(rows)

    def window(self, baseline: Baseline, chosen: np.ndarray, index: int) -> Window:
        features = {}
        for column, feature in enumerate(baseline.features):
            bins = np.searchsorted(feature.edges, self.rows[chosen, column], side="right")
            counts = np.bincount(bins, minlength=len(feature.reference))
            features[feature.name] = BinCounts(counts=tuple(counts.tolist()))
        return replace_window(window(index), len(chosen), features)


def replace_window(old: Window, count: int, features: dict[str, BinCounts]) -> Window:
    from msgspec.structs import replace as changed

    return changed(old, inferences=count, features=features, classes={})


@pytest.fixture(scope="module")
def clean() -> Pictures:
    return Pictures()


@pytest.fixture(scope="module")
def baseline(clean: Pictures) -> Baseline:
    return baseline_of(clean.names, clean.rows[:2000])


def at_random(rng: np.random.Generator) -> Iterator[np.ndarray]:
    while True:
        yield rng.integers(2000, 4000, PER_WINDOW)


def class_by_class(rng: np.random.Generator) -> Iterator[np.ndarray]:
    """A folder of 250 pictures, sorted, over and over: neighbours are alike."""
    pictures = rng.choice(np.arange(2000, 4000), 250, replace=False)
    pictures = pictures[np.argsort(load("test").labels[pictures], kind="stable")]
    at = 0
    while True:
        yield pictures[(at + np.arange(PER_WINDOW)) % 250]
        at += PER_WINDOW


@pytest.mark.parametrize("stream", [at_random, class_by_class])
@pytest.mark.parametrize("limits", [FEW, Limits()], ids=["few windows", "as usual"])
def test_no_change_no_alarm(clean, baseline, stream, limits):
    alarms, judged = 0, 0
    for device in range(20):
        history, source = begin(limits), stream(np.random.default_rng(device))
        for index in range(limits.min_windows + 60):
            history = step(
                history, baseline, clean.window(baseline, next(source), index + 1), limits
            )
            judged += history.verdict.verdict is not Drift.LEARNING
            alarms += history.verdict.verdict is Drift.DRIFTING
    assert judged == 20 * 60
    assert alarms / judged <= 0.01


def test_the_customary_alarm_would_ring_all_the_time(clean, baseline):
    """The null streams above have teeth: 5 % by the textbook is half of all windows here."""
    from edge_sdk.telemetry.distance import kolmogorov_smirnov

    source, alarms = class_by_class(np.random.default_rng(0)), 0
    critical = 1.36 * np.sqrt(1 / 2000 + 1 / PER_WINDOW)
    for index in range(60):
        found = clean.window(baseline, next(source), index + 1)
        alarms += any(
            kolmogorov_smirnov(f.reference, found.features[f.name].counts) > critical
            for f in baseline.features
        )
    assert alarms / 60 > 0.5


@pytest.mark.parametrize(
    ("change", "detected"),
    [
        (lambda p: cv2.GaussianBlur(p // 2, (0, 0), 1.0), 20),
        (lambda p: (p * 0.7).astype(np.uint8), 18),
        (lambda p: cv2.GaussianBlur(p, (0, 0), 0.7), 18),
    ],
    ids=["dark and blurred", "a third darker", "a little blurred"],
)
@pytest.mark.parametrize("limits", [FEW, Limits()], ids=["few windows", "as usual"])
def test_a_change_is_found_within_three_windows(clean, baseline, change, detected, limits):
    changed, found = Pictures(change), 0
    for device in range(20):
        source = at_random(np.random.default_rng(device))
        history: History = begin(limits)
        for index in range(limits.min_windows + 4):
            history = step(
                history, baseline, clean.window(baseline, next(source), index + 1), limits
            )
        before = history.verdict.verdict
        for index in range(3):
            history = step(
                history, baseline, changed.window(baseline, next(source), 1000 + index), limits
            )
        found += (before, history.verdict.verdict) == (Drift.STEADY, Drift.DRIFTING)
    assert found >= detected

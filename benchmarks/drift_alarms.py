"""Drift alarms by the minimum effect, against the textbook's, on real pictures.

Twenty devices see pictures of Fashion-MNIST's test set, 100 a window: of all classes at random, or
in a street whose mixture of classes wanders. After 12 windows of learning, how many of the next 60
are called drifting although nothing changed? And of twenty that then turn a tenth darker, how many
are found within three windows? The peer is a Kolmogorov-Smirnov test at 5 % on the same windows.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator

import numpy as np

from edge_sdk.processing import Processing
from edge_sdk.spec import ImageInput, Signature, TensorSpec
from edge_sdk.spec.drift import Drift
from edge_sdk.spec.sketch import Baseline, BinCounts, LogHistogram, Window
from edge_sdk.telemetry.baseline import baseline_of
from edge_sdk.telemetry.distance import kolmogorov_smirnov
from edge_sdk.telemetry.features import Probe
from examples.fashion_mnist.dataset import load
from fleet.core.drift import Limits, begin, step

DEVICES, PER_WINDOW, LEARNING, JUDGED = 20, 100, 12, 60
EFFECTS = (0.02, 0.05, 0.1, 0.2)
KS_5_PERCENT = 1.36
IMAGE = ImageInput(input="image", size=(28, 28), channels="gray")
SIGNATURE = Signature(
    inputs=(TensorSpec(name="image", dtype="float32", shape=(1, 28, 28, 1)),), outputs=()
)

Change = Callable[[np.ndarray], np.ndarray]
Stream = Callable[[int], Iterator[np.ndarray]]


def features(change: Change | None = None) -> tuple[tuple[str, ...], np.ndarray]:
    """The names, and a row for each of 4,000 pictures."""
    processing = Processing(signature=SIGNATURE, engine_signature=SIGNATURE, preprocess=IMAGE)
    probe = Probe(processing, SIGNATURE, SIGNATURE)
    pictures = load("test").images[:4000, ..., 0]
    if change is not None:
        pictures = np.stack([change(picture) for picture in pictures])
    rows = [probe.measure(processing.before(picture)[0], {}, None) for picture in pictures]
    return probe.names, np.array(rows)


def at_random(seed: int) -> Iterator[np.ndarray]:
    """Any pictures."""
    rng = np.random.default_rng(seed)
    while True:
        yield rng.integers(2000, 4000, PER_WINDOW)


def street(seed: int) -> Iterator[np.ndarray]:
    """Classes whose shares wander: what is seen now is like what was seen a moment ago."""
    rng, labels = np.random.default_rng(seed), load("test").labels[2000:4000]
    weights = np.zeros(10)
    while True:
        weights = 0.8 * weights + 0.5 * rng.normal(size=10)
        shares = np.exp(weights)[labels]
        yield 2000 + rng.choice(2000, PER_WINDOW, p=shares / shares.sum())


def window(baseline: Baseline, rows: np.ndarray, index: int) -> Window:
    counted = {}
    for column, feature in enumerate(baseline.features):
        bins = np.searchsorted(feature.edges, rows[:, column], side="right")
        counts = np.bincount(bins, minlength=len(feature.reference))
        counted[feature.name] = BinCounts(counts=tuple(counts.tolist()))
    return Window(
        app="a",
        artifact="0" * 64,
        role="serve",
        started_ms=index,
        ended_ms=index + 1,
        boot="b",
        monotonic_ms=index,
        inferences=len(rows),
        latency=LogHistogram(counts={}),
        features=counted,
    )


def main() -> None:
    names, clean = features()
    _, darker = features(lambda picture: (picture * 0.9).astype(np.uint8))
    baseline = baseline_of(names, clean[:2000])
    ratios: dict[str, float] = {}
    for stream in (at_random, street):
        where = stream.__name__.replace("_", " ")
        ratios[f"{where}: false, textbook"] = textbook(baseline, clean, stream)
        for effect in EFFECTS:
            limits = Limits(min_effect=effect, min_windows=LEARNING)
            alarms, found = judged(baseline, clean, darker, limits, stream)
            ratios[f"{where}: false, effect {effect:g}"] = alarms
            ratios[f"{where}: found, effect {effect:g}"] = found
    result = {
        "about": "Unchanged windows called drifting, and changes found in three windows.",
        "peer": "every one of them",
        "ratios": {name: round(share, 4) for name, share in ratios.items()},
        "limits": {"at random: false, effect 0.1": 0.01, "street: false, effect 0.1": 0.03},
    }
    print(json.dumps(result))


def judged(
    baseline: Baseline, clean: np.ndarray, darker: np.ndarray, limits: Limits, stream: Stream
) -> tuple[float, float]:
    """The share of false alarms, and of devices whose change was found."""
    alarms = found = 0
    for device in range(DEVICES):
        history, source = begin(limits), stream(device)
        for index in range(LEARNING + JUDGED):
            seen = window(baseline, clean[next(source)], index + 1)
            history = step(history, baseline, seen, limits)
            alarms += history.verdict.verdict is Drift.DRIFTING
        for index in range(3):
            seen = window(baseline, darker[next(source)], 1000 + index)
            history = step(history, baseline, seen, limits)
        found += history.verdict.verdict is Drift.DRIFTING
    return alarms / (DEVICES * JUDGED), found / DEVICES


def textbook(baseline: Baseline, clean: np.ndarray, stream: Stream) -> float:
    """The share of windows in which any feature's distance is over its critical value."""
    critical, alarms = KS_5_PERCENT * np.sqrt(1 / 2000 + 1 / PER_WINDOW), 0
    for device in range(DEVICES):
        source = stream(device)
        for index in range(JUDGED):
            seen = window(baseline, clean[next(source)], index + 1).features
            alarms += any(
                kolmogorov_smirnov(f.reference, seen[f.name].counts) > critical
                for f in baseline.features
            )
    return alarms / (DEVICES * JUDGED)


if __name__ == "__main__":
    main()

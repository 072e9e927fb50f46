"""The baseline: where an artifact's features lay when it was made, and bins to match.

Bins are quantiles of the reference, so that each holds about as many of its values and a change
anywhere shows. A value that fills a bin by itself, an *atom* (no object found; a score of exactly
1), gets a bin of its own, since quantiles would all fall on it and hide what moves away from it.
The first bin is below everything the reference had, the last above.

Edges are between values of the reference or on them: the reference is the artifact's maker's, and
he decides to ship them. Of a device's values nothing but counts is ever known.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from edge_sdk.spec.sketch import Baseline, Feature
from edge_sdk.telemetry.bins import BinTally

BINS = 20
"""Quantile bins: with 20 the Kolmogorov-Smirnov distance loses nothing that matters."""


def edges_of(values: npt.NDArray[Any], bins: int = BINS) -> tuple[float, ...]:
    """Inner edges for bins of about equally many values.

    Args:
        values: finite, at least one.
        bins: how many to aim at; atoms and ties make it a few more or fewer.
    """
    distinct, counts = np.unique(values.astype(np.float64), return_counts=True)
    atoms = distinct[counts * bins >= counts.sum()]
    edges = {*atoms, *np.nextafter(atoms, np.inf), distinct[0], np.nextafter(distinct[-1], np.inf)}
    others = np.repeat(distinct, np.where(np.isin(distinct, atoms), 0, counts))
    if others.size:
        wanted = max(1, round(bins * others.size / counts.sum()))
        shares = np.arange(1, wanted) / wanted
        edges.update(np.quantile(others, shares, method="inverted_cdf"))
    return tuple(sorted(map(float, edges)))


def feature_of(name: str, values: npt.NDArray[Any], bins: int = BINS) -> Feature | None:
    """One feature's bins with its reference counts; None if it never had a value."""
    finite = values[np.isfinite(values)]
    if not finite.size:
        return None
    edges = edges_of(finite, bins)
    tally = BinTally(edges)
    for value in finite.tolist():
        tally.observe(value)
    return Feature(name=name, edges=edges, reference=tally.word().counts)


def baseline_of(
    names: Sequence[str], rows: npt.NDArray[np.float64], classes: Sequence[int] = ()
) -> Baseline:
    """The baseline of a reference.

    Args:
        names: of the features.
        rows: samples x features; NaN where one has no value.
        classes: how often each class was answered, by index.
    """
    features = (feature_of(name, rows[:, i]) for i, name in enumerate(names))
    return Baseline(
        samples=len(rows),
        features=tuple(feature for feature in features if feature is not None),
        classes=tuple(classes),
    )

"""Bins: fixed edges, exact merging, quantile edges that cope with ties and atoms."""

import math
from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_sdk.errors import UsageError
from edge_sdk.spec.sketch import BinCounts, Feature
from edge_sdk.telemetry.baseline import BINS, baseline_of, edges_of, feature_of
from edge_sdk.telemetry.bins import BinTally, merge

VALUES = st.lists(st.one_of(st.floats(), st.integers(-3, 3).map(float)), max_size=60)


def counted(edges: tuple[float, ...], values: list[float]) -> BinCounts:
    tally = BinTally(edges)
    for value in values:
        tally.observe(value)
    return tally.word()


def test_a_bin_holds_its_lower_edge_and_not_its_upper():
    word = counted((0.0, 1.0), [-0.1, 0.0, 0.9, 1.0, math.inf, -math.inf, math.nan])
    assert word == BinCounts(counts=(2, 2, 2), missing=1)


@given(st.lists(VALUES, min_size=1, max_size=6), st.randoms())
def test_merging_any_partition_in_any_order_is_one_pass(parts: list[list[float]], rng: Random):
    edges = (-1.0, 0.0, 0.5, 2.0)
    whole = counted(edges, [value for part in parts for value in part])
    words = [counted(edges, part) for part in parts]
    rng.shuffle(words)
    assert merge(words) == whole


def test_counts_of_other_bins_are_refused():
    with pytest.raises(UsageError, match=r"\[2, 3\] bins"):
        merge([BinCounts(counts=(1, 2)), BinCounts(counts=(1, 2, 3))])


def test_quantile_bins_are_about_equally_full():
    values = np.random.default_rng(0).normal(size=2000)
    feature = feature_of("x", values)
    assert feature is not None
    below, *inside, above = feature.reference
    assert (below, above) == (0, 0)
    assert len(inside) == BINS
    assert all(95 <= count <= 105 for count in inside)


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=200))
def test_edges_increase_and_hold_the_whole_reference(values: list[float]):
    feature = feature_of("x", np.array(values))
    assert feature is not None
    assert all(a < b for a, b in zip(feature.edges, feature.edges[1:], strict=False))
    assert len(feature.reference) == len(feature.edges) + 1
    assert (feature.reference[0], feature.reference[-1]) == (0, 0)
    assert sum(feature.reference) == len(values)


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=200), st.randoms())
def test_edges_do_not_depend_on_the_order(values: list[float], rng: Random):
    shuffled = list(values)
    rng.shuffle(shuffled)
    assert edges_of(np.array(values)) == edges_of(np.array(shuffled))


def test_an_atom_has_a_bin_of_its_own():
    values = np.concatenate([np.ones(600), np.random.default_rng(0).random(400)])
    feature = feature_of("confidence", values)
    assert feature is not None
    word = counted(feature.edges, [1.0])
    own = word.counts.index(1)
    assert feature.reference[own] == 600
    assert counted(feature.edges, [np.nextafter(1.0, 0)]).counts[own] == 0
    assert counted(feature.edges, [np.nextafter(1.0, 2)]).counts[own] == 0


def test_whole_numbers_keep_to_themselves():
    feature = feature_of("objects", np.array([0.0] * 50 + [1.0] * 30 + [2.0] * 20))
    assert feature is not None
    assert sorted(filter(None, feature.reference)) == [20, 30, 50]


def test_values_that_are_no_numbers_are_not_part_of_the_reference():
    found = baseline_of(
        ["some", "none"], np.array([[1.0, math.nan], [math.inf, math.nan], [2.0, math.nan]]), [1, 2]
    )
    assert [feature.name for feature in found.features] == ["some"]
    assert sum(found.features[0].reference) == 2
    assert (found.samples, found.classes) == (3, (1, 2))


def test_one_value_is_a_reference_too():
    edges = (3.0, float(np.nextafter(3.0, 4)))
    assert feature_of("x", np.array([3.0])) == Feature(name="x", edges=edges, reference=(0, 1, 0))

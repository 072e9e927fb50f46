"""Latency histograms: merging is exact in any order, percentiles are right within the ratio."""

import math
from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_sdk.errors import UsageError
from edge_sdk.spec.sketch import LogHistogram
from edge_sdk.telemetry.histogram import LogTally, merge, percentile, total

LATENCIES = st.lists(st.floats(0, 1e9), max_size=60)


def histogram(values: list[float]) -> LogHistogram:
    tally = LogTally()
    for value in values:
        tally.observe(value)
    return tally.word()


@given(st.lists(LATENCIES, max_size=6), st.randoms())
def test_merging_any_partition_in_any_order_is_one_pass(parts: list[list[float]], rng: Random):
    whole = histogram([value for part in parts for value in part])
    words = [histogram(part) for part in parts]
    rng.shuffle(words)
    assert merge(words) == whole
    assert merge([merge(words[:2]), merge(words[2:])]) == whole
    assert total(whole) == sum(map(len, parts))


@given(st.lists(st.floats(1e-6, 1e9), min_size=1, max_size=300), st.floats(0, 1))
def test_a_percentile_is_the_value_of_its_rank_within_one_percent(
    values: list[float], share: float
):
    found = percentile(histogram(values), share)
    exact = sorted(values)[max(1, math.ceil(share * len(values))) - 1]
    assert found == pytest.approx(exact, rel=0.01)


def test_p99_of_many_devices_together_is_within_two_percent():
    rng = np.random.default_rng(7)
    devices = [rng.lognormal(8 + i % 3, 0.4, 500) for i in range(50)]
    merged = merge(histogram(values.tolist()) for values in devices)
    exact = np.quantile(np.concatenate(devices), 0.99, method="inverted_cdf")
    assert percentile(merged, 0.99) == pytest.approx(exact, rel=0.02)


def test_zeros_come_first():
    word = histogram([0.0, -1.0, 0.0, 5.0])
    assert word.zeros == 3
    assert percentile(word, 0.75) == 0
    assert percentile(word, 0.76) == pytest.approx(5, rel=0.01)


def test_an_empty_histogram_has_no_percentile():
    assert percentile(merge([]), 0.5) is None


def test_a_bin_holds_its_upper_edge_and_not_its_lower():
    tally = LogTally(ratio=2.0)
    for value in (4.0, 4.1, 8.0):
        tally.observe(value)
    assert tally.word().counts == {2: 1, 3: 2}


def test_other_bins_are_refused():
    with pytest.raises(UsageError, match=r"1\.02 and 1\.05"):
        merge([LogHistogram(), LogHistogram(ratio=1.05)])

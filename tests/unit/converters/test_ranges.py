"""Ranges against what can be worked out by hand or by brute force."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

from converters.ranges import BINS, measure_ranges
from converters.recipe import METHODS

RNG = np.random.default_rng(4)
BULK = RNG.normal(0, 1, 200_000).astype(np.float32)
WITH_OUTLIER = np.append(BULK, np.float32(80.0))


def ranges(values, method, bits=8):
    chunks = np.array_split(values, 50)
    found = measure_ranges(lambda: ([("t", chunk)] for chunk in chunks), method, bits)
    return found["t"]


def rounding_error(values, low, high, levels=256):
    step = (high - low) / (levels - 1)
    there = np.clip(values, low, high)
    return float(np.square(values - (low + np.rint((there - low) / step) * step)).mean())


def test_minmax_is_the_least_and_the_greatest_whatever_the_order():
    assert ranges(WITH_OUTLIER, "minmax") == (BULK.min(), 80.0)
    assert ranges(WITH_OUTLIER[::-1], "minmax") == (BULK.min(), 80.0)


def test_percentile_cuts_what_it_says_and_no_more():
    low, high = ranges(WITH_OUTLIER, "percentile")
    width = float(80.0 - BULK.min()) / BINS
    assert low == pytest.approx(np.quantile(BULK, 5e-5), abs=2 * width)
    assert high == pytest.approx(np.quantile(BULK, 1 - 5e-5), abs=2 * width)


def test_mse_is_as_good_as_the_best_of_many_intervals():
    low, high = ranges(WITH_OUTLIER, "mse")
    found = rounding_error(WITH_OUTLIER, low, high)
    best = min(
        rounding_error(WITH_OUTLIER, -a, b)
        for a in np.linspace(1, 5, 20)
        for b in np.geomspace(2, 80, 40)
    )
    assert found <= best * 1.1
    assert found < rounding_error(WITH_OUTLIER, BULK.min(), 80.0)


def test_entropy_lets_go_of_an_outlier():
    low, high = ranges(WITH_OUTLIER, "entropy")
    assert high < 10
    assert rounding_error(BULK, low, high) < rounding_error(BULK, BULK.min(), 80.0) / 10


@pytest.mark.parametrize("method", METHODS)
def test_where_nothing_is_odd_all_methods_keep_nearly_everything(method):
    low, high = ranges(RNG.uniform(-1, 1, 100_000).astype(np.float32), method)
    assert -1.001 <= low <= -0.9
    assert 0.9 <= high <= 1.001


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("value", [0.0, 3.0, -2.0])
def test_a_tensor_that_never_varies(method, value):
    low, high = ranges(np.full(1000, value, np.float32), method)
    assert low <= value <= high


@pytest.mark.parametrize("method", METHODS)
def test_after_a_relu_nothing_below_zero_is_kept(method):
    low, high = ranges(np.maximum(BULK, 0), method)
    assert low == pytest.approx(0, abs=1e-6)
    assert 1 < high <= BULK.max()


@pytest.mark.parametrize("method", METHODS)
def test_stand_ins_for_infinity_belong_to_no_range(method):
    low, high = ranges(np.append(BULK, [-3.4e38, np.inf]).astype(np.float32), method)
    assert low >= BULK.min()
    assert high <= BULK.max()


def test_sixteen_bits_have_room_for_everything():
    assert ranges(WITH_OUTLIER, "entropy", bits=16) == (BULK.min(), 80.0)


@pytest.mark.parametrize("method", METHODS)
def test_memory_does_not_grow_with_the_samples(method):
    def peak(count):
        def passes():
            for at in range(count):
                yield iter([("t", np.random.default_rng(at).random(20_000, np.float32))])

        tracemalloc.start()
        measure_ranges(passes, method)
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return most

    assert peak(60) < peak(6) * 1.2

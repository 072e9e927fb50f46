"""Distances: what they are by hand, and that without a change they are nothing but chance."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_sdk.errors import UsageError
from edge_sdk.telemetry.distance import kolmogorov_smirnov, stability_index, total_variation

COUNTS = st.lists(st.integers(0, 50), min_size=5, max_size=5)


def test_by_hand():
    assert kolmogorov_smirnov((5, 5, 0), (0, 5, 5)) == pytest.approx(0.5)
    assert total_variation((5, 5, 0), (0, 5, 5)) == pytest.approx(0.5)
    assert kolmogorov_smirnov((10, 0), (0, 3)) == pytest.approx(1)


@given(COUNTS, COUNTS)
def test_they_are_shares_and_symmetric(a: list[int], b: list[int]):
    for distance in (kolmogorov_smirnov, total_variation):
        assert 0 <= distance(a, b) <= 1
        assert distance(a, b) == pytest.approx(distance(b, a))
        assert distance(a, a) == 0
    assert kolmogorov_smirnov(a, b) <= total_variation(a, b) + 1e-9


@given(COUNTS)
def test_nothing_is_at_no_distance(counts: list[int]):
    for distance in (kolmogorov_smirnov, total_variation, stability_index):
        assert distance(counts, [0] * 5) == 0


@pytest.mark.parametrize("n", [30, 50, 100, 200, 1000])
def test_the_stability_index_has_no_bias_to_speak_of(n: int):
    rng = np.random.default_rng(n)
    shares = np.full(20, 0.05)
    found = [
        stability_index(rng.multinomial(2000, shares).tolist(), rng.multinomial(n, shares).tolist())
        for _ in range(400)
    ]
    # Left alone it would be (20 - 1) * (1 / 2000 + 1 / n): 0.64 at 30, 0.2 at 100.
    assert abs(float(np.mean(found))) < 0.05


def test_the_stability_index_grows_with_the_change():
    reference = [100] * 20
    found = [
        stability_index(reference, [10 + shift] * 10 + [10 - shift] * 10) for shift in (0, 3, 6, 9)
    ]
    assert found == sorted(found)
    assert found[0] < 0.02
    assert found[2] > 0.2


def test_other_bins_are_refused():
    for distance in (kolmogorov_smirnov, total_variation, stability_index):
        with pytest.raises(UsageError, match="cannot be compared"):
            distance((1, 2), (1, 2, 3))

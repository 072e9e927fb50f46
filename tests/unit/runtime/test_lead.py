"""Who wins a race: told from turns that are made up, with all that deceives who measures."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_sdk.runtime.lead import EQUAL, LAGS, lags, leader, plainest, ratio

TIMES = st.floats(0.1, 1000)
HEATS = st.lists(st.lists(TIMES, min_size=3, max_size=3), min_size=1, max_size=6)


def heats(time: float, count: int = 8) -> list[list[float]]:
    return [[time] * 3 for _ in range(count)]


def test_the_leader_has_the_least_median() -> None:
    assert leader([heats(3), heats(1), heats(2)]) == 1
    lucky_once = [[0.1] * 3, *heats(2, 7)]
    assert leader([lucky_once, heats(1)]) == 1


def test_of_equals_the_plainest_wins() -> None:
    assert plainest([heats(3), heats(EQUAL - 0.001), heats(1)]) == 1
    assert plainest([heats(3), heats(EQUAL + 0.001), heats(1)]) == 2
    assert plainest([heats(1)]) == 0


@given(HEATS)
def test_nobody_lags_behind_itself(own: list[list[float]]) -> None:
    assert ratio(own, own) == 1
    assert not lags(own, own)
    assert plainest([own, own]) == 0


@given(HEATS, st.floats(0.01, 100))
def test_a_machine_that_slows_down_changes_nothing(own: list[list[float]], factor: float) -> None:
    slowed = [[turn * factor for turn in heat] for heat in own]
    doubled = [[turn * 2 * factor for turn in heat] for heat in own]
    assert ratio(doubled, slowed) == pytest.approx(2)


def test_a_moment_that_only_one_met_is_outvoted() -> None:
    disturbed = [[1.0, 9.0, 1.0] for _ in range(8)]
    assert ratio(disturbed, heats(1)) == 1
    assert not lags(disturbed, heats(1))


@pytest.mark.parametrize(("ahead", "margin"), LAGS)
def test_the_farther_behind_the_sooner_one_falls_out(ahead: int, margin: float) -> None:
    behind = margin * 1.001
    assert lags(heats(behind, ahead), heats(1, ahead))
    if ahead > 1:
        assert not lags(heats(behind, ahead - 1), heats(1, ahead - 1))


def test_one_that_is_ahead_as_often_as_behind_stays() -> None:
    changing = [[1.08] * 3 if number % 2 else [0.95] * 3 for number in range(20)]
    assert not lags(changing, heats(1, 20))


def test_the_luck_of_instances_does_not_decide() -> None:
    """Ways 8 % apart, instances that differ as much: in heats the right one wins."""
    rng = np.random.default_rng(0)
    right = 0
    for _ in range(300):
        plain, better = (
            [[time * luck] * 3 for luck in rng.normal(1, 0.06, 13)] for time in (1.08, 1.0)
        )
        right += plainest([plain, better]) == 1
    assert right > 285

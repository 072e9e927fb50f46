"""Where on a grid of even places frames are shown."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_sdk.pipeline.pace import UNKNOWN_FPS, Pace, rate_of


def shown(fps: float, times_s: list[float | None]) -> list[int]:
    """Which frame is at which place."""
    pace = Pace(fps)
    places: list[int] = []
    for at, time_s in enumerate(times_s):
        again = pace.repeats(time_s)
        if again is not None:
            places += [places[-1] if places else at] * again + [at]
    return places


@pytest.mark.parametrize("fps", [10, 24000 / 1001, 25, 30000 / 1001, 60])
@pytest.mark.parametrize("digits", [3, 9])
def test_a_constant_rate_keeps_every_frame_for_hours(fps, digits):
    times = [round(at / fps, digits) for at in range(200_000)]
    assert shown(fps, times) == list(range(200_000))


@given(st.lists(st.floats(-0.37, 0.37), min_size=2, max_size=300))
def test_frames_that_come_a_third_of_a_place_early_or_late_are_all_kept(jitter):
    times = sorted((at + late) / 30 for at, late in enumerate(jitter))
    assert shown(30, times) == list(range(len(times)))


@given(
    st.sampled_from([5.0, 10.0, 25.0, 30.0]),
    st.lists(st.floats(0.0, 2.0), min_size=1, max_size=200),
)
def test_whatever_the_spread_it_lasts_as_long_as_it_shows(fps, gaps_s):
    times = [float(time_s) for time_s in np.cumsum(gaps_s)]
    places = shown(fps, times)
    assert len(places) / fps == pytest.approx(times[-1] - times[0], abs=2 / fps)
    assert places == sorted(places)
    for place, at in enumerate(places):  # each where it belongs, or held until the next comes
        assert times[at] - times[0] < (place + 1) / fps + 1e-6


def test_a_camera_of_thirty_in_a_file_of_twenty_five_loses_one_of_six():
    places = shown(25, [at / 30 for at in range(601)])
    assert len(places) == pytest.approx(501, abs=1)
    assert len(set(places)) == len(places)


def test_a_place_that_stays_empty_shows_the_frame_before_it():
    assert shown(10, [0.0, 0.1, 0.4, 0.5]) == [0, 1, 1, 1, 2, 3]


def test_a_long_gap_is_filled_for_a_minute_and_all_goes_on_behind_it():
    places = shown(10, [0.0, 1000.0, 1000.1, 1000.2])
    assert places == [0] * 601 + [1, 2, 3]


def test_times_that_go_back_are_a_new_start_and_none_at_all_are_a_step():
    assert shown(10, [5.0, 5.1, 0.0, 0.1, 0.3]) == [0, 1, 2, 3, 3, 4]
    assert shown(10, [None, None, None]) == [0, 1, 2]


@pytest.mark.parametrize(
    ("fps", "digits", "found"), [(30000 / 1001, 3, 30), (12.5, 3, 12.5), (24, 3, 24), (500, 9, 60)]
)
def test_a_rate_is_found_by_the_first_frames(fps, digits, found):
    assert rate_of([round(at / fps, digits) for at in range(8)]) == pytest.approx(found, rel=1e-3)


def test_what_a_source_says_stands_unless_it_is_an_average_of_fewer():
    times = [round(at * 1001 / 30000, 3) for at in range(8)]
    assert rate_of(times, 30000 / 1001) == 30000 / 1001
    assert rate_of(times, 17.98) == 30
    assert rate_of(times[::2], 30) == 30
    assert rate_of([*times[:5], times[7], times[7] + 0.5], 17.98) == 30, "some are missing"
    assert rate_of([], 10) == rate_of([0.0], 10) == rate_of([None, None], 10) == 10
    assert rate_of([]) == rate_of([1.0, 1.0]) == UNKNOWN_FPS

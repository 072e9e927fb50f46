from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_sdk.processing.geometry import Geometry, fit

sides = st.integers(1, 5000)
sizes = st.tuples(sides, sides)
model_sizes = st.tuples(st.integers(1, 640), st.integers(1, 640))
resizes = st.sampled_from(["stretch", "letterbox", "crop"])


def to_picture(geometry: Geometry, x: float, y: float) -> tuple[float, float]:
    return (
        x * geometry.scale_x + geometry.shift_x,
        y * geometry.scale_y + geometry.shift_y,
    )


@given(sizes, model_sizes, resizes)
def test_the_corners_of_what_was_placed_are_the_corners_of_what_was_taken(picture, model, resize):
    plan = fit(picture, model, resize)
    taken, placed = plan.taken, plan.placed
    for right in (0, 1):
        x, y = to_picture(
            plan.geometry,
            (placed.left + right * placed.width) / model[1],
            (placed.top + right * placed.height) / model[0],
        )
        assert x == pytest.approx((taken.left + right * taken.width) / picture[1], abs=1e-9)
        assert y == pytest.approx((taken.top + right * taken.height) / picture[0], abs=1e-9)


@given(sizes, model_sizes, resizes)
def test_what_is_taken_and_placed_lies_inside_and_is_centred(picture, model, resize):
    plan = fit(picture, model, resize)
    for part, (height, width) in ((plan.taken, picture), (plan.placed, model)):
        assert part.width >= 1 and part.height >= 1
        assert 0 <= width - part.width - 2 * part.left <= 1
        assert 0 <= height - part.height - 2 * part.top <= 1


@given(sizes, model_sizes)
def test_a_letterbox_takes_all_and_fills_one_side(picture, model):
    plan = fit(picture, model, "letterbox")
    assert plan.taken.shape == picture
    assert plan.placed.width == model[1] or plan.placed.height == model[0]


@given(sizes, model_sizes)
def test_a_crop_fills_all_and_keeps_one_side(picture, model):
    plan = fit(picture, model, "crop")
    assert plan.placed.shape == model
    assert plan.taken.width == picture[1] or plan.taken.height == picture[0]


def test_letterbox_of_a_small_video_in_a_square():
    plan = fit((144, 176), (128, 128), "letterbox")
    assert (plan.placed.width, plan.placed.height) == (128, 105)
    assert (plan.placed.left, plan.placed.top) == (0, 11)


def test_crop_of_a_small_video_to_a_square():
    plan = fit((144, 176), (128, 128), "crop")
    assert (plan.taken.left, plan.taken.top) == (16, 0)
    assert plan.taken.shape == (144, 144)


@given(sizes, model_sizes)
def test_stretching_changes_no_fraction(picture, model):
    assert fit(picture, model, "stretch").geometry == Geometry()

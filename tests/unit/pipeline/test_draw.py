from __future__ import annotations

import numpy as np
import pytest

from edge_sdk.pipeline import draw
from edge_sdk.processing import Geometry, Mask
from edge_sdk.spec import Box, Boxes, Classes, ClassScore

GRAY = (90, 90, 90)


def canvas(height: int, width: int):
    return np.full((height, width, 3), GRAY, np.uint8)


def box(left, top, right, bottom, keypoints=()) -> Box:
    return Box(
        left=left, top=top, right=right, bottom=bottom,
        score=0.9, index=0, label="face", keypoints=keypoints,
    )  # fmt: skip


def changed(picture, drawn):
    return (picture != drawn).any(axis=-1)


@pytest.mark.parametrize("size", [(144, 176), (720, 1280), (2160, 3840)])
def test_a_box_is_drawn_on_its_edges_and_not_within(size):
    picture = canvas(*size)
    height, width = size
    drawn = draw(picture, Boxes(found=(box(0.25, 0.4, 0.75, 0.9),)))
    marks = changed(picture, drawn)
    assert drawn.shape == picture.shape
    for y, x in ((0.65, 0.25), (0.65, 0.75), (0.9, 0.5)):
        assert marks[round(y * (height - 1)), round(x * (width - 1))]
    rows = slice(round(0.55 * height), round(0.8 * height))
    columns = slice(round(0.3 * width), round(0.7 * width))
    assert not marks[rows, columns].any()
    assert (picture == GRAY).all()  # the original is left alone


def test_lines_and_letters_grow_with_the_picture():
    small, large = canvas(144, 176), canvas(1440, 1760)
    found = Boxes(found=(box(0.25, 0.4, 0.75, 0.9),))
    share = [changed(p, draw(p, found)).mean() for p in (small, large)]
    assert 0.2 < share[1] / share[0] < 2


@pytest.mark.parametrize(
    "edges", [(0, 0, 1, 1), (0, 0, 0.1, 0.1), (0.9, 0.9, 1, 1), (0.95, 0, 1, 1)]
)
def test_a_label_at_the_pictures_edge_stays_within_it(edges):
    picture = canvas(144, 176)
    middle = draw(picture, Boxes(found=(box(0.3, 0.3, 0.4, 0.4),)))
    drawn = draw(picture, Boxes(found=(box(*edges),)))
    ink = [(p.sum(axis=-1) < 200).sum() for p in (middle, drawn)]  # darker than canvas and plate
    assert ink[0] == ink[1] > 50  # the same letters, whole


def test_keypoints_beyond_the_edge_are_no_error():
    picture = canvas(144, 176)
    drawn = draw(picture, Boxes(found=(box(0, 0.3, 0.5, 0.9, ((-0.2, 0.5), (0.25, 0.6), (9, 9))),)))
    assert changed(picture, drawn)[round(0.6 * 143), round(0.25 * 175)]


def test_nothing_found_changes_nothing():
    picture = canvas(144, 176)
    drawn = draw(picture, Boxes(found=()))
    assert np.array_equal(drawn, picture) and drawn is not picture


def test_classes_are_listed_best_first_in_colour():
    top = tuple(ClassScore(index=i, label=f"class {i}", score=0.5) for i in range(3))
    drawn = draw(canvas(144, 176), Classes(top=top))
    plates = drawn[:, 0]
    assert tuple(plates[2]) == (76, 217, 100)
    assert tuple(plates[20]) == (245, 245, 245)
    assert tuple(plates[-1]) == GRAY


def test_a_picture_too_small_for_letters_is_enlarged():
    picture = canvas(28, 28)
    picture[0, -1] = (255, 0, 0)
    drawn = draw(picture, Classes(top=(ClassScore(index=0, label="boot", score=0.9),)))
    assert drawn.shape == (140, 140, 3)
    assert (drawn[:5, -5:] == (255, 0, 0)).all()


def test_what_a_mask_leaves_out_is_dimmed_and_what_it_holds_is_not():
    picture = np.full((200, 240, 3), 90, np.uint8)
    scores = np.zeros((20, 24), np.float32)
    scores[:, :12] = 1
    drawn = draw(picture, Mask(scores, Geometry(), 0.5))
    assert (drawn[20:180, 20:100] == 90).all()
    assert (drawn[20:180, 140:220] == 30).all()
    assert (drawn[100, 110:130] != 90).any() and (picture == 90).all()

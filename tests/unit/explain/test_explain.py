"""The map points where the answer is known to come from, and nowhere if it comes from nowhere."""

from __future__ import annotations

import inspect
from pathlib import Path

import numpy as np
import onnx
import pytest

import edge_sdk
from edge_sdk import UnavailableError, UsageError
from edge_sdk.cli.explain import DEFAULT_RUNS
from edge_sdk.explain import RUNS
from edge_sdk.explain.masks import mask_pairs
from edge_sdk.explain.target import overlap
from edge_sdk.pipeline import draw
from edge_sdk.spec import Box, ImageInput
from tests.planted_pictures import BRIGHT, DIM, LABELS, SIDE, picture, planted, region, session
from tests.tiny_models import onnx_affine, onnx_sum

FLOAT, BYTE = onnx.TensorProto.FLOAT, onnx.TensorProto.UINT8


def share_inside(over: np.ndarray) -> float:
    """Of what speaks for the target at least half as much as anything, how much is in the region.

    A mask's grain smears a map by its width, so that there is a slope around.
    """
    for_it = np.where(over >= over.max() / 2, over, 0)
    return float(for_it[region(*over.shape)].sum() / for_it.sum())


@pytest.mark.parametrize(
    ("rows", "dtype"), [(1, FLOAT), ("n", FLOAT), (1, BYTE)], ids=["one", "batched", "bytes"]
)
def test_the_map_points_at_the_planted_region(tmp_path: Path, rows: int | str, dtype: int) -> None:
    with session(planted(tmp_path / "m.onnx", rows=rows, dtype=dtype)) as model:
        found = model.explain(picture())
    area = region(SIDE, SIDE)
    assert (found.target, found.index) == (LABELS[0], 0)
    assert found.depends
    assert found.located
    assert found.score > 0.9
    assert found.hidden_score < 0.1
    assert share_inside(found.map) > 0.8  # the region is a ninth of the picture
    assert -1 <= found.map.min() < found.map.max() <= 1
    assert np.mean(found.word().grid) == pytest.approx(found.map.mean(), rel=0.05)
    at = np.unravel_index(found.map.argmax(), found.map.shape)
    assert area[0].start <= at[0] < area[0].stop
    assert area[1].start <= at[1] < area[1].stop
    assert abs(found.map[20:].mean()) < 0.1 * found.map.max()
    assert found.map[area].mean() > 3 * found.map.mean()


def test_batches_and_single_runs_give_the_same_map(tmp_path: Path) -> None:
    maps = []
    for rows in (1, "n"):
        with session(planted(tmp_path / f"{rows}.onnx", rows=rows)) as model:
            maps.append(model.explain(picture(), runs=100).map)
    np.testing.assert_allclose(*maps, atol=1e-5)


@pytest.mark.parametrize("resize", ["stretch", "letterbox", "crop"])
def test_the_way_back_to_the_picture(tmp_path: Path, resize: str) -> None:
    """A wide picture whose bright spot is where the model's region falls on it."""
    height, width = 60, 120
    made = np.full((height, width, 3), DIM, np.uint8)
    with session(planted(tmp_path / "m.onnx"), resize) as model:
        _, way = model.processing.before(made)
        x0, x1 = (x / SIDE * way.scale_x + way.shift_x for x in (18, 30))
        y0, y1 = (y / SIDE * way.scale_y + way.shift_y for y in (4, 14))
        rows = slice(max(0, round(y0 * height)), round(y1 * height))
        columns = slice(round(x0 * width), round(x1 * width))
        made[rows, columns] = BRIGHT
        found = model.explain(made, 0)
    over = found.over(height, width)
    over[over < over.max() / 2] = 0
    assert over[rows, columns].sum() / over.sum() > 0.75
    focus = found.word().focus
    assert focus is not None
    assert focus == pytest.approx((x0, max(0, y0), x1, y1), abs=0.15)


def test_what_speaks_against_a_class_is_negative(tmp_path: Path) -> None:
    with session(planted(tmp_path / "m.onnx")) as model:
        against = model.explain(picture(), "unlit")
        for_it = model.explain(picture(), 0)
    assert against.index == 1
    assert not against.located
    assert against.word().focus is None
    np.testing.assert_allclose(against.map, -for_it.map, atol=1e-5)


def test_a_model_that_looks_at_nothing_is_said_to(tmp_path: Path) -> None:
    with session(planted(tmp_path / "m.onnx", "none")) as model:
        found = model.explain(picture())
    assert not found.depends
    assert not found.located
    assert not found.map.any()
    assert found.noise == 0
    assert "does not depend on the picture" in str(found.word())
    drawn = draw(picture(), found)
    assert np.ptp(drawn[-20:], axis=2).max() == 0  # gray: nothing glows


def test_a_model_that_looks_at_all_alike_is_said_to(tmp_path: Path) -> None:
    """Hiding any part of one that wants brightness everywhere costs the same everywhere."""
    bright = np.full((SIDE, SIDE, 3), BRIGHT, np.uint8)
    with session(planted(tmp_path / "m.onnx", "all")) as model:
        found = model.explain(bright, hide="black", runs=3000)
    assert found.depends
    assert found.map.min() > 0
    left, top, right, bottom = found.word().focus or (0, 0, 0, 0)
    assert (right - left) * (bottom - top) > 0.9


def test_a_seed_gives_the_same_map_again(tmp_path: Path) -> None:
    with session(planted(tmp_path / "m.onnx")) as model:
        one, two, other = (model.explain(picture(), runs=60, seed=s) for s in (7, 7, 8))
    np.testing.assert_array_equal(one.map, two.map)
    assert one.word() == two.word()
    assert (one.map != other.map).any()


def test_more_runs_less_noise_and_the_error_is_about_what_it_says(tmp_path: Path) -> None:
    with session(planted(tmp_path / "m.onnx")) as model:
        few = [model.explain(picture(), runs=60, seed=seed) for seed in range(12)]
        many = model.explain(picture(), runs=1200)
    spread = np.median(np.std([found.map for found in few], axis=0))
    assert 0.5 < spread / np.mean([found.noise for found in few]) < 2
    assert many.noise < few[0].noise / 3


def test_progress_is_told_and_runs_are_counted(tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    with session(planted(tmp_path / "m.onnx")) as model:
        found = model.explain(picture(), runs=101, progress=lambda *at: told.append(at))
    assert told[-1] == (100, 100)
    assert found.runs == 100
    assert [done for done, _ in told] == sorted({done for done, _ in told})


def test_a_score_of_ones_own_needs_no_postprocessing(tmp_path: Path) -> None:
    path = planted(tmp_path / "m.onnx")
    takes = ImageInput(input="image", size=(SIDE, SIDE), std=(1.0,))
    with edge_sdk.load(path, preprocess=takes) as model:
        found = model.explain(picture(), score=lambda outputs: float(outputs["scores"][0, 0]))
        assert share_inside(found.map) > 0.8
        assert found.map.max() > 1  # in units of the score, here a logit
        with pytest.raises(UsageError, match="no postprocessing"):
            model.explain(picture())
        with pytest.raises(UsageError, match="no finite number"):
            model.explain(picture(), score=lambda outputs: float("nan"))
        with pytest.raises(UsageError, match="score of your own"):
            model.explain(picture(), 0, score=lambda outputs: 0.0)


@pytest.mark.parametrize("hide", ["mean", "blur", "black"])
def test_every_way_of_hiding_finds_it(tmp_path: Path, hide: str) -> None:
    with session(planted(tmp_path / "m.onnx")) as model:
        found = model.explain(picture(), hide=hide)
    assert found.hide == hide
    assert share_inside(found.map) > 0.75


def test_the_drawing_glows_in_the_region_alone(tmp_path: Path) -> None:
    made = picture(240, 240)
    with session(planted(tmp_path / "m.onnx")) as model:
        found = model.explain(made)
    drawn = draw(made, found).astype(int)
    assert drawn.shape == made.shape
    glow = drawn[..., 0] - drawn[..., 2]  # red and yellow, not blue
    inside = np.zeros((240, 240), bool)
    inside[region(240, 240)] = True
    assert glow[inside].mean() > 10 * max(1, glow[~inside][240 * 60 :].mean())
    turned = draw(made[..., ::-1], found, "bgr")
    np.testing.assert_array_equal(turned[..., ::-1], drawn)


# What is refused


@pytest.mark.parametrize(
    ("target", "says"),
    [
        (2, "no class 2: the model has 2"),
        (-1, "no class -1"),
        ("17", "no class 17"),
        ("lid", "Did you mean 'lit'"),
    ],
)
def test_a_class_that_is_not_there(tmp_path: Path, target: int | str, says: str) -> None:
    with session(planted(tmp_path / "m.onnx")) as model, pytest.raises(UsageError) as caught:
        model.explain(picture(), target)
    assert says in str(caught.value)


@pytest.mark.parametrize(
    ("frame", "says"),
    [
        (np.full((8, 8, 3), np.nan, np.float32), "holds bytes"),
        (np.zeros((8, 8, 4), np.uint8), "not 8 x 8 x 4"),
        (np.zeros((0, 8, 3), np.uint8), "empty"),
        (np.full((40, 40, 3), 90, np.uint8), "Nothing of this picture can be hidden"),
        ("photo.jpg", "numpy array"),
    ],
    ids=["nan", "alpha", "empty", "flat", "path"],
)
def test_a_picture_that_is_none(tmp_path: Path, frame: object, says: str) -> None:
    with (
        session(planted(tmp_path / "m.onnx")) as model,
        pytest.raises(UsageError, match=says),
    ):
        model.explain(frame)


def test_a_model_that_answers_nan(tmp_path: Path) -> None:
    with (
        session(planted(tmp_path / "m.onnx", nan=True)) as model,
        pytest.raises(UnavailableError, match="NaN"),
    ):
        model.explain(picture())


def test_a_model_that_takes_no_picture(tmp_path: Path) -> None:
    (tmp_path / "affine.onnx").write_bytes(onnx_affine())
    (tmp_path / "sum.onnx").write_bytes(onnx_sum())
    with (
        edge_sdk.load(tmp_path / "affine.onnx") as model,
        pytest.raises(UsageError, match="declares no preprocessing") as caught,
    ):
        model.explain(picture())
    assert "preprocess=ImageInput" in caught.value.hint
    with (
        edge_sdk.load(tmp_path / "sum.onnx") as model,
        pytest.raises(UsageError, match="takes one picture"),
    ):
        model.explain(picture())


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"runs": 3}, "too few"),
        ({"hide": "grey"}, "Nothing is hidden by 'grey'"),
        ({"seed": -1}, "The seed -1"),
    ],
    ids=["runs", "hide", "seed"],
)
def test_options_that_cannot_be(tmp_path: Path, options: dict, says: str) -> None:
    with session(planted(tmp_path / "m.onnx")) as model, pytest.raises(UsageError, match=says):
        model.explain(picture(), **options)


def test_a_raw_session(tmp_path: Path) -> None:
    with (
        session(planted(tmp_path / "m.onnx"), raw=True) as model,
        pytest.raises(UsageError, match="raw"),
    ):
        model.explain(picture())


# Its parts


def test_masks_are_smooth_in_range_and_as_often_shown_as_hidden() -> None:
    made = np.stack(list(mask_pairs(400, 24, 40, (3, 5), np.random.default_rng(0))))
    assert made.shape == (400, 24, 40)
    assert made.dtype == np.float32
    assert made.min() >= 0
    assert made.max() <= 1
    assert abs(made.mean() - 0.5) < 0.02
    assert abs(np.diff(made, axis=2)).max() < 0.25  # a cell is at least 4.8 pixels
    assert made.var(axis=0).min() > 0.02  # every pixel is hidden and shown


def test_masks_of_a_model_smaller_than_the_grid() -> None:
    (made,) = mask_pairs(1, 1, 2, (7,), np.random.default_rng(0))
    assert made.shape == (1, 2)


def test_overlap_of_boxes() -> None:
    def box(left: float, right: float) -> Box:
        return Box(left=left, top=0, right=right, bottom=1, score=1, index=0, label="")

    assert overlap(box(0, 0.5), box(0, 0.5)) == 1
    assert overlap(box(0, 0.5), box(0.25, 0.75)) == pytest.approx(1 / 3)
    assert overlap(box(0, 0.5), box(0.5, 1)) == 0


def test_the_defaults_are_the_same_wherever_they_stand() -> None:
    runs = inspect.signature(edge_sdk.Session.explain).parameters["runs"].default
    assert runs == RUNS == DEFAULT_RUNS

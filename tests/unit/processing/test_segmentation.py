"""Maps of scores as masks over pictures of any size."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import edge_sdk
from edge_sdk.errors import UnavailableError, UsageError
from edge_sdk.pipeline import read_picture
from edge_sdk.processing import Geometry, Mask, Processing, read_processing
from edge_sdk.processing.geometry import fit
from edge_sdk.processing.segmentation import check_segmentation, segment
from edge_sdk.spec import Area, Segmentation, TensorSpec
from examples.assets import asset

SPEC = Path(__file__).resolve().parents[3] / "examples/selfie_segmentation/selfie.toml"
PLAIN = Segmentation(output="map")


def half(rows: int = 8, columns: int = 8) -> np.ndarray:
    """Scores of 1 in the left half, 0 in the right."""
    scores = np.zeros((1, rows, columns, 1), np.float32)
    scores[:, :, : columns // 2] = 1
    return scores


def test_the_way_of_the_axes_and_the_class_that_is_looked_for():
    maps = np.random.default_rng(1).random((1, 4, 5, 3), np.float32)
    spec = Segmentation(output="map", channel=2)
    mask = segment(maps, spec, Geometry())
    assert np.array_equal(mask.scores, maps[0, ..., 2])
    turned = Segmentation(output="map", channel=2, layout="chw")
    again = segment(maps.transpose(0, 3, 1, 2), turned, Geometry())
    assert np.array_equal(again.scores, mask.scores)
    flat = segment(maps[..., 2], PLAIN, Geometry())
    assert np.array_equal(flat.scores, mask.scores)


def test_softmax_is_over_the_classes():
    maps = np.random.default_rng(1).normal(size=(1, 4, 5, 3)).astype(np.float32)
    masks = [
        segment(maps, Segmentation(output="m", activation="softmax", channel=c), Geometry())
        for c in range(3)
    ]
    assert np.allclose(sum(mask.scores for mask in masks), 1, atol=1e-6)
    assert np.array_equal(np.argmax([m.scores for m in masks], axis=0), maps[0].argmax(axis=2))


def test_sigmoid():
    mask = segment(
        np.zeros((1, 2, 2, 1), np.float32),
        Segmentation(output="m", activation="sigmoid"),
        Geometry(),
    )
    assert (mask.scores == 0.5).all()


@pytest.mark.parametrize("resize", ["stretch", "letterbox", "crop"])
@pytest.mark.parametrize("size", [(120, 60), (60, 120), (64, 64)])
def test_a_mask_comes_back_to_where_the_picture_was(resize, size):
    """What is right of the model's middle is right of the picture's, however it was fitted."""
    plan = fit(size, (64, 64), resize)
    mask = segment(half(64, 64), PLAIN, plan.geometry)
    grown = mask.over(*size)
    assert grown.shape == size
    middle, row = size[1] // 2, size[0] // 2
    assert (grown[row, middle + 3 :] < 0.1).all()
    seen = grown[row, max(2, middle - 25) : middle - 3]
    assert (seen > 0.9).all()


def test_the_area_is_in_fractions_of_the_picture_without_the_bars():
    plan = fit((60, 120), (64, 64), "letterbox")  # the lower and upper quarter are bars
    area = segment(half(64, 64), PLAIN, plan.geometry).area()
    assert area.share == pytest.approx(0.5)
    assert (area.left, area.top, area.right, area.bottom) == pytest.approx((0, 0, 0.5, 1))
    assert str(area) == "50% covered"
    assert segment(np.zeros((1, 4, 4)), PLAIN, Geometry()).area() == Area(share=0.0)


def test_what_is_no_map_and_what_is_no_number():
    with pytest.raises(UsageError, match="no map of scores"):
        segment(np.zeros((1, 10), np.float32), PLAIN, Geometry())
    with pytest.raises(UsageError, match="class 3"):
        segment(np.zeros((1, 4, 4, 2)), Segmentation(output="m", channel=3), Geometry())
    with pytest.raises(UnavailableError):
        segment(np.full((1, 4, 4, 1), np.nan, np.float32), PLAIN, Geometry())


@pytest.mark.parametrize(
    ("spec", "shape", "said"),
    [
        (PLAIN, (1, 1000), "no map"),
        (Segmentation(output="map", channel=1), (1, 8, 8, 1), "class 1"),
        (Segmentation(output="map", channel=1, layout="chw"), (1, 1, 8, 8), "class 1"),
        (Segmentation(output="map", min_score=2.0), (1, 8, 8, 1), "between 0 and 1"),
        (Segmentation(output="map", channel=-1), (1, 8, 8, 1), "count from 0"),
    ],
)
def test_a_declaration_that_does_not_fit_is_refused_before_the_first_picture(spec, shape, said):
    with pytest.raises(UsageError) as caught:
        check_segmentation(spec, TensorSpec(name="map", dtype="float32", shape=shape))
    assert said in str(caught.value)


def test_the_astronaut_is_cut_out_in_either_order_of_colours():
    preprocess, postprocess = read_processing(SPEC)
    photo = read_picture(asset("photos") / "astronaut.png")
    with edge_sdk.load(
        asset("selfie-segmentation"), preprocess=preprocess, postprocess=postprocess
    ) as session:
        mask = session.predict(photo)
        assert isinstance(mask, Mask)
        processing: Processing = session.processing
        inputs, geometry = processing.before(np.ascontiguousarray(photo[..., ::-1]), "bgr")
        again = processing.after(session.run(inputs), geometry)
    assert isinstance(again, Mask)
    assert np.array_equal(again.scores, mask.scores)
    over = mask.over(*photo.shape[:2])
    assert over[150, 220] > 0.9  # her face
    assert over[60, 480] < 0.1  # the corner on the right
    assert 0.2 < mask.area().share < 0.8

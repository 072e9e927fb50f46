from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_sdk.errors import UnavailableError, UsageError
from edge_sdk.processing import Detector, Geometry
from edge_sdk.processing.anchors import anchor_centres
from edge_sdk.processing.detection import blend, overlap
from edge_sdk.processing.geometry import fit
from edge_sdk.spec import Detection, SsdAnchors

SHORT_RANGE = SsdAnchors(strides=(8, 16, 16, 16), per_cell=2)
FULL_RANGE = SsdAnchors(strides=(4,), per_cell=1)


# --- anchors


def test_short_range_face_detection_has_its_896_anchors():
    centres = anchor_centres(SHORT_RANGE, (128, 128))
    assert centres.shape == (896, 2)
    assert centres[:2].tolist() == [[0.5 / 16, 0.5 / 16]] * 2  # two on the first cell
    assert centres[2].tolist() == [1.5 / 16, 0.5 / 16]  # then along the row
    assert centres[32].tolist() == [0.5 / 16, 1.5 / 16]  # then the next row
    assert centres[512:518].tolist() == [[0.5 / 8, 0.5 / 8]] * 6  # three layers on one grid
    assert centres[-1].tolist() == [7.5 / 8, 7.5 / 8]


def test_full_range_face_detection_has_its_2304_anchors():
    centres = anchor_centres(FULL_RANGE, (192, 192))
    assert centres.shape == (2304, 2)
    assert centres[49].tolist() == pytest.approx([1.5 / 48, 1.5 / 48])


@given(
    st.lists(st.sampled_from([4, 8, 16, 32]), min_size=1, max_size=5),
    st.integers(1, 4),
    st.integers(1, 200),
    st.integers(1, 200),
)
def test_every_layer_covers_the_input_evenly(strides, per_cell, height, width):
    centres = anchor_centres(SsdAnchors(strides=tuple(strides), per_cell=per_cell), (height, width))
    cells = sum(math.ceil(height / s) * math.ceil(width / s) for s in strides)
    assert len(centres) == cells * per_cell
    assert ((centres > 0) & (centres < 1)).all()
    assert centres.mean(axis=0) == pytest.approx([0.5, 0.5], abs=1e-3)


def test_layers_share_a_grid_only_with_their_neighbours():
    apart = anchor_centres(SsdAnchors(strides=(8, 16, 8), per_cell=1), (16, 16))
    assert len(apart) == 4 + 1 + 4
    assert apart[4].tolist() == [0.5, 0.5]


@pytest.mark.parametrize(("strides", "per_cell"), [((), 2), ((8, 0), 2), ((8,), 0)])
def test_anchors_that_are_none_are_refused(strides, per_cell):
    with pytest.raises(UsageError, match="strides"):
        anchor_centres(SsdAnchors(strides=strides, per_cell=per_cell), (128, 128))


# --- overlap and blending


@st.composite
def detections(draw):
    count = draw(st.integers(1, 30))
    fractions = st.floats(0, 1, width=32)
    rows = draw(
        st.lists(st.tuples(*[fractions] * 6), min_size=count, max_size=count).map(np.array)
    ).astype(np.float32)
    rows[:, 2:4] += rows[:, :2]
    scores = draw(
        st.lists(st.floats(2**-6, 1, width=32), min_size=count, max_size=count).map(np.array)
    ).astype(np.float32)
    classes = draw(st.lists(st.integers(0, 2), min_size=count, max_size=count).map(np.array))
    order = np.argsort(-scores, kind="stable")
    return rows[order], scores[order], classes[order].astype(np.intp)


@given(detections())
def test_overlap_is_symmetric_bounded_and_whole_with_itself(found):
    boxes = found[0]
    for i, box in enumerate(boxes):
        ratios = overlap(box, boxes)
        assert ((ratios >= 0) & (ratios <= 1 + 1e-6)).all()
        if box[2] - box[0] > 1e-3 and box[3] - box[1] > 1e-3:
            assert ratios[i] == pytest.approx(1, abs=1e-5)
        assert overlap(boxes[0], boxes)[i] == pytest.approx(ratios[0], abs=1e-6)


def test_overlap_is_intersection_over_union():
    one = np.array([0, 0, 2, 2], np.float32)
    many = np.array([[1, 1, 3, 3], [0, 0, 2, 1], [2, 0, 4, 2], [5, 5, 6, 6]], np.float32)
    assert overlap(one, many).tolist() == pytest.approx([1 / 7, 0.5, 0, 0])


@given(detections(), st.floats(0, 1), st.integers(1, 40))
def test_blending_keeps_scores_stays_inside_and_is_stable(found, max_overlap, top):
    boxes, scores, classes = found
    kept = blend(boxes, scores, classes, max_overlap, top)
    assert 1 <= len(kept) <= min(top, len(scores))
    assert kept[0][1] == scores[0]
    assert [score for _, score, _ in kept] == sorted((s for _, s, _ in kept), reverse=True)
    for values, score, index in kept:
        same = boxes[classes == index]
        assert score in scores[classes == index]
        assert (values >= same.min(axis=0) - 1e-5).all()
        assert (values <= same.max(axis=0) + 1e-5).all()


def as_mediapipe(boxes, scores, max_overlap):
    """The WEIGHTED algorithm of non_max_suppression_calculator.cc, one number at a time."""

    def ratio(a, b):
        width = min(a[2], b[2]) - max(a[0], b[0])
        height = min(a[3], b[3]) - max(a[1], b[1])
        if width <= 0 or height <= 0:
            return 0.0
        shared = width * height
        return shared / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - shared)

    remaining = sorted(range(len(scores)), key=lambda i: -scores[i])
    output = []
    while remaining:
        first = boxes[remaining[0]]
        candidates = [i for i in remaining if ratio(boxes[i], first) > max_overlap]
        rest = [i for i in remaining if i not in candidates]
        total = sum(scores[i] for i in candidates)
        output.append(
            [sum(boxes[i][k] * scores[i] for i in candidates) / total for k in range(len(first))]
        )
        remaining = rest
    return output


def test_blending_is_mediapipes_weighted_suppression():
    random = np.random.default_rng(7)
    corner = random.uniform(0, 0.5, (40, 2))
    boxes = np.hstack([corner, corner + random.uniform(0.1, 0.5, (40, 2)), random.random((40, 2))])
    scores = np.sort(random.uniform(0.5, 1, 40))[::-1]
    kept = blend(
        boxes.astype(np.float32), scores.astype(np.float32), np.zeros(40, np.intp), 0.3, 100
    )
    expected = as_mediapipe(boxes.tolist(), scores.tolist(), 0.3)
    assert len(kept) == len(expected) > 3
    np.testing.assert_allclose([values for values, _, _ in kept], expected, atol=1e-5)


def test_boxes_of_different_classes_do_not_blend():
    boxes = np.tile(np.array([0, 0, 1, 1], np.float32), (3, 1))
    kept = blend(boxes, np.array([0.9, 0.8, 0.7], np.float32), np.array([1, 0, 1]), 0.3, 10)
    assert [(pytest.approx(score), index) for _, score, index in kept] == [(0.9, 1), (0.8, 0)]


def test_a_box_without_area_stands_alone_and_ends_nothing():
    boxes = np.array([[0.5, 0.5, 0.5, 0.5], [0, 0, 1, 1]], np.float32)
    kept = blend(boxes, np.array([0.9, 0.8], np.float32), np.zeros(2, np.intp), 0.3, 10)
    assert len(kept) == 2


# --- the whole decoder


def detector(labels=(), **fields) -> Detector:
    spec = Detection(
        **{
            "boxes": "boxes",
            "scores": "scores",
            "anchors": SsdAnchors(strides=(64,), per_cell=1),  # 2 x 2 anchors of 128 x 128
            "keypoints": 1,
            **fields,
        }
    )
    return Detector(spec, (128, 128), labels)


def outputs(*found, classes=1):
    """Boxes and raw scores with (anchor, x, y, width, height, kx, ky, score[, class]) set."""
    boxes, scores = np.zeros((1, 4, 6), np.float32), np.full((1, 4, classes), -9, np.float32)
    for anchor, *values, score, index in found:
        boxes[0, anchor] = values
        scores[0, anchor, index] = score
    return boxes, scores


def test_a_box_is_decoded_relative_to_its_anchor():
    # anchor 1 is at (.75, .25) of the input; 16 pixels are an eighth of it
    answer = detector().detect(*outputs((1, -16, 16, 32, 16, 16, 0, 5, 0)), Geometry())
    (box,) = answer.found
    assert (box.left, box.top, box.right, box.bottom) == pytest.approx((0.5, 0.3125, 0.75, 0.4375))
    assert box.keypoints == (pytest.approx((0.875, 0.25)),)
    assert box.score == pytest.approx(1 / (1 + math.exp(-5)))
    assert (box.index, box.label) == (0, "0")


def test_a_box_is_mapped_back_through_a_letterbox():
    geometry = fit((64, 128), (128, 128), "letterbox").geometry  # bars of a quarter each
    answer = detector().detect(*outputs((0, 0, 32, 64, 32, 0, 0, 5, 0)), geometry)
    (box,) = answer.found
    assert (box.left, box.right) == pytest.approx((0, 0.5))
    assert (box.top, box.bottom) == pytest.approx((0.25, 0.75))
    assert box.keypoints == (pytest.approx((0.25, 0)),)


def test_edges_are_clipped_to_the_picture_and_keypoints_are_not():
    answer = detector().detect(*outputs((0, 0, 0, 128, 128, -64, 0, 5, 0)), Geometry())
    (box,) = answer.found
    assert (box.left, box.top, box.right, box.bottom) == pytest.approx((0, 0, 0.75, 0.75))
    assert box.keypoints == (pytest.approx((-0.25, 0.25)),)


def test_a_box_in_the_bars_of_a_letterbox_is_dropped():
    geometry = fit((64, 128), (128, 128), "letterbox").geometry
    answer = detector().detect(*outputs((0, 0, -20, 16, 8, 0, 0, 5, 0)), geometry)
    assert answer.found == ()
    assert str(answer) == "nothing found"


def test_the_best_class_counts_and_gets_its_label():
    found = detector(("cat", "dog")).detect(
        *outputs((2, 0, 0, 32, 32, 0, 0, 2, 0), (3, 0, 0, 32, 32, 0, 0, 3, 1), classes=2),
        Geometry(),
    )
    assert [box.label for box in found.found] == ["dog", "cat"]
    assert str(found) == "dog 0.95, cat 0.88"


def test_unlikely_boxes_are_dropped_and_the_list_ends_at_the_top():
    raw = outputs(*[(anchor, 0, 0, 32, 32, 0, 0, anchor - 1.5, 0) for anchor in range(4)])
    assert len(detector().detect(*raw, Geometry()).found) == 2
    assert len(detector(min_score=0.0).detect(*raw, Geometry()).found) == 4
    assert len(detector(min_score=0.0, top=1).detect(*raw, Geometry()).found) == 1
    assert len(detector(activation="none", min_score=1.0).detect(*raw, Geometry()).found) == 1


@pytest.mark.parametrize("broken", ["boxes", "scores"])
def test_a_model_that_answers_nan_is_an_error_and_no_empty_answer(broken):
    boxes, scores = outputs((0, 0, 0, 32, 32, 0, 0, 5, 0))
    {"boxes": boxes, "scores": scores}[broken][0, 0, 0] = np.nan
    with pytest.raises(UnavailableError, match=f"NaN.*{broken}"):
        detector().detect(boxes, scores, Geometry())


@pytest.mark.parametrize(
    ("boxes", "scores", "said"),
    [
        ((1, 4, 4), (1, 4, 1), "1x4x4"),
        ((1, 5, 6), (1, 4, 1), "1x5x6"),
        ((2, 4, 6), (1, 4, 1), "2x4x6"),
        ((4, 6), (1, 4, 1), "4x6"),
        ((1, 4, 6), (1, 3, 1), "1x3x1"),
    ],
)
def test_outputs_of_other_shapes_are_refused(boxes, scores, said):
    with pytest.raises(UsageError) as caught:
        detector().detect(np.zeros(boxes), np.zeros(scores), Geometry())
    assert said in caught.value.message and caught.value.hint

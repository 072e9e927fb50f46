from __future__ import annotations

import numpy as np
import pytest

from edge_sdk.errors import UsageError
from edge_sdk.processing import Processing
from edge_sdk.spec import (
    Box,
    Boxes,
    Classes,
    Classification,
    Detection,
    ImageInput,
    Quantization,
    Signature,
    SsdAnchors,
    TensorSpec,
)

IMAGE = TensorSpec(name="image", dtype="float32", shape=(1, 8, 8, 3))
INT8_IMAGE = TensorSpec(
    name="image",
    dtype="int8",
    shape=(1, 8, 8, 3),
    quantization=Quantization(scale=1 / 255, zero_point=-128),
)
SCORES = TensorSpec(name="scores", dtype="float32", shape=(1, 3))
CLASSIFIER = Signature(inputs=(IMAGE,), outputs=(SCORES,))
DETECTOR = Signature(
    inputs=(IMAGE,),
    outputs=(
        TensorSpec(name="boxes", dtype="float32", shape=(1, 4, 4)),
        TensorSpec(name="scores", dtype="float32", shape=(1, 4, 1)),
    ),
)
BEFORE = ImageInput(input="image", size=(8, 8))
CLASSIFY = Classification(output="scores", top=1)
DETECT = Detection(boxes="boxes", scores="scores", anchors=SsdAnchors(strides=(4,), per_cell=1))
PICTURE = np.full((8, 8, 3), 255, np.uint8)


def processing(signature=CLASSIFIER, engine=None, **declared) -> Processing:
    return Processing(signature=signature, engine_signature=engine or signature, **declared)


def test_a_picture_goes_in_as_the_engine_wants_it():
    floats, _ = processing(preprocess=BEFORE).before(PICTURE)
    assert floats["image"].dtype == np.float32 and (floats["image"] == 1).all()
    engine = Signature(inputs=(INT8_IMAGE,), outputs=(SCORES,))
    integers, _ = processing(engine=engine, preprocess=BEFORE).before(PICTURE)
    assert integers["image"].dtype == np.int8 and (integers["image"] == 127).all()


def test_scores_come_out_as_classes():
    joint = processing(preprocess=BEFORE, postprocess=CLASSIFY, labels=("a", "b", "c"))
    _, geometry = joint.before(PICTURE)
    answer = joint.after({"scores": np.array([[0.1, 0.2, 0.7]], np.float32)}, geometry)
    assert isinstance(answer, Classes) and answer.top[0].label == "c"


def test_boxes_come_out_in_the_pictures_fractions():
    joint = processing(DETECTOR, preprocess=BEFORE, postprocess=DETECT, labels=("face",))
    _, geometry = joint.before(PICTURE)
    boxes, scores = np.zeros((1, 4, 4), np.float32), np.full((1, 4, 1), -9, np.float32)
    boxes[0, 3], scores[0, 3] = (0, 0, 4, 4), 9
    answer = joint.after({"boxes": boxes, "scores": scores}, geometry)
    expected = Box(
        left=0.5, top=0.5, right=1.0, bottom=1.0, score=answer.found[0].score, index=0, label="face"
    )
    assert answer == Boxes(found=(expected,))


def test_what_is_not_declared_passes_through():
    outputs = {"scores": np.zeros((1, 3), np.float32)}
    assert processing().after(outputs) is outputs
    with pytest.raises(UsageError, match="declares no preprocessing"):
        processing().before(PICTURE)


TWO_INPUTS = Signature(
    inputs=(IMAGE, TensorSpec(name="state", dtype="float32", shape=(1, 4))), outputs=(SCORES,)
)


@pytest.mark.parametrize(
    ("signature", "declared", "said", "hint"),
    [
        (CLASSIFIER, {"preprocess": ImageInput(input="imag", size=(8, 8))}, "'imag'", "'image'"),
        (CLASSIFIER, {"postprocess": Classification(output="score")}, "'score'", "'scores'"),
        (CLASSIFIER, {"postprocess": Classification(output="scores", top=0)}, "top is 0", ""),
        (CLASSIFIER, {"postprocess": CLASSIFY, "labels": ("a", "b")}, "2 labels for 3", ""),
        (TWO_INPUTS, {"preprocess": BEFORE}, "state", "session.run"),
        (DETECTOR, {"postprocess": DETECT}, "no preprocessing", "[preprocess]"),
        (
            DETECTOR,
            {"preprocess": BEFORE, "postprocess": DETECT, "labels": ("a", "b")},
            "2 labels for 1",
            "",
        ),
        (
            DETECTOR,
            {
                "preprocess": BEFORE,
                "postprocess": Detection(
                    boxes="boxes", scores="scores", anchors=SsdAnchors(strides=(4,)), keypoints=6
                ),
            },
            "1x4x4",
            "anchors",
        ),
        (
            DETECTOR,
            {
                "preprocess": BEFORE,
                "postprocess": Detection(
                    boxes="boxes", scores="scores", anchors=DETECT.anchors, min_score=50
                ),
            },
            "min_score is 50",
            "between 0 and 1",
        ),
    ],
)
def test_a_declaration_that_does_not_fit_the_model_is_refused_when_it_is_loaded(
    signature, declared, said, hint
):
    with pytest.raises(UsageError) as caught:
        processing(signature, **declared)
    assert said in caught.value.message
    assert hint in caught.value.hint and caught.value.hint

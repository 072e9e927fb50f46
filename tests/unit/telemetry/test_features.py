"""Features: what they measure, and that converter and device measure the same."""

import math
from typing import Any

import numpy as np
import pytest

from edge_sdk.processing import Processing
from edge_sdk.spec import (
    Box,
    Boxes,
    Classification,
    Detection,
    ImageInput,
    Quantization,
    Signature,
    SsdAnchors,
    TensorSpec,
)
from edge_sdk.telemetry.features import MAX_TENSORS, Probe

H, W = 12, 16


def tensor(name: str, *shape: int, dtype: str = "float32", **more: Any) -> TensorSpec:
    return TensorSpec(name=name, dtype=dtype, shape=shape, **more)


def probe(
    image: ImageInput, engine: TensorSpec | None = None, shape: tuple[int, ...] = (1, H, W, 3)
) -> tuple[Probe, Processing]:
    """A probe of a model that only has an input, and the way to feed it."""
    declared = Signature(inputs=(tensor("image", *shape),), outputs=())
    fed = declared if engine is None else Signature(inputs=(engine,), outputs=())
    processing = Processing(signature=declared, engine_signature=fed, preprocess=image)
    return Probe(processing, declared, fed), processing


def measure(found: tuple[Probe, Processing], picture: np.ndarray) -> dict[str, float]:
    inputs, _ = found[1].before(picture)
    return dict(zip(found[0].names, found[0].measure(inputs, {}, None), strict=True))


@pytest.fixture
def picture() -> np.ndarray:
    return np.random.default_rng(3).integers(0, 256, (H, W, 3), np.uint8)


COLOUR = ImageInput(input="image", size=(H, W))


def test_a_picture_is_measured_in_bytes(picture: np.ndarray):
    found = measure(probe(COLOUR), picture)
    green = picture[..., 1].astype(float)
    assert found["brightness"] == pytest.approx(green.mean(), abs=0.01)
    assert found["contrast"] == pytest.approx(green.std(), abs=0.01)
    steps = np.abs(np.diff(green, axis=1)).mean(), np.abs(np.diff(green, axis=0)).mean()
    assert found["sharpness"] == pytest.approx(sum(steps) / 2, abs=0.01)
    red_blue = np.abs(picture[..., 0].astype(float) - picture[..., 2])
    assert found["saturation"] == pytest.approx(red_blue.mean(), abs=0.01)


@pytest.mark.parametrize(
    "image",
    [
        ImageInput(input="image", size=(H, W), mean=(127.5,), std=(127.5,)),
        ImageInput(input="image", size=(H, W), channels="bgr"),
        ImageInput(input="image", size=(H, W), mean=(123.0, 117.0, 104.0), std=(58.0, 57.0, 57.5)),
    ],
)
def test_normalisation_and_order_do_not_matter(image: ImageInput, picture: np.ndarray):
    assert measure(probe(image), picture) == pytest.approx(
        measure(probe(COLOUR), picture), abs=0.01
    )


def test_the_layout_does_not_matter(picture: np.ndarray):
    planes = ImageInput(
        input="image", size=(H, W), layout="chw", mean=(1.0, 2.0, 3.0), std=(4.0, 5.0, 6.0)
    )
    found = measure(probe(planes, shape=(1, 3, H, W)), picture)
    assert found == pytest.approx(measure(probe(COLOUR), picture), abs=0.01)


def test_a_quantized_build_measures_what_a_float_one_does(picture: np.ndarray):
    stored = tensor(
        "image", 1, H, W, 3, dtype="int8", quantization=Quantization(scale=1 / 255, zero_point=-128)
    )
    assert measure(probe(COLOUR, stored), picture) == pytest.approx(
        measure(probe(COLOUR), picture), abs=0.6
    )


def test_gray_has_no_saturation():
    gray = ImageInput(input="image", size=(H, W), channels="gray")
    flat = np.full((H, W, 3), 40, np.uint8)
    found = measure(probe(gray, shape=(1, H, W)), flat)
    assert found == pytest.approx({"brightness": 40, "contrast": 0, "sharpness": 0}, abs=0.01)


def test_dark_and_blurred_show(picture: np.ndarray):
    cv2 = pytest.importorskip("cv2")
    before = measure(probe(COLOUR), picture)
    after = measure(probe(COLOUR), cv2.GaussianBlur(picture // 2, (0, 0), 2))
    assert after["brightness"] < 0.6 * before["brightness"]
    assert after["sharpness"] < 0.4 * before["sharpness"]


def test_one_column_has_no_steps_across():
    thin = ImageInput(input="image", size=(H, 1), channels="gray")
    found = measure(probe(thin, shape=(1, H, 1)), np.zeros((H, 1), np.uint8))
    assert found["sharpness"] == 0


def answers(
    postprocess: Classification | Detection | None, *outputs: TensorSpec, **inputs: TensorSpec
) -> Probe:
    given = (tensor("image", 1, 128, 128, 3),)
    signature = Signature(inputs=tuple(inputs.values()) or given, outputs=outputs)
    image = None if inputs else ImageInput(input="image", size=(128, 128))
    processing = Processing(
        signature=signature, engine_signature=signature, preprocess=image, postprocess=postprocess
    )
    return Probe(processing, signature, signature)


GRAY = {"image": np.zeros((1, 128, 128, 3), np.float32)}


def test_classes_have_confidence_and_margin():
    found = answers(Classification(output="p"), tensor("p", 1, 4))
    numbers = found.measure(GRAY, {"p": np.array([[0.1, 0.6, 0.05, 0.25]], np.float32)}, None)
    assert dict(zip(found.names, numbers, strict=True)) | {"confidence": 0.6, "margin": 0.35} == (
        dict(zip(found.names, numbers, strict=True))
    )


def test_scores_are_activated_as_declared():
    found = answers(Classification(output="p", activation="softmax"), tensor("p", 1, 2))
    numbers = found.measure(GRAY, {"p": np.array([[1000.0, 1000.0]], np.float32)}, None)
    assert numbers[-2:] == (0.5, 0.0)


def test_one_class_has_no_margin():
    found = answers(Classification(output="p", activation="sigmoid"), tensor("p", 1, 1))
    confidence, margin = found.measure(GRAY, {"p": np.zeros((1, 1), np.float32)}, None)[-2:]
    assert confidence == 0.5
    assert math.isnan(margin)


def test_boxes_are_counted():
    declared = Detection(boxes="b", scores="s", anchors=SsdAnchors(strides=(8,), per_cell=1))
    found = answers(declared, tensor("b", 1, 256, 4), tensor("s", 1, 256, 1))
    box = {"left": 0.0, "top": 0.0, "right": 0.5, "bottom": 0.5, "index": 0, "label": "face"}
    two = Boxes(found=(Box(score=0.91237, **box), Box(score=0.6, **box)))
    assert found.names[-2:] == ("objects", "confidence")
    assert found.measure(GRAY, {}, two)[-2:] == (2, 0.912)
    assert found.measure(GRAY, {}, Boxes(found=()))[-2:] == (0, 0)


def test_undeclared_tensors_have_mean_and_spread():
    found = answers(None, tensor("y", 1, 2), a=tensor("a", 1, 2), b=tensor("b", 1, 2))
    inputs = {"a": np.array([[1, 3]], np.float32), "b": np.array([[np.nan, 1]], np.float32)}
    numbers = dict(
        zip(found.names, found.measure(inputs, {"y": np.zeros((1, 2))}, None), strict=True)
    )
    assert (numbers["a.mean"], numbers["a.std"]) == (2, 1)
    assert math.isnan(numbers["b.mean"])
    assert (numbers["y.mean"], numbers["y.std"]) == (0, 0)


def test_not_every_tensor_of_a_large_signature_is_measured():
    found = answers(None, *(tensor(f"y{i}", 1, 2) for i in range(9)), a=tensor("a", 1, 2))
    assert len(found.names) == 2 * (1 + MAX_TENSORS)

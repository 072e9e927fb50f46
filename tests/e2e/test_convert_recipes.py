"""Recipes with few bits, and calibration methods, with the real engines."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import planted
import pytest
import tiny_keras

from converters import Conversion, convert
from converters.engines import engine, quiet
from edge_sdk.artifact import Artifact


def trained() -> Any:
    """A classifier that knows something: four bits are judged on answers that matter."""
    model = planted.classifier()
    first, second = model.get_layer("first"), model.get_layer("second")
    kernel, bias = first.get_weights()
    reader, its_bias = second.get_weights()
    for channel in planted.PLANTED:  # take the outliers out again
        kernel[..., channel] /= planted.OUTLIER
        bias[channel] /= planted.OUTLIER
        reader[:, :, channel, :] *= planted.OUTLIER
    first.set_weights([kernel, bias])
    second.set_weights([reader, its_bias])
    return model


@pytest.fixture(scope="module")
def model() -> Any:
    return trained()


@pytest.fixture(scope="module")
def made(model: Any, tmp_path_factory: pytest.TempPathFactory) -> Conversion:
    return convert(
        model,
        tmp_path_factory.mktemp("recipes") / "all-1.0.0.edge",
        formats=["tflite", "coreml", "onnx"],
        recipes=["fp32", "int16x8", "mixed", "int8", "int8-weights", "int4-weights", "palette4"],
        calibrate=planted.blobs(100, 2),
        evaluate=planted.blobs(300, 3),
    )


def variant(made: Conversion, name: str) -> Any:
    return next(v for v in made.report.variants if v.id == name)


def test_all_are_made_and_proven(made: Conversion) -> None:
    assert made.passed, made.report


@pytest.mark.parametrize(
    ("name", "most"),
    [
        ("tflite-int16x8", 0.35),
        ("tflite-int4-weights", 0.2),
        ("coreml-palette4", 0.25),
        ("onnx-int8-weights", 0.35),
        ("onnx-int4-weights", 0.4),
    ],
)
def test_few_bits_are_few_bytes(made: Conversion, name: str, most: float) -> None:
    whole = variant(made, f"{name.partition('-')[0]}-fp32").size
    assert variant(made, name).size < most * whole


def test_where_int8_is_good_nothing_stays_wide(made: Conversion) -> None:
    for name in ("tflite", "onnx"):
        assert variant(made, f"{name}-mixed").wide == ()


def test_onnx_int8_is_per_channel_and_passes_onnx_s_own_check(made: Conversion) -> None:
    onnx = engine("onnx")
    with Artifact(Path(str(made.artifact))) as artifact:
        proto = onnx.load_from_string(artifact.read(artifact.variant("onnx-int8").path))
    onnx.checker.check_model(proto, full_check=True)
    scales = [
        i for i in proto.graph.initializer if i.name.endswith("_scale") and np.prod(i.dims) > 1
    ]
    assert scales


def test_palettes_are_palettes_and_have_sixteen_entries(made: Conversion, tmp_path: Path) -> None:
    from converters.mil.reader import read_package

    with Artifact(Path(str(made.artifact))) as artifact:
        package = artifact.extract(artifact.variant("coreml-palette4"), tmp_path)
        with quiet():
            program = read_package(package)
    tables = [
        op for op in program.functions["main"].operations if op.op_type == "constexpr_lut_to_dense"
    ]
    assert len(tables) == 5
    assert {op.lut.val.shape for op in tables} == {(16,)}


@pytest.mark.parametrize(("method", "most"), [("percentile", 1), ("mse", 1), ("entropy", 0.5)])
def test_an_outlier_among_the_samples_costs_minmax_the_most(
    model: Any, tmp_path: Path, method: str, most: float
) -> None:
    """One wild sample in a hundred: more than percentile cuts off, and dear to clip for mse."""
    calibrate = planted.blobs(100, 2)
    calibrate["x"][7] *= 60
    del calibrate["y"]

    def difference(how: str) -> dict[str, float]:
        made = convert(
            model,
            tmp_path / "x-1.0.0.edge",
            formats=["tflite", "onnx"],
            recipes=["int8"],
            calibrate=calibrate,
            calibration=how,
            evaluate=planted.blobs(200, 3),
        )
        return {v.id: v.agreement.mean_difference for v in made.report.variants}

    spoiled, found = difference("minmax"), difference(method)
    assert found["tflite-int8"] < most * spoiled["tflite-int8"]
    assert found["onnx-int8"] < most * spoiled["onnx-int8"]


def test_a_recipe_that_can_change_nothing_is_refused(tmp_path: Path) -> None:
    """A net of convolutions alone has no matrix for ONNX's four bits."""
    layers = tiny_keras.keras().layers
    image = tiny_keras.keras().Input((8, 8, 1), name="image")
    out = layers.Conv2D(3, 3, name="only")(image)
    conv = tiny_keras.filled(tiny_keras.keras().Model(image, out))
    made = convert(conv, tmp_path / "x.edge", formats=["onnx"], recipes=["int4-weights"])
    assert not made.passed
    assert "unchanged" in made.report.variants[0].reason
    assert not list(tmp_path.iterdir())

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
from converters.targets.coreml_recipes import SMALL
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


def test_every_quantized_variant_shows_its_layers_beside_the_float_one(made: Conversion) -> None:
    for found in made.report.variants:
        if found.format == "coreml" or found.recipe == "fp32":
            assert found.noise is None
            continue
        assert found.noise is not None, found.id
        assert found.noise.against == f"{found.format}-fp32"
        assert len(found.noise.layers) >= 3
    noise = {v.id: v.noise for v in made.report.variants if v.noise is not None}
    worst = {name: max(layer.added for layer in of.layers) for name, of in noise.items()}
    assert worst["tflite-int4-weights"] > worst["tflite-int8"] > worst["tflite-int16x8"]


@pytest.mark.parametrize(
    ("name", "most"),
    [
        ("tflite-int16x8", 0.35),
        ("tflite-int4-weights", 0.2),
        ("coreml-int4-weights", 0.3),
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


def weights_of(made: Conversion, name: str, kind: str, folder: Path) -> list[Any]:
    """The operations of a Core ML build that expand its weights."""
    from converters.mil.reader import read_package

    with Artifact(Path(str(made.artifact))) as artifact:
        package = artifact.extract(artifact.variant(name), folder)
        with quiet():
            program = read_package(package)
    return [op for op in program.functions["main"].operations if op.op_type == kind]


def large(model: Any) -> int:
    """How many weights are not so small that they stay in half precision."""
    return sum(w.ndim > 1 and w.size >= SMALL for w in model.get_weights())


def test_palettes_are_palettes_and_have_sixteen_entries(
    model: Any, made: Conversion, tmp_path: Path
) -> None:
    tables = weights_of(made, "coreml-palette4", "constexpr_lut_to_dense", tmp_path)
    assert len(tables) == large(model) == 2
    assert {op.lut.val.shape for op in tables} == {(16,)}


def test_core_ml_s_four_bits_are_in_blocks(model: Any, made: Conversion, tmp_path: Path) -> None:
    """Of the fourth layer, whose 432 inputs 16 divide; the third's 12 are for 8 bits."""
    kind = "constexpr_blockwise_shift_scale"
    found = weights_of(made, "coreml-int4-weights", kind, tmp_path)
    assert len(found) == large(model)
    blocks = {}
    for op in found:
        parts = [n // s for n, s in zip(op.data.shape, op.scale.shape, strict=True)]
        blocks[op.data.val.size] = max(parts[:2])
    assert blocks == {432 * 64: 16, 12 * 48 * 9: 12}


def test_four_bits_without_a_block_are_refused(tmp_path: Path) -> None:
    made = convert(
        single_convolution(), tmp_path / "x.edge", formats=["coreml"], recipes=["int4-weights"]
    )
    assert not made.passed
    assert "a multiple of 16 input channels" in made.report.variants[0].reason


def test_where_all_weights_are_small_all_are_compressed(tmp_path: Path) -> None:
    small = tiny_keras.classifier()
    assert large(small) == 0
    made = convert(small, tmp_path / "x.edge", formats=["coreml"], recipes=["fp16", "int8-weights"])
    assert made.passed, made.report
    assert weights_of(made, "coreml-int8-weights", "constexpr_affine_dequantize", tmp_path)


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


def single_convolution() -> Any:
    """Of one input channel."""
    image = tiny_keras.keras().Input((8, 8, 1), name="image")
    out = tiny_keras.keras().layers.Conv2D(3, 3, name="only")(image)
    return tiny_keras.filled(tiny_keras.keras().Model(image, out))


def test_a_recipe_that_can_change_nothing_is_refused(tmp_path: Path) -> None:
    """A net of convolutions alone has no matrix for ONNX's four bits."""
    made = convert(
        single_convolution(), tmp_path / "x.edge", formats=["onnx"], recipes=["int4-weights"]
    )
    assert not made.passed
    assert "unchanged" in made.report.variants[0].reason
    assert not list(tmp_path.iterdir())

"""The heart of it: what an engine makes wrong is refused, and nothing is written.

Each test lets a real engine make a real file of a model that is not quite the one it was asked for:
as a bug in a converter would, with exit code 0 and a file that loads and runs.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny_keras

from converters import Conversion, convert
from converters.engines import engine, quiet
from converters.sources import open_source
from converters.sources.tensorflow import TensorFlowSource
from converters.targets.engine_runner import EngineRunner
from converters.targets.tflite import TfliteTarget
from converters.trunks.tensorflow import TfliteTrunk
from edge_sdk.artifact import Artifact
from edge_sdk.errors import ConversionError

FORMATS = ("tflite", "coreml", "onnx")
FLOAT = {f"{format_}-fp32" for format_ in FORMATS}
EXACT = {f"{format_}-{recipe}" for format_ in FORMATS for recipe in ("fp32", "fp16")}
QUANTIZED = {
    "coreml-int8-weights",
    *(f"{f}-{r}" for f in ("tflite", "onnx") for r in ("int8", "int8-dynamic", "int8-weights")),
}
ALL = EXACT | QUANTIZED

Weights = list[np.ndarray]


def a_little_off(weights: Weights) -> Weights:
    rng = np.random.default_rng(3)
    return [w * (1 + 0.05 * rng.standard_normal(w.shape)) for w in weights]


def classes_swapped(weights: Weights) -> Weights:
    *rest, kernel, bias = weights
    return [*rest, kernel[:, ::-1], bias[::-1]]


def picture_transposed(weights: Weights) -> Weights:
    first, *rest = weights
    return [first.transpose(1, 0, 2, 3), *rest]


def bias_forgotten(weights: Weights) -> Weights:
    return [*weights[:-1], np.zeros_like(weights[-1])]


def weights_forgotten(weights: Weights) -> Weights:
    return [np.zeros_like(w) for w in weights]


def doubled(weights: Weights) -> Weights:
    *rest, kernel, bias = weights
    return [*rest, 2 * kernel, 2 * bias]


def not_a_number(weights: Weights) -> Weights:
    return [*weights[:-1], np.full_like(weights[-1], np.nan)]


@pytest.fixture
def planted(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., Conversion]:
    """Convert a model while every target is handed another one's frozen graph."""

    def convert_wrong(
        model: Any, change: Callable[[Weights], Weights], recipes: list[str]
    ) -> Conversion:
        truth = model.get_weights()
        model.set_weights(change(truth))
        frozen = open_source(model).frozen()  # type: ignore[attr-defined]
        model.set_weights(truth)
        monkeypatch.setattr(TensorFlowSource, "frozen", lambda self: frozen)
        conversion = convert(
            model,
            tmp_path / "wrong.edge",
            formats=["tflite", "coreml", "onnx"],
            recipes=recipes,
            calibrate=tiny_keras.inputs_of(model, 200),
        )
        assert not list(tmp_path.iterdir())
        return conversion

    return convert_wrong


def refused(conversion: Conversion) -> set[str]:
    assert not conversion.passed
    assert conversion.artifact is None
    return {v.id for v in conversion.report.variants if v.status == "refused"}


RECIPES = ["fp32", "fp16", "int8", "int8-dynamic", "int8-weights"]


@pytest.mark.parametrize("change", [classes_swapped, not_a_number])
def test_a_wrong_classifier_is_refused_in_every_recipe(planted, change):
    assert refused(planted(tiny_keras.classifier(), change, RECIPES)) == ALL


@pytest.mark.parametrize("change", [a_little_off, picture_transposed, weights_forgotten])
def test_a_classifier_that_is_not_quite_right_is_refused(planted, change):
    assert refused(planted(tiny_keras.classifier(), change, ["fp32", "fp16"])) == EXACT


def test_logits_without_their_bias_are_refused(planted):
    conversion = planted(tiny_keras.sequential(), bias_forgotten, ["fp32"])
    assert refused(conversion) == {"tflite-fp32", "coreml-fp32", "onnx-fp32"}


def test_a_factor_is_refused_in_every_recipe_though_it_changes_no_argmax(planted):
    assert refused(planted(tiny_keras.sequential(), doubled, RECIPES)) == ALL


def test_a_wrong_single_number_is_refused(planted):
    conversion = planted(tiny_keras.regressor(), a_little_off, ["fp32"])
    assert refused(conversion) == {"tflite-fp32", "coreml-fp32", "onnx-fp32"}
    for variant in conversion.report.variants:
        assert "relative error" in variant.reason
        assert variant.shortfalls[0].measured > variant.shortfalls[0].required


def test_outputs_that_changed_places_are_refused(planted):
    """Two outputs of one shape, each under the other's name."""
    layers, keras = tiny_keras.keras().layers, tiny_keras.keras()
    x = keras.Input((4,), name="x")
    pair = {name: layers.Dense(3, name=name)(x) for name in ("left", "right")}
    model = tiny_keras.filled(keras.Model(x, pair, name="pair"))

    def swapped(weights: Weights) -> Weights:
        return [*weights[2:], *weights[:2]]

    conversion = planted(model, swapped, ["fp32", "int8"])
    assert refused(conversion) == {*FLOAT, "tflite-int8", "onnx-int8"}


def test_the_right_model_passes_the_same_way(planted, monkeypatch, tmp_path):
    """So that the tests above fail for what was planted, and for nothing else."""
    model = tiny_keras.classifier()
    frozen = open_source(model).frozen()
    monkeypatch.setattr(TensorFlowSource, "frozen", lambda self: frozen)
    conversion = convert(
        model,
        tmp_path / "right.edge",
        formats=["tflite", "coreml", "onnx"],
        recipes=RECIPES,
        calibrate=tiny_keras.inputs_of(model, 200),
    )
    assert conversion.passed
    assert {v.id for v in conversion.report.variants} == ALL


def test_by_the_command_a_refusal_exits_1_and_says_the_number(edge, tmp_path, monkeypatch):
    model = tiny_keras.classifier()
    with quiet():
        model.save(tmp_path / "m.keras")
        model.set_weights(classes_swapped(model.get_weights()))
    frozen = open_source(model).frozen()
    monkeypatch.setattr(TensorFlowSource, "frozen", lambda self: frozen)
    out = tmp_path / "m.edge"
    out.write_bytes(b"what was there before")
    done = edge("convert", tmp_path / "m.keras", "-o", out, "--recipe", "fp32")
    assert done.code == 1
    assert "tflite-fp32 is refused: " in done.out
    assert "and must be 0.9999" in done.out
    assert "Nothing was written" in done.out
    assert out.read_bytes() == b"what was there before"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["m.edge", "m.keras"]


def test_one_bad_variant_keeps_the_good_ones_out_and_says_how_to_get_them(
    edge, tmp_path, monkeypatch
):
    made = TfliteTarget._quantized

    def spoilt(self: TfliteTarget, recipe: Any, calibration: Any) -> bytes:
        other = open_source(tiny_keras.classifier(seed=9))
        return made(TfliteTarget(other, tmp_path / "elsewhere"), recipe, calibration)  # type: ignore[arg-type]

    monkeypatch.setattr(TfliteTarget, "_quantized", spoilt)
    with quiet():
        tiny_keras.classifier().save(tmp_path / "m.keras")
    recipes = ["--formats", "tflite,onnx", "--recipe", "fp32,int8-weights"]
    done = edge("convert", tmp_path / "m.keras", "-o", tmp_path / "m.edge", *recipes)
    assert done.code == 1
    assert "tflite-int8-weights is refused" in done.out
    assert "Without it: --formats tflite,onnx --recipe fp32" in done.out
    assert not (tmp_path / "m.edge").exists()


# TensorFlow's trap: variables that were never frozen


def test_a_file_without_its_weights_cannot_pass(monkeypatch, tmp_path):
    """TensorFlow converts it with exit code 0, LiteRT loads it and runs it without a complaint."""
    tf = engine("tensorflow")
    model = tiny_keras.classifier()

    def unfrozen(trunk: TfliteTrunk) -> bytes:
        spec = tf.TensorSpec([1, 8, 8, 1], tf.float32, name="image")
        module = tf.Module()
        module.variables_of = model.variables
        module.call = tf.function(
            lambda image: {"probs": model(image, training=False)}, input_signature=[spec]
        )
        folder = str(tmp_path / "unfrozen")
        with quiet():
            tf.saved_model.save(module, folder, signatures={"serving_default": module.call})
            return tf.lite.TFLiteConverter.from_saved_model(folder).convert()

    monkeypatch.setattr(TfliteTrunk, "build", unfrozen)
    made = []
    monkeypatch.setattr("converters.targets.tflite.EngineRunner", _noting(made))
    conversion = convert(model, tmp_path / "m.edge", recipes=["fp32"])
    assert "VAR_HANDLE" in _operations(made[0])
    assert refused(conversion) == {"tflite-fp32"}
    assert not (tmp_path / "m.edge").exists()


def _noting(models: list[bytes]) -> Callable[..., EngineRunner]:
    def opened(model: bytes, *arguments: Any) -> EngineRunner:
        models.append(model)
        return EngineRunner(model, *arguments)

    return opened


def _operations(model: bytes) -> set[str]:
    from ai_edge_litert.interpreter import Interpreter

    with quiet():
        return {op["op_name"] for op in Interpreter(model_content=model)._get_ops_details()}


def _with_output_name(model: bytes, old: bytes, new: bytes) -> bytes:
    import flatbuffers
    from ai_edge_litert import schema_py_generated as schema

    unpacked = schema.ModelT.InitFromObj(schema.Model.GetRootAs(model, 0))
    for signature in unpacked.signatureDefs:
        for output in signature.outputs:
            if output.name == old:
                output.name = new
    builder = flatbuffers.Builder(len(model))
    builder.Finish(unpacked.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def test_a_file_that_does_not_load_is_refused(monkeypatch, tmp_path):
    monkeypatch.setattr(TfliteTarget, "_float", cached_property(lambda self: b"TFL3 it is not"))
    TfliteTarget._float.__set_name__(TfliteTarget, "_float")
    conversion = convert(tiny_keras.classifier(), tmp_path / "m.edge", recipes=["fp32"])
    assert refused(conversion) == {"tflite-fp32"}
    reason = conversion.report.variants[0].reason
    assert "tflite-fp32 was made, but litert" in reason
    assert "does not load it" in reason


def test_a_file_with_other_names_is_refused(monkeypatch, tmp_path):
    true = TfliteTarget.__dict__["_float"].func

    def renamed(self: TfliteTarget) -> bytes:
        return _with_output_name(true(self), b"probs", b"prob")

    monkeypatch.setattr(TfliteTarget, "_float", property(renamed))
    conversion = convert(tiny_keras.classifier(), tmp_path / "m.edge", recipes=["fp32"])
    assert refused(conversion) == {"tflite-fp32"}
    assert "other outputs than the source: ['prob'] instead of ['probs']" in (
        conversion.report.variants[0].reason
    )


def test_an_engine_that_fails_says_what_about_and_the_others_go_on(monkeypatch, tmp_path):
    def fails(self: TfliteTarget) -> bytes:
        raise ConversionError("Converting m to TFLite failed: no such operation")

    monkeypatch.setattr(TfliteTarget, "_float", property(fails))
    conversion = convert(
        tiny_keras.classifier(), tmp_path / "m.edge", formats=["tflite", "onnx"], recipes=["fp32"]
    )
    assert refused(conversion) == {"tflite-fp32"}
    assert "no such operation" in conversion.report.variants[0].reason
    assert conversion.report.variants[1].status == "converted"


def test_an_operation_that_a_target_lacks_is_named(tmp_path):
    tf, keras = engine("tensorflow"), tiny_keras.keras()
    x = keras.Input((4,), name="x")
    lacking = keras.layers.Lambda(lambda v: tf.raw_ops.Betainc(a=v, b=v, x=v), name="beta")
    model = keras.Model(x, lacking(x), name="lacking")
    conversion = convert(
        model, tmp_path / "m.edge", formats=["tflite", "coreml", "onnx"], recipes=["fp32"]
    )
    assert refused(conversion) == {"tflite-fp32", "coreml-fp32", "onnx-fp32"}
    for variant in conversion.report.variants:
        assert "Betainc" in variant.reason.splitlines()[0]
    assert not (tmp_path / "m.edge").exists()


def test_a_model_of_chance_is_refused(tmp_path):
    tf, keras = engine("tensorflow"), tiny_keras.keras()
    x = keras.Input((4,), name="x")
    noise = keras.layers.Lambda(lambda v: v + tf.random.normal(tf.shape(v)), name="noise")
    model = keras.Model(x, noise(x), name="chance")
    with pytest.raises(ConversionError, match="does not answer the same twice"):
        convert(model, tmp_path / "m.edge", recipes=["fp32"])
    assert not (tmp_path / "m.edge").exists()


def test_what_is_packed_is_what_was_proven(tmp_path):
    """The digests in the manifest are those of the files inside, one by one."""
    model = tiny_keras.classifier()
    conversion = convert(model, tmp_path / "m.edge", formats=["tflite", "onnx"], recipes=["fp32"])
    with Artifact(tmp_path / "m.edge") as artifact:
        assert sorted(artifact.verify_digests()) == sorted(artifact.manifest.files)
        assert artifact.digest == conversion.digest

"""Every kind of source to every variant, with the real engines, on models of a few layers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import raw_engines
import tiny_keras
from tiny_keras import Arrays

import edge_sdk
from converters import Conversion, convert
from converters.engines import engine, quiet
from edge_sdk.artifact import Artifact

FORMATS = ["tflite", "coreml", "onnx"]
RECIPES = ["fp32", "fp16", "int8", "int8-dynamic", "int8-weights"]
VARIANTS = [
    "tflite-fp32",
    "tflite-fp16",
    "tflite-int8",
    "tflite-int8-dynamic",
    "tflite-int8-weights",
    "coreml-fp32",
    "coreml-fp16",
    "coreml-int8-weights",
    "onnx-fp32",
    "onnx-fp16",
    "onnx-int8",
    "onnx-int8-dynamic",
    "onnx-int8-weights",
]


@dataclass(frozen=True)
class Original:
    """A source, and what it answers according to TensorFlow alone.

    Attributes:
        given: what ``convert`` gets.
        inputs: real inputs by name.
        answers: to those, by output name.
        kind: as the provenance should tell.
    """

    given: Any
    inputs: Arrays
    answers: Arrays
    kind: str = "keras"


@dataclass(frozen=True)
class Converted:
    original: Original
    conversion: Conversion
    path: Path

    def model(self, variant: str) -> bytes:
        """The model file inside; of a Core ML package its specification."""
        with Artifact(self.path) as artifact:
            path = artifact.variant(variant).path
            package = f"{path}/Data/com.apple.CoreML/model.mlmodel"
            return artifact.read(package if variant.startswith("coreml") else path)


def in_memory(model: Any) -> Original:
    inputs = tiny_keras.inputs_of(model)
    return Original(model, inputs, tiny_keras.answers_of(model, inputs))


def in_a_file(folder: Path, suffix: str) -> Original:
    model = tiny_keras.classifier()
    path = folder / f"classifier{suffix}"
    with quiet():
        model.save(path)
    original = in_memory(model)
    return Original(path, original.inputs, original.answers)


def exported(folder: Path) -> Original:
    model = tiny_keras.two_by_two(dict)
    path = folder / "exported"
    with quiet():
        model.export(path, verbose=False)
    original = in_memory(model)
    return Original(path, original.inputs, original.answers, "savedmodel")


def with_a_signature_of_its_own(folder: Path) -> Original:
    """Not Keras: a module with a variable, and a signature that is not called serving_default."""
    tf = engine("tensorflow")
    weights = np.random.default_rng(5).normal(0, 0.5, (4, 3)).astype(np.float32)
    module = tf.Module()
    module.weights = tf.Variable(weights)

    def score(features: Any, bias: Any) -> dict[str, Any]:
        return {"scores": features @ module.weights + bias, "level": tf.tanh(features)}

    specs = [
        tf.TensorSpec([None, 4], tf.float32, name="features"),
        tf.TensorSpec([None, 3], tf.float32, name="bias"),
    ]
    module.score = tf.function(score, input_signature=specs, autograph=False)
    path = folder / "scorer"
    with quiet():
        tf.saved_model.save(module, str(path), signatures={"score": module.score})
    rng = np.random.default_rng(6)
    inputs = {
        "features": rng.random((48, 4)).astype(np.float32),
        "bias": rng.random((48, 3)).astype(np.float32),
    }
    answers = {
        "scores": inputs["features"] @ weights + inputs["bias"],
        "level": np.tanh(inputs["features"]),
    }
    return Original(path, inputs, answers, "savedmodel")


ORIGINALS: dict[str, Callable[[Path], Original]] = {
    "object": lambda folder: in_memory(tiny_keras.classifier()),
    "keras": lambda folder: in_a_file(folder, ".keras"),
    "h5": lambda folder: in_a_file(folder, ".h5"),
    "export": exported,
    "signature": with_a_signature_of_its_own,
    "sequential": lambda folder: in_memory(tiny_keras.sequential()),
    "lists": lambda folder: in_memory(tiny_keras.two_by_two(list)),
    "dicts": lambda folder: in_memory(tiny_keras.two_by_two(dict)),
    "integers": lambda folder: in_memory(tiny_keras.tokens()),
}


@pytest.fixture(scope="module", params=ORIGINALS)
def converted(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Converted:
    folder = tmp_path_factory.mktemp(request.param)
    original = ORIGINALS[request.param](folder)
    path = folder / "model-1.2.3.edge"
    conversion = convert(
        original.given,
        path,
        version="1.2.3",
        formats=FORMATS,
        recipes=RECIPES,
        calibrate=original.inputs,
    )
    return Converted(original, conversion, path)


def test_every_variant_is_made_and_proven(converted: Converted) -> None:
    report = converted.conversion.report
    assert [(v.id, v.status, v.reason) for v in report.variants] == [
        (variant, "converted", "") for variant in VARIANTS
    ]
    assert converted.conversion.passed
    assert report.provenance.source_format == converted.original.kind
    for variant in report.variants:
        assert variant.agreement is not None
        assert variant.agreement.samples == 48
        assert variant.agreement.unchecked_ops == ()


def test_the_signature_is_the_source_s(converted: Converted) -> None:
    signature = converted.conversion.report.signature
    inputs, answers = converted.original.inputs, converted.original.answers
    assert {t.name: t.dtype for t in signature.inputs} == {k: v.dtype for k, v in inputs.items()}
    assert {t.name: t.shape for t in signature.inputs} == {
        name: ("batch", *array.shape[1:]) for name, array in inputs.items()
    }
    assert {t.name: t.shape for t in signature.outputs} == {
        name: ("batch", *array.shape[1:]) for name, array in answers.items()
    }


def test_every_file_itself_has_the_source_s_names(converted: Converted) -> None:
    readers = {
        "tflite": raw_engines.tflite_names,
        "coreml": raw_engines.coreml_names,
        "onnx": raw_engines.onnx_names,
    }
    wanted = sorted(converted.original.inputs), sorted(converted.original.answers)
    for variant in VARIANTS:
        read = readers[variant.partition("-")[0]]
        assert read(converted.model(variant)) == wanted, variant


def test_the_numbers_in_the_report_are_true(converted: Converted) -> None:
    """Recomputed with the bare engines, against what TensorFlow answered outside all our code."""
    inputs, answers = converted.original.inputs, converted.original.answers
    reported = {v.id: v.agreement for v in converted.conversion.report.variants}
    for variant in (
        "tflite-fp32",
        "tflite-fp16",
        "tflite-int8",
        "tflite-int8-dynamic",
        "onnx-fp32",
    ):
        run = raw_engines.onnx if variant.startswith("onnx") else raw_engines.tflite
        found = run(converted.model(variant), inputs)
        gaps = {name: np.abs(found[name].astype(float) - answers[name]) for name in answers}
        agreement = reported[variant]
        assert agreement is not None
        largest = max(float(gap.max()) for gap in gaps.values())
        assert agreement.max_difference == pytest.approx(largest, rel=1e-3, abs=2e-6), variant
        mean = float(np.concatenate([gap.ravel() for gap in gaps.values()]).mean())
        assert agreement.mean_difference == pytest.approx(mean, rel=1e-3, abs=1e-6), variant
        if len(answers) == 1:
            ((name, wanted),) = answers.items()
            same = float(np.mean(found[name].argmax(axis=1) == wanted.argmax(axis=1)))
            assert agreement.argmax == same, variant


def test_golden_vectors_hold_what_the_original_answers(converted: Converted) -> None:
    with Artifact(converted.path) as artifact:
        golden = artifact.golden()
    assert golden is not None
    assert len(golden) == 16
    assert set(golden.tolerance) == set(VARIANTS)
    picked = [round(i * 47 / 15) for i in range(16)]
    for name, array in converted.original.inputs.items():
        np.testing.assert_array_equal(golden.inputs[name][:, 0], array[picked])
    for name, array in converted.original.answers.items():
        np.testing.assert_allclose(golden.outputs[name][:, 0], array[picked], rtol=1e-4, atol=1e-5)


def test_a_device_gets_the_answers_that_were_judged(converted: Converted) -> None:
    inputs = {name: array[:1] for name, array in converted.original.inputs.items()}
    for variant in VARIANTS:
        if variant.startswith("coreml"):
            continue
        run = raw_engines.onnx if variant.startswith("onnx") else raw_engines.tflite
        raw = run(converted.model(variant), inputs)
        with edge_sdk.load(converted.path, variant=variant) as session:
            answer = session.run(inputs)
        for name, array in answer.items():
            np.testing.assert_allclose(array, raw[name], rtol=1e-5, atol=1e-6, err_msg=variant)


def test_it_verifies(converted: Converted, edge: Any) -> None:
    done = edge("verify", converted.path)
    assert done.code == 0, done.out
    assert "10 of 13 variants proven on this machine" in done.out


def test_quantized_files_are_smaller(converted: Converted) -> None:
    """And so are what they are called: a recipe that did nothing must not pass for one."""
    models = {variant: converted.model(variant) for variant in VARIANTS}
    assert len(set(models.values())) == len(VARIANTS)

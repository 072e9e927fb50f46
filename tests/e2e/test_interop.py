"""What is in an artifact is what other people's tools take: its files, as they are extracted."""

from __future__ import annotations

from pathlib import Path

import coremltools as ct
import numpy as np
import onnx
import onnxruntime
import pytest
from coremltools.converters.mil.frontend.milproto import load as milproto

from converters import convert
from converters.identity import Identity
from converters.tflite.buffers import buffer_of
from converters.tflite.metadata import NAME, has_metadata, with_metadata
from edge_sdk import Artifact
from edge_sdk.runtime import load
from edge_sdk.spec import Classification, ImageInput
from examples.assets import asset
from tests import tiny_models
from tests.e2e import tiny_keras
from tests.e2e.conftest import Edge

DECLARED = Identity(
    name="tiny",
    version="1.0.0",
    labels=("a", "b", "c"),
    preprocess=ImageInput(input="image", size=(8, 8), channels="gray"),
    postprocess=Classification(output="probs"),
)


@pytest.fixture(scope="module")
def artifact(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("interop") / "tiny.edge"
    made = convert(
        tiny_keras.classifier(),
        out,
        formats=["tflite", "coreml", "onnx"],
        recipes=["fp32", "fp16", "int8-weights"],
        preprocess=DECLARED.preprocess,
        postprocess=DECLARED.postprocess,
        labels=DECLARED.labels,
    )
    assert made.passed, made.report
    return out


def files(path: Path, kind: str, folder: Path) -> dict[str, Path]:
    with Artifact(path) as opened:
        some = [v for v in opened.variants if v.format == kind]
        return {v.id: opened.extract(v, folder) for v in some}


def test_onnx_passes_the_checker_and_runs_in_plain_onnxruntime(
    artifact: Path, tmp_path: Path
) -> None:
    found = files(artifact, "onnx", tmp_path)
    assert found
    x = tiny_keras.inputs_of(tiny_keras.classifier(), 1)
    expected = tiny_keras.answers_of(tiny_keras.classifier(), x)["probs"]
    for variant, file in found.items():
        onnx.checker.check_model(str(file), full_check=True)
        session = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
        allowed = {"onnx-fp32": 1e-4, "onnx-fp16": 5e-3}.get(variant, 0.1)
        np.testing.assert_allclose(session.run(["probs"], x)[0], expected, atol=allowed)


def test_core_ml_packages_load_in_coremltools(artifact: Path, tmp_path: Path) -> None:
    found = files(artifact, "coreml", tmp_path)
    assert set(found) == {"coreml-fp32", "coreml-fp16", "coreml-int8-weights"}
    for package in found.values():
        model = ct.models.MLModel(str(package), skip_model_load=True)
        spec = model.get_spec()
        assert [feature.name for feature in spec.description.input] == ["image"]
        assert [feature.name for feature in spec.description.output] == ["probs"]
        program = milproto.load(
            spec,
            specification_version=spec.specificationVersion,
            file_weights_dir=model.weights_dir,
        )
        program.validate(check_essential_scope=True)
        assert program.functions["main"].operations


def test_every_tflite_says_what_it_is(artifact: Path, tmp_path: Path) -> None:
    found = files(artifact, "tflite", tmp_path)
    assert set(found) == {"tflite-fp32", "tflite-fp16", "tflite-int8-weights"}
    for file in found.values():
        said = buffer_of(file.read_bytes(), NAME)
        assert said is not None
        assert said[4:8] == b"M001"
        for word in (b"image", b"probs", b"labels.txt"):
            assert word in said


def test_the_same_model_gives_the_same_bytes() -> None:
    model = tiny_models.tflite_affine()
    once = with_metadata(model, DECLARED)
    assert once == with_metadata(model, DECLARED)
    assert not has_metadata(model)
    assert has_metadata(once)


def test_metadata_replace_older_metadata() -> None:
    once = with_metadata(tiny_models.tflite_affine(), DECLARED)
    other = Identity(name="other", version="1.0.0", labels=("x", "y", "z"))
    twice = with_metadata(once, other)
    said = buffer_of(twice, NAME)
    assert said is not None
    assert b"other" in said
    assert b"tiny" not in said
    assert twice.count(b"labels.txt") == once.count(b"labels.txt") == 2  # in the zip, twice
    assert b"x\ny\nz\n" in twice
    assert b"a\nb\nc\n" not in twice


@pytest.mark.parametrize(
    "name",
    ["selfie-segmentation", "face-detection-full-range", "face-detection-full-range-sparse"],
)
def test_weights_stay_aligned_and_answers_the_same(tmp_path: Path, name: str) -> None:
    source, described = asset(name), tmp_path / "described.tflite"
    described.write_bytes(with_metadata(source.read_bytes(), DECLARED))
    assert described.read_bytes().index(source.read_bytes()) % 64 == 0
    with load(source) as bare, load(described) as told:
        (tensor,) = bare.signature.inputs
        assert told.signature == bare.signature
        x = {tensor.name: np.random.default_rng(1).random(tensor.shape, np.float32)}  # type: ignore[arg-type]
        ours, theirs = told.run(x), bare.run(x)
    for output, array in theirs.items():
        np.testing.assert_array_equal(ours[output], array)


def test_metadata_is_for_wrapped_tflite_with_something_declared(edge: Edge, tmp_path: Path) -> None:
    (tmp_path / "m.tflite").write_bytes(tiny_models.tflite_affine())
    (tmp_path / "m.onnx").write_bytes(tiny_models.onnx_affine())
    for name, said in (("m.tflite", "Nothing is declared"), ("m.onnx", "is for a .tflite")):
        done = edge("convert", tmp_path / name, "-o", tmp_path / "m.edge", "--metadata")
        assert done.code == 2
        assert said in done.err
    assert not (tmp_path / "m.edge").exists()

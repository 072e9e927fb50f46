"""Labels: which output they are held against, and what is said when they cannot be right."""

from __future__ import annotations

import json

import numpy as np
import pytest
import tiny_keras
import tiny_models

import edge_sdk
from converters import convert
from converters.samples import read_samples
from edge_sdk.artifact import Artifact
from edge_sdk.errors import UsageError
from edge_sdk.pipeline import write_picture
from edge_sdk.spec import Classes, Classification, Signature, TensorSpec


def labelled(model, count=200):
    x = tiny_keras.inputs_of(model, count)["image"]
    return x, tiny_keras.answers_of(model, {"image": x})["probs"].argmax(axis=1)


def test_labels_without_postprocessing_make_a_classifier(tmp_path):
    out = tmp_path / "model.edge"
    convert(tiny_keras.classifier(), out, recipes=["fp32"], labels=["a", "b", "c"])
    with Artifact(out) as artifact:
        assert artifact.manifest.postprocess == Classification(output="probs")
    with edge_sdk.load(out) as session:
        answer = session.predict({"image": np.zeros((1, 8, 8, 1), np.float32)})
    assert isinstance(answer, Classes)
    assert answer.top[0].label in "abc"


def test_a_single_number_is_yes_or_no(tmp_path):
    model = tiny_keras.regressor()
    x = np.random.default_rng(7).normal(0, 2, (100, 4)).astype(np.float32)
    y = (tiny_keras.answers_of(model, {"x": x})["price"][:, 0] > 0.5).astype(int)
    assert 20 < y.sum() < 80
    y[:10] = 1 - y[:10]
    found = convert(model, tmp_path / "m.edge", recipes=["fp32"], evaluate={"x": x, "y": y})
    (variant,) = found.report.variants
    assert variant.agreement.accuracy == pytest.approx(0.9)
    with pytest.raises(UsageError, match="2 classes"):
        convert(model, tmp_path / "m.edge", evaluate={"x": x, "y": y + 1})


def test_labels_are_held_against_the_output_that_is_declared(tmp_path):
    def out(name, width):
        return TensorSpec(name=name, dtype="float32", shape=("batch", width))

    x = TensorSpec(name="x", dtype="float32", shape=("batch", 2))
    signature = Signature(inputs=(x,), outputs=(out("boxes", 4), out("classes", 10)))
    arrays = {"x": np.zeros((3, 2), np.float32), "y": np.array([0, 5, 9])}
    with pytest.raises(UsageError, match="'boxes', 'classes'") as caught:
        read_samples(arrays, signature)
    assert "[postprocess]" in caught.value.hint
    samples = read_samples(arrays, signature, postprocess=Classification(output="classes"))
    assert samples.labels.tolist() == [0, 5, 9]
    with pytest.raises(UsageError, match="4 classes"):
        read_samples(arrays, signature, postprocess=Classification(output="boxes"))


@pytest.mark.parametrize("turned", [0, 1])
def test_labels_in_another_order_are_noticed(edge, tmp_path, turned):
    model = tiny_keras.classifier()
    x, y = labelled(model)
    np.savez(tmp_path / "set.npz", x=x, y=(y + turned) % 3)
    path, out = tmp_path / "model.keras", tmp_path / "model.edge"
    with tiny_keras.quiet():
        model.save(path)
    words = ["convert", path, "-o", out, "--recipe", "fp32", "--evaluate", tmp_path / "set.npz"]
    done = edge(*words)
    assert done.code == 0
    assert ("no better than guessing among 3 classes" in done.out) == bool(turned)
    warnings = json.loads(edge(*words, "--json").out)["report"]["warnings"]
    assert len(warnings) == turned
    with Artifact(out) as artifact:
        assert ("no better than guessing" in artifact.read("report.html").decode()) == bool(turned)


def pictures(folder, names):
    rng = np.random.default_rng(3)
    for name in names:
        (folder / name).mkdir(parents=True)
        for at in range(3):
            picture = rng.integers(0, 255, (8, 8, 3), dtype=np.uint8)
            write_picture(folder / name / f"{at}.png", picture)
    return folder


SPEC = """[preprocess]
kind = "image"
input = "image"
size = [8, 8]
channels = "gray"
"""


def test_the_order_of_class_folders_is_said(tmp_path):
    from edge_sdk.processing import read_processing

    spec = tmp_path / "spec.toml"
    spec.write_text(SPEC)
    preprocess, _ = read_processing(spec)
    folder = pictures(tmp_path / "set", ["zebra", "ant", "cow"])
    options = {"recipes": ["fp32"], "evaluate": folder, "preprocess": preprocess}
    found = convert(tiny_keras.classifier(), tmp_path / "a.edge", **options)
    assert any("0 ant, 1 cow, 2 zebra" in warning for warning in found.report.warnings)
    names = ["zebra", "ant", "cow"]
    found = convert(tiny_keras.classifier(), tmp_path / "b.edge", labels=names, **options)
    assert not any("order of their names" in warning for warning in found.report.warnings)
    with pytest.raises(UsageError, match="that class 2 times"):
        convert(tiny_keras.classifier(), tmp_path / "c.edge", labels=["ant"] * 2 + ["cow"],
                **{**options, "evaluate": pictures(tmp_path / "two", ["ant", "cow"])})  # fmt: skip


def test_a_wrapped_model_is_measured_on_labels(edge, tmp_path):
    path = tmp_path / "model.TFLITE"
    path.write_bytes(tiny_models.tflite_affine())
    rng = np.random.default_rng(5)
    x = rng.normal(size=(50, 4)).astype(np.float32)
    with edge_sdk.load(path) as session:
        y = np.array([session.run({"x": row[None]})["y"].argmax() for row in x])
    y[:5] = (y[:5] + 1) % session.signature.outputs[0].shape[-1]
    np.savez(tmp_path / "set.npz", x=x, y=y)
    done = edge("convert", path, "-o", tmp_path / "m.edge", "--evaluate", tmp_path / "set.npz")
    assert done.code == 0, done.err
    assert "90.00%" in done.out
    with Artifact(tmp_path / "m.edge") as artifact:
        (variant,) = artifact.manifest.variants
    assert variant.agreement.accuracy == pytest.approx(0.9)
    refused = edge("convert", path, "-o", tmp_path / "n.edge", "--calibrate", tmp_path / "set.npz")
    assert refused.code == 2
    assert "--evaluate" in refused.err
    assert not (tmp_path / "n.edge").exists()


def test_many_rows_are_run_one_by_one(edge, tmp_path):
    out = tmp_path / "model with spaces.edge"
    convert(tiny_keras.regressor(), out, name="m", recipes=["fp32"])
    np.savez(tmp_path / "many.npz", x=np.random.default_rng(1).random((7, 4), np.float32))
    done = edge("run", out, tmp_path / "many.npz", "--json")
    assert done.code == 0, done.err
    assert json.loads(done.out)["frames"] == 7

"""What ``edge convert`` can be told, and the sources that are not ordinary."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny_keras
import tiny_models
from tiny_keras import Arrays

import edge_sdk
from converters import Conversion, convert
from converters.engines import engine, quiet
from edge_sdk.artifact import Artifact
from edge_sdk.pipeline import read_picture, write_picture
from edge_sdk.spec import Boxes, Classes
from examples.assets import asset

ROOT = Path(__file__).resolve().parents[2]
FACES = ROOT / "examples" / "face_detection"


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("saved") / "classifier.keras"
    with quiet():
        tiny_keras.classifier().save(path)
    return path


@pytest.fixture(scope="module")
def arrays(tmp_path_factory: pytest.TempPathFactory) -> Path:
    model = tiny_keras.classifier()
    x = tiny_keras.inputs_of(model, 40)["image"]
    y = tiny_keras.answers_of(model, {"image": x})["probs"].argmax(axis=1)
    y[:4] = (y[:4] + 1) % 3
    path = tmp_path_factory.mktemp("arrays") / "set.npz"
    np.savez(path, x=x, y=y)
    return path


# Wrapping


@pytest.mark.parametrize(
    ("suffix", "model"),
    [
        (".tflite", tiny_models.tflite_affine()),
        (".tflite", tiny_models.tflite_quantized()),
        (".tflite", tiny_models.tflite_sum()),
        (".onnx", tiny_models.onnx_affine()),
        (".onnx", tiny_models.onnx_affine(rows=-1)),
        (".onnx", tiny_models.onnx_quantized()),
    ],
)
def test_a_model_file_is_wrapped_byte_for_byte(edge, tmp_path, suffix, model):
    path, out = tmp_path / f"model{suffix}", tmp_path / "model.edge"
    path.write_bytes(model)
    done = edge("convert", path, "-o", out)
    assert done.code == 0, done.err
    with Artifact(out) as artifact:
        (variant,) = artifact.manifest.variants
        assert artifact.read(variant.path) == model
        assert variant.id == f"{suffix[1:]}-as-is"
        assert variant.agreement is None
        assert artifact.golden() is not None
    assert edge("verify", out).code == 0
    assert path.read_bytes() == model


def test_a_wrapped_model_answers_as_the_bare_one(tmp_path):
    (tmp_path / "m.tflite").write_bytes(tiny_models.tflite_affine())
    convert(tmp_path / "m.tflite", tmp_path / "m.edge")
    x = np.array([[1, 2, 3, 4]], np.float32)
    with edge_sdk.load(tmp_path / "m.edge") as session:
        np.testing.assert_allclose(session.run({"x": x})["y"], tiny_models.affine(x))


def test_a_file_that_is_wrapped_takes_no_calibration(edge, arrays, tmp_path):
    (tmp_path / "m.onnx").write_bytes(tiny_models.onnx_affine())
    for option in ([], ["--recipe", "as-is"]):
        words = ["-o", tmp_path / "m.edge", "--calibrate", arrays, *option]
        done = edge("convert", tmp_path / "m.onnx", *words)
        assert done.code == 2
        assert "is wrapped as it is" in done.err
        assert "--recipe int8" in done.err


def test_open_axes_of_a_wrapped_model_can_be_fixed(edge, tmp_path):
    (tmp_path / "m.onnx").write_bytes(tiny_models.onnx_affine(rows=-1))
    done = edge("convert", tmp_path / "m.onnx", "-o", tmp_path / "m.edge", "--input", "x:1x4")
    assert done.code == 0, done.err
    with Artifact(tmp_path / "m.edge") as artifact:
        assert artifact.manifest.signature.inputs[0].shape == (1, 4)
    done = edge("convert", tmp_path / "m.onnx", "-o", tmp_path / "m.edge", "--input", "z:1x4")
    assert done.code == 2
    assert "no input 'z'" in done.err


@pytest.mark.parametrize("golden", [[], ["--golden", "none"]])
def test_a_file_without_signatures_and_with_mediapipe_s_names(edge, tmp_path, golden):
    """MediaPipe's detector, with the processing that makes faces of its numbers."""
    source, out = asset("face-detection-short-range"), tmp_path / "faces-1.0.0.edge"
    declared = ["--preprocess", FACES / "face.toml", "--labels", FACES / "labels.txt"]
    done = edge("convert", source, "-o", out, *declared, *golden)
    assert done.code == 0, done.err
    assert edge("verify", out).code == 0
    with Artifact(out) as artifact:
        assert artifact.read(artifact.manifest.variants[0].path) == source.read_bytes()
        names = [tensor.name for tensor in artifact.manifest.signature.outputs]
        assert sorted(names) == ["classificators", "regressors"]
        assert (artifact.golden() is None) is bool(golden)
    photo = read_picture(next(iter(sorted(asset("photos").glob("*.jpg")))))
    with edge_sdk.load(out) as session, edge_sdk.load(source) as bare:
        assert isinstance(session.predict(photo), Boxes)
        x = {"input": np.random.default_rng(0).random((1, 128, 128, 3)).astype(np.float32)}
        for name, array in bare.run(x).items():
            np.testing.assert_array_equal(session.run(x)[name], array)


# Data


def test_evaluation_data_are_what_is_judged_on(edge, saved, arrays, tmp_path):
    out = tmp_path / "m.edge"
    done = edge("convert", saved, "-o", out, "--recipe", "fp32", "--evaluate", arrays, "--json")
    assert done.code == 0, done.err
    told = json.loads(done.out)
    (variant,) = told["report"]["variants"]
    agreement = variant["agreement"]
    assert (agreement["on"], agreement["samples"]) == ("evaluation", 40)
    assert agreement["accuracy"] == agreement["source_accuracy"] == 0.9
    assert told["passed"] is True
    assert told["size"] == out.stat().st_size
    assert told["digest"] == told["report"].get("digest", told["digest"])
    assert set(told["seconds"]) >= {"open the source", "make tflite-fp32", "pack the artifact"}
    with Artifact(out) as artifact:
        assert artifact.digest == told["digest"]
        assert artifact.manifest.provenance.evaluation_sha256 is not None


def test_without_data_it_says_that_noise_proves_little(edge, saved, tmp_path):
    done = edge("convert", saved, "-o", tmp_path / "m.edge", "--recipe", "fp32")
    assert done.code == 0
    assert "Judged on random numbers: give --evaluate DATA" in done.out


def test_progress_is_on_stderr_and_the_table_on_stdout(edge, saved, arrays, tmp_path):
    done = edge("convert", saved, "-o", tmp_path / "m.edge", "--calibrate", arrays)
    assert done.out.startswith("variant ")
    assert f"next: edge verify {tmp_path / 'm.edge'}" in done.out
    steps = [line.removesuffix(" …") for line in done.err.splitlines()]
    assert steps[:8] == [
        "open the source",
        "read the data",
        "check how the model is fed",
        "record the golden vectors",
        "make tflite-fp32",
        "make tflite-fp16",
        "make tflite-int8",
        "compare with the original on 40 samples",
    ]
    assert steps[-1] == "pack the artifact"


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Class folders of pictures twice as big as the input; names do not sort as the classes do."""
    folder = tmp_path_factory.mktemp("pictures")
    rng = np.random.default_rng(4)
    model = tiny_keras.classifier()
    names = ["zebra", "ant", "moth"]
    for i in range(24):
        small = rng.integers(0, 256, (8, 8, 1), np.uint8)
        answer = tiny_keras.answers_of(model, {"image": small[None].astype(np.float32) / 255})
        place = folder / names[int(answer["probs"].argmax())]
        place.mkdir(exist_ok=True)
        doubled = small.repeat(2, axis=0).repeat(2, axis=1).repeat(3, axis=2)
        write_picture(place / f"{i}.png", doubled)
    (folder.parent / "labels.txt").write_text("\n".join(names))
    (folder.parent / "spec.toml").write_text(
        '[preprocess]\ninput = "image"\nsize = [8, 8]\nchannels = "gray"\n'
        'interpolation = "nearest"\n[postprocess]\nkind = "classification"\noutput = "probs"\n'
    )
    return folder


def test_folders_of_pictures_prepared_as_declared(edge, saved, pictures, tmp_path):
    beside, out = pictures.parent, tmp_path / "m.edge"
    declared = ["--preprocess", beside / "spec.toml", "--labels", beside / "labels.txt"]
    judged = ["--recipe", "fp32", "--evaluate", pictures, "--json"]
    done = edge("convert", saved, "-o", out, *declared, *judged)
    assert done.code == 0, done.err
    (fp32,) = json.loads(done.out)["report"]["variants"]
    # Every picture lies in the folder of the class that the original takes it for.
    assert fp32["agreement"]["source_accuracy"] == fp32["agreement"]["accuracy"] == 1
    picture = next(iter(sorted((pictures / "moth").glob("*.png"))))
    with edge_sdk.load(out) as session:
        answer = session.predict(read_picture(picture))
    assert isinstance(answer, Classes)
    assert answer.top[0].label == "moth"


def test_a_plain_folder_to_calibrate_with(edge, saved, pictures, tmp_path):
    out = tmp_path / "m.edge"
    declared = ["--preprocess", pictures.parent / "spec.toml"]
    calibrated = ["--recipe", "int8", "--calibrate", pictures / "moth", "--json"]
    done = edge("convert", saved, "-o", out, *declared, *calibrated)
    assert done.code == 0, done.err
    (int8,) = json.loads(done.out)["report"]["variants"]
    assert int8["agreement"]["on"] == "calibration"
    assert int8["agreement"]["accuracy"] is None


def test_golden_vectors_of_one_s_own(edge, saved, tmp_path):
    x = np.random.default_rng(8).random((3, 8, 8, 1)).astype(np.float32)
    np.savez(tmp_path / "golden.npz", x=x)
    out = tmp_path / "m.edge"
    chosen = ["--recipe", "fp32", "--golden", tmp_path / "golden.npz"]
    assert edge("convert", saved, "-o", out, *chosen).code == 0
    with Artifact(out) as artifact:
        golden = artifact.golden()
    assert golden is not None
    np.testing.assert_array_equal(golden.inputs["image"][:, 0], x)
    assert edge("convert", saved, "-o", out, "--recipe", "fp32", "--golden", "none").code == 0
    with Artifact(out) as artifact:
        assert artifact.golden() is None
    assert edge("verify", out).code == 0


def test_name_version_and_description_travel(edge, saved, tmp_path):
    out = tmp_path / "flowers-2.1.0.edge"
    words = ["--version", "2.1.0", "--description", "Wild ones.", "--recipe", "fp32"]
    assert edge("convert", saved, "-o", out, *words).code == 0
    with Artifact(out) as artifact:
        manifest = artifact.manifest
    assert (manifest.name, manifest.version, manifest.description) == (
        "flowers",
        "2.1.0",
        "Wild ones.",
    )


# Sources that are not ordinary


def test_python_code_in_a_file_runs_only_for_who_trusts_it(edge, tmp_path):
    keras = tiny_keras.keras()
    x = keras.Input((4,), name="x")
    hidden = keras.layers.Lambda(lambda v: v * 2, name="twice")(x)
    model = tiny_keras.filled(keras.Model(x, keras.layers.Dense(2, name="y")(hidden)))
    for suffix in (".keras", ".h5"):
        path, out = tmp_path / f"m{suffix}", tmp_path / f"m{suffix}.edge"
        with quiet():
            model.save(path)
        done = edge("convert", path, "-o", out, "--name", "m", "--recipe", "fp32")
        assert done.code == 2
        assert "holds Python code (a Lambda layer)" in done.err
        assert "--trust-code" in done.err
        assert not out.exists()
        trusting = ["--name", "m", "--recipe", "fp32", "--trust-code"]
        assert edge("convert", path, "-o", out, *trusting).code == 0


def test_open_axes_need_lengths(edge, tmp_path):
    keras = tiny_keras.keras()
    x = keras.Input((None, None, 3), name="pic")
    mean = keras.layers.GlobalAveragePooling2D(name="mean")
    model = keras.Model(x, mean(keras.layers.Conv2D(2, 3, name="conv")(x)))
    path, out = tmp_path / "m.keras", tmp_path / "m.edge"
    with quiet():
        model.save(path)
    done = edge("convert", path, "-o", out)
    assert done.code == 2
    assert "has an axis without a length" in done.err
    assert "--input pic:1x320x320x3" in done.err
    assert edge("convert", path, "-o", out, "--input", "pic:1x12x10x3").code == 0
    with Artifact(out) as artifact:
        assert artifact.manifest.signature.inputs[0].shape == ("batch", 12, 10, 3)


def module(function: Any, *specs: tuple[str, list[int | None]]) -> Any:
    """A TensorFlow module with one function of float inputs, ready to be saved."""
    tf = engine("tensorflow")
    made = tf.Module()
    signature = [tf.TensorSpec(shape, tf.float32, name=name) for name, shape in specs]
    made.call = tf.function(function, input_signature=signature, autograph=False)
    return made


def save(made: Any, folder: Path) -> Path:
    with quiet():
        engine("tensorflow").saved_model.save(
            made, str(folder), signatures={"serving_default": made.call}
        )
    return folder


def converted(source: Any, folder: Path, data: Arrays | None = None, **options: Any) -> Conversion:
    options = {"formats": ["tflite", "coreml", "onnx"], "recipes": ["fp32"], **options}
    conversion = convert(source, folder / "m.edge", calibrate=data, **options)
    assert conversion.passed, [v.reason for v in conversion.report.variants]
    return conversion


def test_inputs_and_outputs_without_a_batch_axis(tmp_path, edge):
    """As audio models have them: a waveform in, frames and a number out."""
    tf = engine("tensorflow")

    def call(wave: Any) -> dict[str, Any]:
        return {"frames": tf.reshape(wave, [3, 5]) * 2, "loudness": tf.reduce_sum(wave)}

    source = save(module(call, ("wave", [15])), tmp_path / "audio")
    waves = np.random.default_rng(0).random((20, 15)).astype(np.float32)
    converted(source, tmp_path, {"x": waves})
    recipes = ["fp32", "int8"]  # in ONNX there is nothing here that int8 would change
    conversion = converted(
        source, tmp_path, {"x": waves}, formats=["tflite", "coreml"], recipes=recipes
    )
    assert [str(t) for t in conversion.report.signature.outputs] == [
        "frames: float32 3x5",
        "loudness: float32 scalar",
    ]
    assert edge("verify", tmp_path / "m.edge").code == 0
    with edge_sdk.load(tmp_path / "m.edge", variant="tflite-fp32") as session:
        answer = session.run({"wave": waves[3]})
    np.testing.assert_allclose(answer["frames"], waves[3].reshape(3, 5) * 2)
    np.testing.assert_allclose(answer["loudness"], waves[3].sum(), rtol=1e-6)


def test_a_model_that_mixes_samples_is_judged_one_sample_at_a_time(tmp_path):
    """On a device each comes alone: there a softmax over the batch is 1, whatever it is here."""
    tf = engine("tensorflow")
    source = save(
        module(lambda x: {"y": tf.nn.softmax(x, axis=0) + x}, ("x", [None, 4])), tmp_path / "mixed"
    )
    x = np.random.default_rng(0).random((20, 4)).astype(np.float32)
    converted(source, tmp_path, {"x": x})
    with Artifact(tmp_path / "m.edge") as artifact:
        golden = artifact.golden()
    assert golden is not None
    np.testing.assert_allclose(golden.outputs["y"], 1 + golden.inputs["x"], rtol=1e-6)


def test_recurrent_layers_keep_their_loops_but_in_core_ml(tmp_path):
    keras = tiny_keras.keras()
    x = keras.Input((5, 3), name="x")
    model = tiny_keras.filled(keras.Model(x, keras.layers.LSTM(4, name="lstm")(x)))
    formats, recipes = ["tflite", "coreml", "onnx"], ["fp32", "fp16", "int8-weights"]
    converted(model, tmp_path, tiny_keras.inputs_of(model), formats=formats, recipes=recipes)
    assert not model.get_layer("lstm").unroll  # the model is as it was


def test_names_that_are_no_words_of_python(tmp_path):
    tf = engine("tensorflow")
    source = save(
        module(
            lambda x, y: {"10": x - y, "2": tf.tanh(x)}, ("lambda_1", [None, 4]), ("b", [None, 4])
        ),
        tmp_path / "named",
    )
    conversion = converted(source, tmp_path, formats=["tflite", "onnx"])
    assert [t.name for t in conversion.report.signature.outputs] == ["10", "2"]


def test_a_name_that_core_ml_cannot_have_is_kept_beside_the_one_it_gets(tmp_path):
    keras = tiny_keras.keras()
    x = keras.Input((4,), name="state")
    model = keras.Model(x, keras.layers.Dense(2, name="x.y")(x))
    conversion = convert(model, tmp_path / "m.edge", formats=["coreml"], recipes=["fp32"])
    assert conversion.passed
    with Artifact(tmp_path / "m.edge") as artifact:
        (variant,) = artifact.manifest.variants
        (program,) = (n for n in artifact.manifest.files if n.endswith("model.mlmodel"))
        content = artifact.read(program)
    assert [t.name for t in variant.signature.inputs + variant.signature.outputs] == [
        "state",
        "x.y",
    ]
    assert (
        b'{"state_":{"name":"state","scalar":false},"x_y":{"name":"x.y","scalar":false}}' in content
    )


def test_twelve_outputs_keep_their_names(tmp_path):
    """Where the order of names and the order of tensors are not the same."""
    keras = tiny_keras.keras()
    x = keras.Input((4,), name="x")
    names = ["Identity", *(f"Identity_{i}" for i in range(1, 12))]
    heads = {name: keras.layers.Dense(2, name=name)(x) for name in names}
    model = tiny_keras.filled(keras.Model(x, heads))
    converted(model, tmp_path, tiny_keras.inputs_of(model))
    x1 = {"x": tiny_keras.inputs_of(model, 1)["x"]}
    wanted = tiny_keras.answers_of(model, x1)
    for variant in ("tflite-fp32", "onnx-fp32"):
        with edge_sdk.load(tmp_path / "m.edge", variant=variant) as session:
            answer = session.run(x1)
        for name in names:
            np.testing.assert_allclose(answer[name], wanted[name], rtol=1e-5)


@pytest.mark.parametrize(
    ("source", "said"),
    [(None, "type NoneType is not a model"), ({}, "type dict is not"), (3, "type int is not")],
)
def test_objects_that_are_no_models(tmp_path, source, said):
    with pytest.raises(edge_sdk.errors.UsageError, match=said):
        convert(source, tmp_path / "m.edge")


# The same contents give the same bytes

DETERMINED = """
import sys
import numpy
from converters import convert
# Without the labels: of 40 samples one that changes its class is more than the limits allow.
x = numpy.load(sys.argv[3])["x"]
convert(
    sys.argv[1], sys.argv[2], name="m", formats=["tflite", "coreml", "onnx"],
    recipes=["fp32", "fp16", "int8", "int8-dynamic", "int8-weights"], calibrate={"x": x},
    latency=False,
)
"""


def differing(first: Path, second: Path) -> list[str]:
    with zipfile.ZipFile(first) as one, zipfile.ZipFile(second) as other:
        assert one.namelist() == other.namelist()
        return [name for name in one.namelist() if one.read(name) != other.read(name)]


def test_two_processes_write_the_same_bytes(saved, arrays, tmp_path):
    outs = [tmp_path / "one.edge", tmp_path / "two.edge"]
    running = [
        subprocess.Popen(
            [sys.executable, "-c", DETERMINED, saved, out, arrays],
            env={**os.environ, "PYTHONHASHSEED": seed},
            cwd=ROOT,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        for out, seed in zip(outs, ("1", "2"), strict=True)
    ]
    assert [process.wait() for process in running] == [0, 0]
    assert differing(*outs) == []
    assert outs[0].read_bytes() == outs[1].read_bytes()


def test_one_process_writes_the_same_bytes_again(saved, arrays, tmp_path):
    outs = [tmp_path / "one.edge", tmp_path / "two.edge"]
    for out in outs:
        converted(saved, tmp_path, name="m", evaluate=arrays, latency=False)
        (tmp_path / "m.edge").rename(out)
    assert differing(*outs) == []
    assert outs[0].read_bytes() == outs[1].read_bytes()
    # Times are another matter, and stay outside of the digest.
    timed = converted(saved, tmp_path, name="m", evaluate=arrays)
    with Artifact(outs[0]) as untimed:
        assert timed.digest == untimed.digest
    assert differing(outs[0], tmp_path / "m.edge") == ["report.html", "report.json"]
    measured = {v.id: v.latency for v in timed.report.variants}
    assert measured["coreml-fp32"] is None  # nothing on this machine runs it
    for name in ("tflite-fp32", "onnx-fp32"):
        assert measured[name].p50_ms > 0
        assert measured[name].calls >= 2

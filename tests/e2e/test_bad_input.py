"""Bad input to ``edge convert``, ``run`` and ``bench``: what a person gets told, and what is left.

Every refusal here is checked for the right exit code, for words that say what and where, for a next
step, for the absence of a traceback, and for leaving nothing behind: no output, no part of one, no
temporary folder.
"""

from __future__ import annotations

import pickle
import shutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny_keras
import tiny_models

from converters.engines import engine, quiet
from edge_sdk.pipeline import write_picture

Refuse = Callable[..., str]


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Good models in every format that can be spoilt."""
    folder = tmp_path_factory.mktemp("models")
    model = tiny_keras.classifier()
    with quiet():
        model.save(folder / "good.keras")
        model.save(folder / "good.h5")
        model.save_weights(folder / "only.weights.h5")
        model.export(folder / "good", verbose=False)
    (folder / "good.tflite").write_bytes(tiny_models.tflite_affine())
    (folder / "good.onnx").write_bytes(tiny_models.onnx_affine())
    return folder


@pytest.fixture
def place(tmp_path: Path, models: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to be in, with a good model and data for it."""
    place = tmp_path / "place"
    shutil.copytree(models, place)
    x = tiny_keras.inputs_of(tiny_keras.classifier(), 8)["image"]
    np.savez(place / "set.npz", x=x)
    monkeypatch.chdir(place)
    return place


@pytest.fixture
def refuse(edge: Any, place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Refuse:
    """``refuse(words …)``: the command line must fail, properly; answers what it said."""
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))

    def refuse(*words: object, code: int = 2) -> str:
        before = {path: _bytes(path) for path in place.rglob("*")}
        done = edge(*words)
        assert done.code == code, done.err
        assert "Traceback" not in done.err
        assert done.out == ""
        last = done.err[done.err.index("edge: ") :]
        assert len(last.splitlines()) >= 2, f"no next step: {last}"
        assert {path: _bytes(path) for path in place.rglob("*")} == before
        assert list(temporary.iterdir()) == []
        return last

    return refuse


def _bytes(path: Path) -> bytes | None:
    return path.read_bytes() if path.is_file() else None


CONVERT = ("convert", "good.keras", "-o", "out.edge")


# The source


def test_no_such_file(refuse):
    assert "There is no nowhere.keras." in refuse("convert", "nowhere.keras", "-o", "out.edge")


@pytest.mark.parametrize("name", ["m.keras", "m.h5", "m.hdf5", "m.tflite", "m.onnx"])
def test_an_empty_file(refuse, place, name):
    (place / name).touch()
    assert f"{name} is empty." in refuse("convert", name, "-o", "out.edge")


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("m.keras", "m.keras is not a .keras file"),
        ("m.h5", "m.h5 is not an HDF5 file"),
        ("m.tflite", "m.tflite: This is not a TFLite model"),
        ("m.onnx", "m.onnx: This is not an ONNX model"),
        ("m.txt", "m.txt is not a model that edgeloop reads"),
        ("m", "m is not a model that edgeloop reads"),
    ],
)
def test_a_text_file_by_another_name(refuse, place, name, said):
    (place / name).write_text("The quick brown fox jumps over the lazy dog.\n" * 40)
    assert said in refuse("convert", name, "-o", "out.edge")


@pytest.mark.parametrize("name", ["good.keras", "good.h5", "good.tflite", "good.onnx"])
@pytest.mark.parametrize("keep", [0.01, 0.5, 0.9, -1])
def test_a_file_cut_short(refuse, place, name, keep):
    whole = (place / name).read_bytes()
    (place / name).write_bytes(whole[: int(keep * len(whole)) if keep > 0 else keep])
    assert name in refuse("convert", name, "-o", "out.edge")


@pytest.mark.parametrize(
    ("given", "called", "said"),
    [
        ("good.keras", "m.h5", "It is a zip: call it m.keras."),
        ("good.h5", "m.keras", "It is HDF5: call it m.h5."),
        ("good.tflite", "m.onnx", "is not an ONNX model"),
        ("good.onnx", "m.tflite", "is not a TFLite model"),
        ("good.tflite", "m.keras", "is not a .keras file"),
    ],
)
def test_a_model_called_as_another_format(refuse, place, given, called, said):
    (place / given).rename(place / called)
    assert said in refuse("convert", called, "-o", "out.edge")


def test_a_damaged_member_of_a_keras_file(refuse, place):
    data = bytearray((place / "good.keras").read_bytes())
    data[len(data) // 2] ^= 0xFF
    (place / "good.keras").write_bytes(data)
    assert "Loading good.keras failed" in refuse(*CONVERT)


def test_weights_without_a_model(refuse):
    said = refuse("convert", "only.weights.h5", "-o", "out.edge")
    assert "holds weights and no model" in said
    assert "model.save('model.keras')" in said


def test_a_folder_that_is_no_saved_model(refuse, place):
    (place / "folder").mkdir()
    assert "it has no saved_model.pb" in refuse("convert", "folder", "-o", "out.edge")


@pytest.mark.parametrize(
    "part",
    ["saved_model.pb", "variables/variables.index", "variables/variables.data-00000-of-00001"],
)
@pytest.mark.parametrize("damage", ["cut", "gone"])
def test_a_saved_model_that_is_not_whole(refuse, place, part, damage):
    (path,) = (place / "good").glob(part)
    if damage == "gone":
        path.unlink()
    else:
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    assert "good" in refuse("convert", "good", "-o", "out.edge")


def test_a_saved_model_without_a_signature(refuse, place):
    tf = engine("tensorflow")
    with quiet():
        tf.saved_model.save(tf.Module(), str(place / "bare"))
    assert "has no signature that could be called" in refuse("convert", "bare", "-o", "out.edge")


def test_a_saved_model_with_several_signatures_and_no_default(refuse, place):
    tf = engine("tensorflow")
    module = tf.Module()
    spec = [tf.TensorSpec([None, 2], tf.float32, name="x")]
    module.a = tf.function(lambda x: {"y": x + 1}, input_signature=spec, autograph=False)
    with quiet():
        signatures = {"first": module.a, "second": module.a}
        tf.saved_model.save(module, str(place / "both"), signatures=signatures)
    said = refuse("convert", "both", "-o", "out.edge")
    assert "has the signatures first, second" in said


@pytest.mark.parametrize(
    ("extra", "formats"),
    [
        ("keras", "tflite"),
        ("coremltools", "tflite,coreml"),
        ("tf2onnx", "tflite,onnx"),
        ("onnx", "tflite,onnx"),
        ("litert_quantizer", "tflite"),
    ],
)
def test_an_engine_that_is_not_installed(refuse, monkeypatch, extra, formats):
    monkeypatch.setitem(sys.modules, extra, None)
    asked = ["--formats", formats, "--recipe", "fp32,int8-weights"]
    said = refuse(*CONVERT, *asked, code=3)
    assert f"This needs {extra}, which is not usable here" in said
    assert "pip install 'edgeloop[convert]'" in said


@pytest.mark.parametrize(
    ("modules", "source", "hint"),
    [
        (
            ("ai_edge_litert.interpreter", "tflite_runtime", "tensorflow"),
            "good.tflite",
            "pip install 'edgeloop[litert]'",
        ),
        (("onnxruntime",), "good.onnx", "pip install 'edgeloop[onnx]'"),
    ],
)
def test_a_runtime_that_is_not_installed(refuse, monkeypatch, modules, source, hint):
    for module in modules:
        monkeypatch.setitem(sys.modules, module, None)
    assert hint in refuse("convert", source, "-o", "out.edge", code=3)


def test_a_model_that_never_said_what_goes_in(refuse, place):
    keras = tiny_keras.keras()
    with quiet():
        keras.Sequential([keras.layers.Dense(2)]).save(place / "vague.keras")
    assert "does not say what its inputs are" in refuse("convert", "vague.keras", "-o", "out.edge")


def test_a_model_of_text(refuse, place):
    tf = engine("tensorflow")
    module = tf.Module()
    spec = [tf.TensorSpec([None], tf.string, name="text")]
    module.a = tf.function(
        lambda text: {"n": tf.strings.length(text)}, input_signature=spec, autograph=False
    )
    with quiet():
        tf.saved_model.save(module, str(place / "text"), signatures=module.a)
    assert "text: string batch holds no numbers" in refuse("convert", "text", "-o", "out.edge")


def test_an_artifact_is_no_source(refuse, place):
    (place / "m.edge").write_bytes(b"PK")
    said = refuse("convert", "m.edge", "-o", "out.edge")
    assert "m.edge is an artifact already" in said
    assert "edge inspect m.edge" in said


# The output


def test_an_output_folder_that_is_missing(refuse):
    said = refuse("convert", "good.keras", "-o", "nowhere/out.edge")
    assert "nowhere/out.edge cannot be written: No such file or directory" in said


@pytest.mark.parametrize("folder", ["good.keras", "/proc/self"])
def test_an_output_folder_that_takes_no_files(refuse, folder):
    assert "cannot be written" in refuse("convert", "good.keras", "-o", f"{folder}/out.edge")


def test_an_output_that_is_a_folder(refuse, place):
    (place / "out.edge").mkdir()
    said = refuse(*CONVERT)
    assert "out.edge is a folder." in said
    assert "out.edge/model.edge" in said


@pytest.mark.parametrize(
    ("output", "hint"),
    [
        ("out.zip", "Call it out.edge."),
        ("out", "Call it out.edge."),
        ("", "Call it model.edge."),
        (".", "Call it model.edge."),
        ("..", "Call it model.edge."),
        ("/", "Call it model.edge."),
        ("/dev/null", "Call it /dev/null.edge."),
    ],
)
def test_an_output_that_is_not_called_edge(refuse, output, hint):
    said = refuse("convert", "good.keras", "-o", output)
    assert "is not a name for an artifact" in said
    assert hint in said


def test_without_an_output(refuse):
    assert "required: -o/--output" in refuse("convert", "good.keras")


@pytest.mark.parametrize("version", ["1.0", "v1.0.0", "1.0.0.0", "01.0.0", "1.0.0\n", "latest", ""])
def test_a_version_that_is_none(refuse, version):
    assert "--version 1.2.0" in refuse(*CONVERT, "--version", version)


@pytest.mark.parametrize("name", ["Flowers", "my flowers", "-flowers", "blümchen", "a/b", "a" * 64])
def test_a_name_that_is_none(refuse, name):
    assert "is not a name for an artifact" in refuse(*CONVERT, f"--name={name}")


def test_a_file_name_that_gives_no_name(refuse):
    assert "--name flowers" in refuse("convert", "good.keras", "-o", "My Model.edge")


# Recipes, formats, shapes


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--recipe", "int9"], "Did you mean 'int8'?"),
        (["--formats", "tflight"], "Did you mean 'tflite'?"),
        (["--recipe", "int8"], "--calibrate FOLDER|FILE.npz|MODULE:FUNCTION"),
        (["--formats", "onnx", "--recipe", "palette4"], "add --formats coreml"),
        (["--recipes", "int8"], "Unrecognized arguments: --recipes"),
        (["--input", "image"], "is not NAME:SHAPE"),
        (["--input", "image:0x8x8x1"], "is not NAME:SHAPE"),
        (["--input", "image=1x8x8x1"], "is not NAME:SHAPE"),
        (["--input", "imag:1x8x8x1"], "Did you mean 'image'?"),
        (["--input", "image:8x8x1"], "does not fit image: float32 batchx8x8x1"),
        (["--input", "image:1x9x8x1"], "does not fit image: float32 batchx8x8x1"),
    ],
)
def test_what_cannot_be_asked_for(refuse, options, said):
    assert said in refuse(*CONVERT, *options)


# Data

X = np.ones((6, 8, 8, 1), np.float32)


@pytest.mark.parametrize("option", ["--calibrate", "--evaluate", "--golden"])
@pytest.mark.parametrize(
    ("arrays", "said"),
    [
        ({"x": X.reshape(6, 64)}, "image has shape 6x64; Nx8x8x1 is needed"),
        ({"x": X[0]}, "image has shape 8x8x1; Nx8x8x1 is needed"),
        ({"x": X.astype(np.uint8)}, "image has dtype uint8; the model takes float32"),
        ({"x": X[:0]}, "is empty"),
        ({"x": np.full_like(X, np.nan)}, "holds NaN or infinity"),
        ({"picture": X}, "the model's inputs are ['image']"),
        ({}, "holds nothing"),
    ],
)
def test_a_set_that_does_not_fit_the_model(refuse, place, option, arrays, said):
    np.savez(place / "bad.npz", **arrays)
    told = refuse(*CONVERT, option, "bad.npz")
    assert said in told
    assert "bad.npz" in told


@pytest.mark.parametrize(
    ("y", "said"),
    [
        (np.zeros(5, int), "y is int64 of shape 5; there are 6 samples"),
        (np.full(6, 3), "y goes from 3 to 3, but there are 3 classes"),
        (np.full(6, -1), "y goes from -1 to -1, but there are 3 classes"),
        (np.zeros(6), "y is float64"),
        (np.eye(3)[np.zeros(6, int)], "y.argmax(axis=1)"),
    ],
)
def test_evaluation_labels_that_do_not_fit(refuse, place, y, said):
    np.savez(place / "bad.npz", x=X, y=y)
    assert said in refuse(*CONVERT, "--evaluate", "bad.npz")


@pytest.mark.parametrize("data", [b"", b"no zip at all", b"PK\3\4 cut short"])
def test_a_set_that_is_no_npz(refuse, place, data):
    (place / "bad.npz").write_bytes(data)
    assert "bad.npz is not a readable .npz" in refuse(*CONVERT, "--calibrate", "bad.npz")


def test_a_set_of_pickles(refuse, place):
    np.savez(place / "bad.npz", x=np.array([{}, None], object))
    assert "allow_pickle=False" in refuse(*CONVERT, "--calibrate", "bad.npz")
    (place / "bad.npz").write_bytes(pickle.dumps({"x": X}))
    assert "is not a readable .npz" in refuse(*CONVERT, "--calibrate", "bad.npz")


@pytest.mark.parametrize("data", ["nowhere.npz", "nowhere", "nowhere:ready", "good.keras"])
def test_a_set_that_is_not_there(refuse, data):
    assert data.partition(":")[0] in refuse(*CONVERT, "--calibrate", data)


def test_a_folder_of_pictures_without_a_word_on_their_preparation(refuse, place):
    (place / "pictures").mkdir()
    write_picture(place / "pictures" / "a.png", np.zeros((8, 8, 3), np.uint8))
    assert "--preprocess SPEC.toml" in refuse(*CONVERT, "--calibrate", "pictures")


PREPROCESS = '[preprocess]\ninput = "image"\nsize = [8, 8]\nchannels = "gray"\n'


def test_a_folder_without_pictures_and_one_with_a_broken_one(refuse, place):
    (place / "spec.toml").write_text(PREPROCESS)
    (place / "pictures").mkdir()
    prepared = (*CONVERT, "--preprocess", "spec.toml")
    assert "no pictures in the folder pictures" in refuse(*prepared, "--evaluate", "pictures")
    (place / "pictures" / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    assert "a.png is not a whole picture" in refuse(*prepared, "--evaluate", "pictures")


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        (PREPROCESS + "men = [1.0]\n", "Did you mean 'mean'?"),
        (PREPROCESS.replace("image", "imag"), "Did you mean 'image'?"),
        (PREPROCESS.replace("[8, 8]", "[9, 8]"), "the model wants image: float32 batchx8x8x1"),
        ('[postprocess]\nkind = "classification"\noutput = "prob"\n', "Did you mean 'probs'?"),
        ("[preprocess\n", "is not TOML"),
        ("", "declares nothing"),
    ],
)
def test_a_declaration_that_does_not_fit(refuse, place, spec, said):
    (place / "spec.toml").write_text(spec)
    assert said in refuse(*CONVERT, "--preprocess", "spec.toml")


@pytest.mark.parametrize(
    ("labels", "said"),
    [
        ("a\nb\n", "There are 2 labels for 3 classes"),
        ("a\nb\nc\nd\n", "There are 4 labels for 3 classes"),
        ("", "labels.txt holds no labels"),
        ("a\n\nc\n", "Line 2 of labels.txt is blank"),
    ],
)
def test_labels_of_another_count(refuse, place, labels, said):
    (place / "labels.txt").write_text(labels)
    assert said in refuse(*CONVERT, "--labels", "labels.txt")


def test_files_that_are_not_there(refuse):
    for option in ("--labels", "--preprocess"):
        said = refuse(*CONVERT, option, "nowhere.txt")
        assert "nowhere.txt cannot be read: No such file or directory" in said


# Running


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["run", "good.tflite", "x.npy", "--delegate", "xnpack"], "Did you mean 'xnnpack'?"),
        (["bench", "good.tflite", "--delegate", "gpuu"], "Did you mean 'gpu'?"),
        (["run", "good.tflite", "x.npy", "--backend", "litter"], "Did you mean 'litert'?"),
        (["bench", "good.tflite", "--backend", "onxruntime"], "Did you mean 'onnxruntime'?"),
        (["run", "good.tflite", "x.npy", "--variant", "tflite-int8"], "has no variants"),
        (["run", "good.edge", "x.npy", "--variant", "tflite-fp23"], "no variant 'tflite-fp23'"),
        (["bench", "good.edge", "--variant", "tflite-as"], "Did you mean 'tflite-as-is'?"),
        (["converts", "good.keras"], "Did you mean 'convert'?"),
    ],
)
def test_wrong_names_get_the_nearest_right_one(refuse, edge, place, words, said):
    assert edge("convert", "good.tflite", "-o", "good.edge").code == 0
    np.save(place / "x.npy", np.ones((1, 4), np.float32))
    assert said in refuse(*words)

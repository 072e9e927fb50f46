"""Broken and awkward models, each made by one function into a folder; what is wrong is its name.

None is larger than a few hundred kilobytes on disk, whatever it claims to be.
"""

from __future__ import annotations

import json
import os
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import tiny_models
from onnx import TensorProto, helper, numpy_helper

from converters.engines import engine, quiet

FLOAT = TensorProto.FLOAT
MARK = "was-executed"
"""The file that a model would leave beside itself if code of its own were run."""

Builder = Callable[[Path], Path]
MODELS: dict[str, Builder] = {}


def awkward(build: Builder) -> Builder:
    """Enter a builder under its name, underscores as spaces."""
    MODELS[build.__name__.replace("_", " ")] = build
    return build


class _Executes:
    """Unpickled, it leaves a mark."""

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (f"touch {MARK}",)


# Files that are not whole


@awkward
def a_keras_file_cut_short(folder: Path) -> Path:
    return _cut(_keras(folder))


@awkward
def an_h5_file_cut_short(folder: Path) -> Path:
    return _cut(_keras(folder, "m.h5"))


@awkward
def a_tflite_file_cut_short(folder: Path) -> Path:
    return _cut(_written(folder / "m.tflite", tiny_models.tflite_affine()))


@awkward
def an_onnx_file_cut_short(folder: Path) -> Path:
    return _cut(_written(folder / "m.onnx", tiny_models.onnx_affine()))


@awkward
def a_saved_model_cut_short(folder: Path) -> Path:
    model = _saved_model(folder, lambda x: {"y": x + 1.0})
    _cut(model / "saved_model.pb")
    return model


@awkward
def a_tflite_file_that_points_beyond_its_end(folder: Path) -> Path:
    data = bytearray(tiny_models.tflite_affine())
    data[0:4] = (len(data) + 4096).to_bytes(4, "little")
    return _written(folder / "m.tflite", bytes(data))


@awkward
def a_tflite_file_with_noise_inside(folder: Path) -> Path:
    data = bytearray(tiny_models.tflite_affine())
    middle = len(data) // 2
    data[middle : middle + 64] = b"\xff" * 64
    return _written(folder / "m.tflite", bytes(data))


# Code, and reaching beyond the model


@awkward
def a_pickle_called_keras(folder: Path) -> Path:
    return _written(folder / "m.keras", pickle.dumps(_Executes()))


@awkward
def a_pickle_called_h5(folder: Path) -> Path:
    return _written(folder / "m.h5", pickle.dumps(_Executes()))


@awkward
def a_pickle(folder: Path) -> Path:
    return _written(folder / "m.pkl", pickle.dumps(_Executes()))


@awkward
def a_lambda_layer(folder: Path) -> Path:
    keras = engine("keras")
    x = keras.Input((4,), name="x")
    y = keras.layers.Lambda(lambda v: (open(MARK, "w").close(), v)[1])(x)  # noqa: PTH123
    model = keras.Model(x, y)
    Path(MARK).unlink(missing_ok=True)  # building it called it
    return _saved(model, folder / "m.keras")


@awkward
def a_saved_model_that_reads_files(folder: Path) -> Path:
    tf = engine("tensorflow")

    def read(x: Any) -> Any:
        return {"y": x + tf.cast(tf.strings.length(tf.io.read_file("/etc/hostname")), x.dtype)}

    return _saved_model(folder, read)


@awkward
def a_saved_model_that_calls_python(folder: Path) -> Path:
    tf = engine("tensorflow")
    return _saved_model(
        folder, lambda x: {"y": tf.ensure_shape(tf.py_function(lambda v: v, [x], x.dtype), x.shape)}
    )


@awkward
def weights_in_a_file_elsewhere(folder: Path) -> Path:
    return _external(folder, "../../../../../../etc/hostname")


@awkward
def weights_in_a_file_that_is_missing(folder: Path) -> Path:
    return _external(folder, "weights.bin")


# Bombs


@awkward
def an_archive_bomb_of_weights(folder: Path) -> Path:
    return _bomb(_keras(folder), "model.weights.h5")


@awkward
def an_archive_bomb_of_a_config(folder: Path) -> Path:
    return _bomb(_keras(folder), "config.json")


@awkward
def a_huge_constant_made_when_run(folder: Path) -> Path:
    """80 GB of zeros out of 20 bytes."""
    return _onnx(
        folder,
        [
            helper.make_node("ConstantOfShape", ["shape"], ["zeros"]),
            helper.make_node("ReduceSum", ["zeros"], ["sum"], keepdims=0),
            helper.make_node("Add", ["x", "sum"], ["y"]),
        ],
        constants={"shape": np.array([200_000, 100_000], np.int64)},
    )


# Numbers and shapes


@awkward
def nan_among_the_weights_of_keras(folder: Path) -> Path:
    keras = engine("keras")
    model = keras.Sequential([keras.Input((4,), name="x"), keras.layers.Dense(3, name="y")])
    model.set_weights([np.full(w.shape, np.nan) for w in model.get_weights()])
    return _saved(model, folder / "m.keras")


@awkward
def nan_among_the_weights_of_onnx(folder: Path) -> Path:
    weights = np.full((4, 3), np.nan, np.float32)
    return _onnx(folder, [helper.make_node("MatMul", ["x", "w"], ["y"])], {"w": weights})


@awkward
def an_input_of_no_numbers(folder: Path) -> Path:
    node = helper.make_node("Identity", ["x"], ["y"])
    return _onnx(folder, [node], shape=(1, 0), out=(1, 0))


@awkward
def a_keras_input_of_no_numbers(folder: Path) -> Path:
    keras = engine("keras")
    x = keras.Input((0, 4), name="x")
    return _saved(keras.Model(x, keras.layers.ReLU(name="y")(x)), folder / "m.keras")


@awkward
def an_input_of_text(folder: Path) -> Path:
    node = helper.make_node("Identity", ["x"], ["y"])
    return _onnx(folder, [node], dtype=TensorProto.STRING)


@awkward
def an_input_of_bfloat16(folder: Path) -> Path:
    node = helper.make_node("Identity", ["x"], ["y"])
    return _onnx(folder, [node], dtype=TensorProto.BFLOAT16)


@awkward
def weights_of_another_type_than_they_meet(folder: Path) -> Path:
    node = helper.make_node("MatMul", ["x", "w"], ["y"])
    return _onnx(folder, [node], {"w": np.ones((4, 4), np.int64)})


@awkward
def open_axes(folder: Path) -> Path:
    keras = engine("keras")
    x = keras.Input((None, None, 3), name="x")
    return _saved(keras.Model(x, keras.layers.Conv2D(2, 3, name="y")(x)), folder / "m.keras")


# Graphs


@awkward
def a_graph_that_goes_round(folder: Path) -> Path:
    return _onnx(
        folder,
        [
            helper.make_node("Add", ["x", "b"], ["a"]),
            helper.make_node("Add", ["a", "x"], ["b"]),
            helper.make_node("Add", ["a", "b"], ["y"]),
        ],
    )


@awkward
def a_function_that_calls_itself(folder: Path) -> Path:
    path = _onnx(folder, [helper.make_node("Again", ["x"], ["y"], domain="tests")])
    model = onnx.load(path)
    function = helper.make_function(
        "tests",
        "Again",
        ["v"],
        ["w"],
        [helper.make_node("Again", ["v"], ["w"], domain="tests")],
        [helper.make_opsetid("", 18), helper.make_opsetid("tests", 1)],
    )
    model.functions.append(function)
    return _written(path, model.SerializeToString())


@awkward
def an_operation_no_engine_has(folder: Path) -> Path:
    return _written(folder / "m.onnx", tiny_models.onnx_unknown())


@awkward
def a_custom_operation_of_tflite(folder: Path) -> Path:
    return _written(folder / "m.tflite", tiny_models.tflite_unknown())


@awkward
def an_opset_of_the_future(folder: Path) -> Path:
    path = _onnx(folder, [helper.make_node("Relu", ["x"], ["y"])])
    model = onnx.load(path)
    model.opset_import[0].version = 99
    return _written(path, model.SerializeToString())


@awkward
def an_output_nobody_makes(folder: Path) -> Path:
    return _onnx(folder, [helper.make_node("Relu", ["x"], ["z"])])


@awkward
def two_signatures(folder: Path) -> Path:
    tf = engine("tensorflow")
    module = tf.Module()
    spec = [tf.TensorSpec([None, 4], tf.float32, name="x")]
    module.f = tf.function(lambda x: {"y": x + 1.0}, input_signature=spec, autograph=False)
    with quiet():
        tf.saved_model.save(module, str(folder / "m"), signatures={"a": module.f, "b": module.f})
    return folder / "m"


@awkward
def dice(folder: Path) -> Path:
    tf = engine("tensorflow")
    return _saved_model(folder, lambda x: {"y": x + tf.random.normal([4])})


@awkward
def a_class_of_its_own(folder: Path) -> Path:
    def renamed(config: Any) -> Any:
        config["config"]["layers"][-1] |= {"class_name": "Frob", "module": "nowhere"}
        return config

    return _with_config(_keras(folder), renamed)


@awkward
def a_config_that_imports(folder: Path) -> Path:
    """Keras would look the class up by its module's name, and import it."""

    def renamed(config: Any) -> Any:
        config["config"]["layers"][-1] |= {
            "class_name": "system",
            "module": "os",
            "registered_name": None,
        }
        return config

    return _with_config(_keras(folder), renamed)


@awkward
def a_folder_that_contains_itself(folder: Path) -> Path:
    model = _saved_model(folder, lambda x: {"y": x + 1.0})
    (model / "saved_model.pb").unlink()
    (model / "again").symlink_to(model)
    return model


# How they are made


def _written(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


def _cut(path: Path) -> Path:
    data = path.read_bytes()
    return _written(path, data[: len(data) * 2 // 3])


def _saved(model: Any, path: Path) -> Path:
    with quiet():
        model.save(path)
    return path


def _keras(folder: Path, name: str = "m.keras") -> Path:
    keras = engine("keras")
    stack = [keras.Input((4,), name="x"), keras.layers.Dense(64), keras.layers.Dense(3, name="y")]
    return _saved(keras.Sequential(stack), folder / name)


def _rezipped(path: Path, change: Callable[[str, bytes], bytes]) -> Path:
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, change(name, data))
    return path


def _with_config(path: Path, change: Callable[[Any], Any]) -> Path:
    return _rezipped(
        path,
        lambda name, data: (
            json.dumps(change(json.loads(data))).encode() if name == "config.json" else data
        ),
    )


def _bomb(path: Path, member: str) -> Path:
    """That member of the archive holds 20 MB of zeros, packed into 20 kB, and claims 3.9 GB."""
    zeros = bytes(20_000_000)
    _rezipped(path, lambda name, data: zeros if name == member else data)
    data = path.read_bytes()
    claims = len(zeros).to_bytes(4, "little"), (3_900_000_000).to_bytes(4, "little")
    return _written(path, data.replace(*claims))


def _saved_model(folder: Path, function: Any, dtype: str = "float32") -> Path:
    tf = engine("tensorflow")
    module = tf.Module()
    spec = [tf.TensorSpec([None, 4], dtype, name="x")]
    module.f = tf.function(function, input_signature=spec, autograph=False)
    with quiet():
        tf.saved_model.save(module, str(folder / "m"), signatures=module.f)
    return folder / "m"


def _onnx(
    folder: Path,
    nodes: list[onnx.NodeProto],
    constants: dict[str, np.ndarray] | None = None,
    *,
    dtype: int = FLOAT,
    shape: tuple[int, ...] = (1, 4),
    out: tuple[int, ...] | None = None,
) -> Path:
    graph = helper.make_graph(
        nodes,
        "awkward",
        [helper.make_tensor_value_info("x", dtype, shape)],
        [helper.make_tensor_value_info("y", dtype, out)],
        [numpy_helper.from_array(value, name) for name, value in (constants or {}).items()],
    )
    opsets = [helper.make_opsetid("", 18), helper.make_opsetid("tests", 1)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=10)
    return _written(folder / "m.onnx", model.SerializeToString())


def _external(folder: Path, location: str) -> Path:
    path = _onnx(
        folder, [helper.make_node("MatMul", ["x", "w"], ["y"])], {"w": np.ones((4, 3), np.float32)}
    )
    model = onnx.load(path)
    tensor = model.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    entry = tensor.external_data.add()
    entry.key, entry.value = "location", location
    return _written(path, model.SerializeToString())

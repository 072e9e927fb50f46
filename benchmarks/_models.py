"""The models that benchmarks run: made once, kept in the user's cache under the digest of how.

Making them needs TensorFlow, which must not be in the process that measures: this file is run as a
program of its own when a model is not there yet.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

from edge_sdk.files import cache_folder, whole_file

NAMES = ("mobilenet_v2", "tiny")
CALIBRATION_SAMPLES = 8
SEED = 20261123


def int8_model(name: str) -> Path:
    """The path of a fully quantized TFLite model, int8 at its input and output.

    ``mobilenet_v2`` is Keras's MobileNetV2, 224 x 224 x 3, alpha 1.0, with random weights (which
    cost the same time as trained ones); ``tiny`` is one dense layer of 4 inputs and 3 outputs.
    """
    return _made(name, "int8", "tflite", ("tensorflow", "litert-quantizer"))


def onnx_model(name: str) -> Path:
    """The path of the same model in float32 as ONNX."""
    return _made(name, "fp32", "onnx", ("tensorflow", "tf2onnx"))


def _made(name: str, recipe: str, suffix: str, tools: tuple[str, ...]) -> Path:
    words = [name, str(SEED), str(CALIBRATION_SAMPLES)]
    words += [f"{tool} {version(tool)}" for tool in tools]
    digest = hashlib.sha256("\n".join(words).encode()).hexdigest()[:16]
    path = cache_folder() / "benchmarks" / f"{name}-{recipe}-{digest}.{suffix}"
    if not path.exists():
        print(f"making {path.name}, once …", file=sys.stderr)
        path.parent.mkdir(parents=True, exist_ok=True)
        environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
        subprocess.run(
            [sys.executable, "-P", __file__, name, path],
            env=environment,
            stdout=sys.stderr,
            check=True,
        )
    return path


def float_dense(path: Path, length: int = 2048) -> Path:
    """A TFLite model of one dense layer of float32 weights, 16 MB of them; written to ``path``."""
    import flatbuffers
    import numpy as np
    from ai_edge_litert import schema_py_generated as tfl

    rng = np.random.default_rng(SEED)
    weights = rng.standard_normal((length, length)).astype(np.float32)
    buffers, tensors = [tfl.BufferT(), tfl.BufferT()], []
    buffers[1].data = np.frombuffer(weights.tobytes(), np.uint8)
    for name, shape, buffer in (
        ("x", (1, length), 0),
        ("w", weights.shape, 1),
        ("y", (1, length), 0),
    ):
        tensor = tfl.TensorT()
        tensor.name, tensor.shape, tensor.buffer = name.encode(), list(shape), buffer
        tensor.type = tfl.TensorType.FLOAT32
        tensors.append(tensor)
    code = tfl.OperatorCodeT()
    code.builtinCode = code.deprecatedBuiltinCode = tfl.BuiltinOperator.FULLY_CONNECTED
    code.version = 1
    operator = tfl.OperatorT()
    operator.inputs, operator.outputs = np.int32([0, 1, -1]), np.int32([2])
    operator.builtinOptionsType = tfl.BuiltinOptions.FullyConnectedOptions
    operator.builtinOptions = tfl.FullyConnectedOptionsT()
    graph = tfl.SubGraphT()
    graph.tensors, graph.operators = tensors, [operator]
    graph.inputs, graph.outputs = np.int32([0]), np.int32([2])
    model = tfl.ModelT()
    model.version, model.subgraphs, model.operatorCodes, model.buffers = 3, [graph], [code], buffers
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    path.write_bytes(bytes(builder.Output()))
    return path


def make(name: str, path: Path) -> None:
    import tempfile

    import keras
    import numpy as np
    import tensorflow as tf
    from litert_quantizer import Quantizer, recipe
    from tensorflow.python.framework.convert_to_constants import (
        convert_variables_to_constants_v2,
    )

    keras.utils.set_random_seed(SEED)
    if name == "mobilenet_v2":
        model = keras.applications.MobileNetV2(input_shape=(224, 224, 3), weights=None)
    else:
        model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)])
    shape = (1, *model.input_shape[1:])
    traced = tf.function(lambda x: model(x, training=False)).get_concrete_function(
        tf.TensorSpec(shape, tf.float32, name="x")
    )
    frozen = convert_variables_to_constants_v2(traced)
    module = tf.Module()
    module.serve = tf.function(
        lambda x: {"y": frozen(x)[0]}, input_signature=[tf.TensorSpec(shape, tf.float32, name="x")]
    )
    if path.suffix == ".onnx":
        import tf2onnx

        spec = (tf.TensorSpec(shape, tf.float32, name="x"),)
        made, _ = tf2onnx.convert.from_function(module.serve, input_signature=spec, opset=17)
        with whole_file(path) as file:
            file.write(made.SerializeToString())
        return
    with tempfile.TemporaryDirectory() as folder:
        tf.saved_model.save(module, folder, signatures={"serving_default": module.serve})
        real = tf.lite.TFLiteConverter.from_saved_model(folder).convert()
    rng = np.random.default_rng(SEED)
    samples = [{"x": rng.random(shape, np.float32)} for _ in range(CALIBRATION_SAMPLES)]
    job = Quantizer(real)
    job.load_quantization_recipe(recipe.static_wi8_ai8())
    quantized = job.quantize(job.calibrate({"serving_default": samples})).quantized_model
    with whole_file(path) as file:
        file.write(bytes(quantized))


if __name__ == "__main__":
    make(sys.argv[1], Path(sys.argv[2]))

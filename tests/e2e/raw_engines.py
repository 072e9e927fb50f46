"""Model files in the bare engines, past all code of ours: what they really take and answer."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnxruntime
from ai_edge_litert.interpreter import Interpreter

from converters.engines import quiet

Arrays = dict[str, np.ndarray]


def tflite(model: bytes, inputs: Arrays) -> Arrays:
    """Sample by sample through LiteRT's signature runner, quantized and read back by hand."""
    with quiet():
        interpreter = Interpreter(model_content=model, num_threads=1)
        runner = interpreter.get_signature_runner("serving_default")
        takes, gives = runner.get_input_details(), runner.get_output_details()
        count = len(next(iter(inputs.values())))
        rows = []
        for i in range(count):
            fed = {name: _stored(inputs[name][i : i + 1], takes[name]) for name in takes}
            answer = runner(**fed)
            rows.append({name: _real(answer[name], gives[name]) for name in gives})
    return {name: np.concatenate([row[name] for row in rows]) for name in gives}


def tflite_names(model: bytes) -> tuple[list[str], list[str]]:
    """Inputs and outputs of the signature, sorted."""
    with quiet():
        signature = Interpreter(model_content=model).get_signature_list()["serving_default"]
    return sorted(signature["inputs"]), sorted(signature["outputs"])


def onnx(model: bytes, inputs: Arrays) -> Arrays:
    """Sample by sample through ONNX Runtime."""
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    names = [node.name for node in session.get_outputs()]
    count = len(next(iter(inputs.values())))
    rows = [session.run(names, {k: v[i : i + 1] for k, v in inputs.items()}) for i in range(count)]
    return {name: np.concatenate([row[at] for row in rows]) for at, name in enumerate(names)}


def onnx_names(model: bytes) -> tuple[list[str], list[str]]:
    """Inputs and outputs, sorted."""
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    return sorted(n.name for n in session.get_inputs()), sorted(
        n.name for n in session.get_outputs()
    )


def coreml_names(specification: bytes) -> tuple[list[str], list[str]]:
    """Inputs and outputs of an ``.mlmodel``, sorted."""
    with quiet():
        from coremltools.proto import Model_pb2
    proto = Model_pb2.Model()
    proto.ParseFromString(specification)
    description = proto.description
    return sorted(t.name for t in description.input), sorted(t.name for t in description.output)


def _stored(values: np.ndarray, detail: dict[str, Any]) -> np.ndarray:
    scale, zero = detail["quantization"]
    if not scale:
        return values
    limits = np.iinfo(detail["dtype"])
    stored = np.rint(values.astype(np.float64) / scale) + zero
    return np.clip(stored, limits.min, limits.max).astype(detail["dtype"])


def _real(stored: np.ndarray, detail: dict[str, Any]) -> np.ndarray:
    scale, zero = detail["quantization"]
    return (stored.astype(np.float64) - zero) * scale if scale else stored

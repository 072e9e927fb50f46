"""Models of one or two operations, made in milliseconds, in every format that a backend reads, and
artifacts of them.

TFLite models are written with the schema that LiteRT ships, ONNX models with ``onnx.helper``; no
converter is involved, so that what a backend is tested on is exactly what stands here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import flatbuffers
import numpy as np
import onnx
from ai_edge_litert import schema_py_generated as tfl
from onnx import TensorProto, helper, numpy_helper

from edge_sdk.artifact import measure, pack
from edge_sdk.spec import Manifest, Provenance, Quantization, Signature, TensorSpec, Variant

WEIGHTS = np.array([[1, -2, 3], [0, 1, 0.5], [-1, 4, 2], [2, 0, -3]], np.float32)
"""Four inputs to three outputs."""
BIAS = np.array([0.5, -1, 2], np.float32)


def affine(x: np.ndarray) -> np.ndarray:
    """What the affine models compute: ``(x + x) @ WEIGHTS + BIAS``."""
    return (x + x) @ WEIGHTS + BIAS


@dataclass(frozen=True)
class Scale:
    """Per-tensor quantization of a TFLite tensor."""

    scale: float
    zero_point: int = 0


class TfLite:
    """A TFLite model under construction: one subgraph and signature, or as many as are ended."""

    def __init__(self) -> None:
        self._buffers: list[Any] = [tfl.BufferT()]
        self._graphs: list[Any] = []
        self._signatures: list[Any] = []
        self._tensors: list[Any] = []
        self._operators: list[Any] = []
        self._codes: list[Any] = []

    def tensor(
        self,
        name: str,
        shape: tuple[int, ...],
        dtype: str = "float32",
        value: np.ndarray | None = None,
        scale: Scale | None = None,
    ) -> int:
        """Add a tensor; -1 in ``shape`` is a length that is only known later."""
        made = tfl.TensorT()
        made.name = name.encode()
        made.shape = [max(n, 1) for n in shape]
        if -1 in shape:
            made.shapeSignature = list(shape)
        made.type = getattr(tfl.TensorType, dtype.upper())
        made.buffer = 0
        if value is not None:
            buffer = tfl.BufferT()
            buffer.data = np.frombuffer(np.ascontiguousarray(value).tobytes(), np.uint8)
            made.buffer = len(self._buffers)
            self._buffers.append(buffer)
        if scale is not None:
            made.quantization = tfl.QuantizationParametersT()
            made.quantization.scale = np.array([scale.scale], np.float32)
            made.quantization.zeroPoint = np.array([scale.zero_point], np.int64)
        self._tensors.append(made)
        return len(self._tensors) - 1

    def operator(
        self,
        kind: str | int,
        inputs: list[int],
        outputs: list[int],
        options: Any = None,
        *,
        custom: str = "",
        version: int = 1,
    ) -> None:
        """Add an operation by its name or number; ``options`` is its ``…OptionsT``."""
        code = tfl.OperatorCodeT()
        code.builtinCode = kind if isinstance(kind, int) else getattr(tfl.BuiltinOperator, kind)
        code.deprecatedBuiltinCode = min(code.builtinCode, 127)
        code.version = version
        code.customCode = custom.encode() or None
        operator = tfl.OperatorT()
        operator.opcodeIndex = len(self._codes)
        operator.inputs, operator.outputs = np.int32(inputs), np.int32(outputs)
        if options is not None:
            name = type(options).__name__.removesuffix("T")
            operator.builtinOptionsType = getattr(tfl.BuiltinOptions, name)
            operator.builtinOptions = options
        self._codes.append(code)
        self._operators.append(operator)

    def end(self, inputs: list[int], outputs: list[int], signature: str = "") -> None:
        """End a subgraph, and begin the next; the signature names tensors as the subgraph does."""
        graph = tfl.SubGraphT()
        graph.tensors, graph.operators = self._tensors, self._operators
        graph.inputs, graph.outputs = np.int32(inputs), np.int32(outputs)
        if signature:
            made = tfl.SignatureDefT()
            made.signatureKey = signature.encode()
            made.subgraphIndex = len(self._graphs)
            made.inputs = [self._map(index) for index in inputs]
            made.outputs = [self._map(index) for index in outputs]
            self._signatures.append(made)
        self._graphs.append(graph)
        self._tensors, self._operators = [], []

    def build(
        self, inputs: list[int], outputs: list[int], signature: str = "serving_default"
    ) -> bytes:
        """End the last subgraph; the file's bytes."""
        self.end(inputs, outputs, signature)
        model = tfl.ModelT()
        model.version = 3
        model.subgraphs, model.operatorCodes = self._graphs, self._codes
        model.buffers, model.signatureDefs = self._buffers, self._signatures
        builder = flatbuffers.Builder(1024)
        builder.Finish(model.Pack(builder), b"TFL3")
        return bytes(builder.Output())

    def _map(self, index: int) -> Any:
        entry = tfl.TensorMapT()
        entry.name, entry.tensorIndex = self._tensors[index].name, index
        return entry


def tflite_affine(rows: int = 1) -> bytes:
    """``affine`` of rows x 4 numbers (-1: any number of rows): an ADD and a FULLY_CONNECTED."""
    model = TfLite()
    x = model.tensor("x", (rows, 4))
    doubled = model.tensor("doubled", (rows, 4))
    weights = model.tensor("weights", (3, 4), value=WEIGHTS.T)
    bias = model.tensor("bias", (3,), value=BIAS)
    y = model.tensor("y", (rows, 3))
    model.operator("ADD", [x, x], [doubled], tfl.AddOptionsT())
    model.operator("FULLY_CONNECTED", [doubled, weights, bias], [y], tfl.FullyConnectedOptionsT())
    return model.build([x], [y])


def onnx_affine(rows: int = 1) -> bytes:
    """``affine`` of rows x 4 numbers (-1: any number of rows): an Add and a Gemm."""
    length: int | str = "rows" if rows < 0 else rows
    return _onnx(
        [
            helper.make_node("Add", ["x", "x"], ["doubled"]),
            helper.make_node("Gemm", ["doubled", "weights", "bias"], ["y"]),
        ],
        inputs={"x": (TensorProto.FLOAT, (length, 4))},
        outputs={"y": (TensorProto.FLOAT, (length, 3))},
        constants={"weights": WEIGHTS, "bias": BIAS},
    )


X_SCALE, Y_SCALE = Scale(0.05, -3), Scale(0.5, 7)
"""Of the quantized models' input and output."""


def tflite_quantized() -> bytes:
    """``affine`` with an int8 input (``X_SCALE``) and an int8 output (``Y_SCALE``)."""
    model = TfLite()
    x = model.tensor("x", (1, 4), "int8", scale=X_SCALE)
    real = model.tensor("real", (1, 4))
    doubled = model.tensor("doubled", (1, 4))
    weights = model.tensor("weights", (3, 4), value=WEIGHTS.T)
    bias = model.tensor("bias", (3,), value=BIAS)
    sums = model.tensor("sums", (1, 3))
    y = model.tensor("y", (1, 3), "int8", scale=Y_SCALE)
    model.operator("DEQUANTIZE", [x], [real])
    model.operator("ADD", [real, real], [doubled], tfl.AddOptionsT())
    model.operator(
        "FULLY_CONNECTED", [doubled, weights, bias], [sums], tfl.FullyConnectedOptionsT()
    )
    model.operator("QUANTIZE", [sums], [y])
    return model.build([x], [y])


def onnx_quantized() -> bytes:
    """``affine`` with an int8 input (``X_SCALE``) and an int8 output (``Y_SCALE``)."""
    return _onnx(
        [
            helper.make_node("DequantizeLinear", ["x", "x_scale", "x_zero"], ["real"]),
            helper.make_node("Add", ["real", "real"], ["doubled"]),
            helper.make_node("Gemm", ["doubled", "weights", "bias"], ["sums"]),
            helper.make_node("QuantizeLinear", ["sums", "y_scale", "y_zero"], ["y"]),
        ],
        inputs={"x": (TensorProto.INT8, (1, 4))},
        outputs={"y": (TensorProto.INT8, (1, 3))},
        constants={
            "weights": WEIGHTS,
            "bias": BIAS,
            "x_scale": np.array(X_SCALE.scale, np.float32),
            "x_zero": np.array(X_SCALE.zero_point, np.int8),
            "y_scale": np.array(Y_SCALE.scale, np.float32),
            "y_zero": np.array(Y_SCALE.zero_point, np.int8),
        },
    )


def tflite_sum() -> bytes:
    """``y = a + b``, both of any number of rows by 4: rows that do not fit fail in the engine."""
    model = TfLite()
    a, b = model.tensor("a", (-1, 4)), model.tensor("b", (-1, 4))
    y = model.tensor("y", (-1, 4))
    model.operator("ADD", [a, b], [y], tfl.AddOptionsT())
    return model.build([a, b], [y])


def onnx_sum() -> bytes:
    """``y = a + b``, both of any number of rows by 4: rows that do not fit fail in the engine."""
    return _onnx(
        [helper.make_node("Add", ["a", "b"], ["y"])],
        inputs={"a": (TensorProto.FLOAT, ("m", 4)), "b": (TensorProto.FLOAT, ("n", 4))},
        outputs={"y": (TensorProto.FLOAT, ("k", 4))},
    )


def tflite_positions() -> bytes:
    """Where the numbers of 1 x 4 are above 0: as many rows as there are, of 2 int32 each."""
    model = TfLite()
    x, zero = model.tensor("x", (1, 4)), model.tensor("zero", (), value=np.float32(0))
    above = model.tensor("above", (1, 4), "bool")
    where, y = model.tensor("where", (-1, 2), "int64"), model.tensor("y", (-1, 2), "int32")
    model.operator("GREATER", [x, zero], [above], tfl.GreaterOptionsT())
    model.operator("WHERE", [above], [where], tfl.WhereOptionsT())
    options = tfl.CastOptionsT()
    options.inDataType, options.outDataType = tfl.TensorType.INT64, tfl.TensorType.INT32
    model.operator("CAST", [where], [y], options)
    return model.build([x], [y])


def onnx_positions() -> bytes:
    """Where the numbers of 1 x 4 are above 0: as many rows as there are, of 2 int64 each."""
    return _onnx(
        [
            helper.make_node("Greater", ["x", "zero"], ["above"]),
            helper.make_node("NonZero", ["above"], ["where"]),
            helper.make_node("Transpose", ["where"], ["y"]),
        ],
        inputs={"x": (TensorProto.FLOAT, (1, 4))},
        outputs={"y": (TensorProto.INT64, ("count", 2))},
        constants={"zero": np.float32([0])},
    )


def tflite_handed_on() -> bytes:
    """y is -x, and x is an output as well as an input; all of 1 x 4 floats."""
    model = TfLite()
    x, y = model.tensor("x", (1, 4)), model.tensor("y", (1, 4))
    model.operator("NEG", [x], [y])
    return model.build([x], [y, x])


def onnx_handed_on() -> bytes:
    """y is -x, and x is an output as well as an input; all of 1 x 4 floats."""
    floats = (TensorProto.FLOAT, (1, 4))
    return _onnx(
        [helper.make_node("Neg", ["x"], ["y"])],
        inputs={"x": floats},
        outputs={"y": floats, "x": floats},
    )


def tflite_unknown() -> bytes:
    """A custom operation that no engine has: ``Frobnicate``."""
    model = TfLite()
    x, y = model.tensor("x", (1, 4)), model.tensor("y", (1, 4))
    model.operator("CUSTOM", [x], [y], custom="Frobnicate")
    return model.build([x], [y])


def onnx_unknown() -> bytes:
    """A custom operation that no engine has: ``Frobnicate``."""
    return _onnx(
        [helper.make_node("Frobnicate", ["x"], ["y"], domain="tests")],
        inputs={"x": (TensorProto.FLOAT, (1, 4))},
        outputs={"y": (TensorProto.FLOAT, (1, 4))},
    )


def tflite_adds(count: int = 3) -> bytes:
    """Additions of the input with a TANH between each two, all of 1 x 4 floats."""
    model = TfLite()
    x = model.tensor("x", (1, 4))
    value = x
    for step in range(count):
        total = model.tensor(f"total{step}", (1, 4))
        model.operator("ADD", [value, x], [total], tfl.AddOptionsT())
        value = total
        if step < count - 1:
            value = model.tensor(f"bent{step}", (1, 4))
            model.operator("TANH", [total], [value])
    return model.build([x], [value])


def tflite_counter() -> bytes:
    """A model with a state and two signatures, as converters make them of such models today.

    ``add``: x is added to a total that lasts, and y is the total. ``scaled``: y is the total times
    x. All are of 1 x 4 floats; the total begins with ``START``.
    """
    model = TfLite()

    def variable() -> int:
        handle = model.tensor("handle", (1,), "resource")
        options = tfl.VarHandleOptionsT()
        options.container, options.sharedName = b"", b"total"
        model.operator("VAR_HANDLE", [], [handle], options)
        return handle

    def prepared() -> tuple[int, int, int, int]:
        x, y = model.tensor("x", (1, 4)), model.tensor("y", (1, 4))
        once = tfl.CallOnceOptionsT()
        once.initSubgraphIndex = 2
        model.operator("CALL_ONCE", [], [], once)
        handle, total = variable(), model.tensor("total", (1, 4))
        model.operator("READ_VARIABLE", [handle], [total])
        return x, y, handle, total

    x, y, handle, total = prepared()
    model.operator("ADD", [total, x], [y], tfl.AddOptionsT())
    model.operator("ASSIGN_VARIABLE", [handle, y], [])
    model.end([x], [y], "add")
    x, y, handle, total = prepared()
    model.operator("MUL", [total, x], [y], tfl.MulOptionsT())
    model.end([x], [y], "scaled")
    model.operator("ASSIGN_VARIABLE", [variable(), model.tensor("start", (1, 4), value=START)], [])
    return model.build([], [], "")


START = np.array([[10, 20, 30, 40]], np.float32)


def tflite_two_entries(first: str = "negative") -> bytes:
    """Signatures ``first`` (y = -x; "" leaves it without one) and ``size`` (b = |a|), of n x 4."""
    model = TfLite()
    x, y = model.tensor("x", (-1, 4)), model.tensor("y", (-1, 4))
    model.operator("NEG", [x], [y])
    model.end([x], [y], first)
    a, b = model.tensor("a", (-1, 4)), model.tensor("b", (-1, 4))
    model.operator("ABS", [a], [b])
    return model.build([a], [b], "size")


def tflite_matrices(steps: int, size: int = 256) -> bytes:
    """So many products of a matrix with itself and ones: some milliseconds of one engine call."""
    model = TfLite()
    x = value = model.tensor("x", (size, size))
    for step in range(steps):
        product = model.tensor("y" if step == steps - 1 else f"product{step}", (size, size))
        options = tfl.BatchMatMulOptionsT()
        model.operator("BATCH_MATMUL", [value, x], [product], options)
        value = product
    return model.build([x], [value])


def onnx_matrices(steps: int, size: int = 256) -> bytes:
    """The same."""
    names = ["x", *(f"product{step}" for step in range(steps - 1)), "y"]
    return _onnx(
        [helper.make_node("MatMul", [a, "x"], [b]) for a, b in pairwise(names)],
        inputs={"x": (TensorProto.FLOAT, (size, size))},
        outputs={"y": (TensorProto.FLOAT, (size, size))},
    )


_Shape = tuple[int | str, ...]


def _onnx(
    nodes: list[onnx.NodeProto],
    inputs: dict[str, tuple[int, _Shape]],
    outputs: dict[str, tuple[int, _Shape]],
    constants: dict[str, np.ndarray] | None = None,
) -> bytes:
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info(name, *spec) for name, spec in inputs.items()],
        [helper.make_tensor_value_info(name, *spec) for name, spec in outputs.items()],
        [numpy_helper.from_array(value, name) for name, value in (constants or {}).items()],
    )
    opsets = [helper.make_opsetid("", 18), helper.make_opsetid("tests", 1)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=10).SerializeToString()


def artifact(
    path: Path, builds: Mapping[str, bytes], signature: Signature, *, coreml: bool = False
) -> Path:
    """Write an artifact of builds (``tflite-fp32``, ``onnx-int8``, …) that all have one signature.

    An ``int8`` build is taken to be a quantized affine model. With ``coreml`` there is also a build
    ``coreml-fp16`` that no engine here runs.
    """
    engines = {"tflite": "litert", "onnx": "onnxruntime", "coreml": "coreml"}
    if coreml:
        builds = {**builds, "coreml-fp16": b"never read"}
    variants, contents = [], {}
    for variant_id, model in builds.items():
        model_format, recipe = variant_id.split("-")
        file = f"variants/{variant_id}/model.{model_format}"
        contents[file] = model
        variants.append(
            Variant(
                id=variant_id,
                format=model_format,
                recipe=recipe,
                path=file,
                size=len(model),
                backends=(engines[model_format],),
                signature=QUANTIZED if recipe == "int8" else signature,
            )
        )
    manifest = Manifest(
        name="tiny",
        version="1.0.0",
        signature=signature,
        variants=tuple(variants),
        provenance=Provenance(
            source="tiny", source_format="test", source_sha256="0" * 64, tools={}
        ),
        files=measure(contents),
    )
    pack(path, manifest, contents)
    return path


def _stored(name: str, length: int, scale: Scale) -> TensorSpec:
    quantization = Quantization(scale=scale.scale, zero_point=scale.zero_point)
    return TensorSpec(name=name, dtype="int8", shape=(1, length), quantization=quantization)


REAL = Signature(
    inputs=(TensorSpec(name="x", dtype="float32", shape=(1, 4)),),
    outputs=(TensorSpec(name="y", dtype="float32", shape=(1, 3)),),
)
"""The affine models' signature in real numbers."""

QUANTIZED = Signature(inputs=(_stored("x", 4, X_SCALE),), outputs=(_stored("y", 3, Y_SCALE),))
"""The same as the quantized builds see it."""

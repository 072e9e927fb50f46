"""Every ONNX operation of the table: by ONNX Runtime, by PyTorch, and as a Core ML program.

Operations are put side by side into one model, since converting to Core ML costs a tenth of a
second a model.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from converters import onnx_graph
from converters.engines import engine, quiet
from converters.onnx_torch import network, unmapped
from converters.onnx_torch.table import OPERATORS
from converters.sources.onnx import OnnxSource
from converters.targets.coreml import MilRunner
from converters.trunks.core_ml import OnnxTrace
from edge_sdk.errors import ConversionError

torch: Any = engine("torch")
KINDS = {"float32": TensorProto.FLOAT, "int32": TensorProto.INT32, "int64": TensorProto.INT64}
KINDS |= {"bool": TensorProto.BOOL, "float16": TensorProto.FLOAT16}


class Model:
    """A model in the making: operations on inputs, each answer an output."""

    def __init__(self, opset: int = 17, **inputs: np.ndarray) -> None:
        self.opset, self.inputs = opset, inputs
        self.nodes: list[Any] = []
        self.constants: list[Any] = []
        self.outputs: list[str] = []

    def constant(self, values: Any, dtype: Any = np.int64) -> str:
        name = f"c{len(self.constants)}"
        array = np.asarray(values, dtype)
        self.constants.append(numpy_helper.from_array(array, name))
        return name

    def add(
        self, operation: str, inputs: Sequence[str], outputs: int = 1, **more: Any
    ) -> list[str]:
        """An operation whose answers are outputs of the model."""
        names = [f"y{len(self.nodes)}_{n}" for n in range(outputs)]
        self.nodes.append(helper.make_node(operation, inputs, names, **more))
        self.outputs += names
        return names

    def proto(self) -> Any:
        graph = helper.make_graph(
            self.nodes,
            "g",
            [
                helper.make_tensor_value_info(name, KINDS[str(a.dtype)], a.shape)
                for name, a in self.inputs.items()
            ],
            [onnx.ValueInfoProto(name=name) for name in self.outputs],
            self.constants,
        )
        opsets = [helper.make_opsetid("", self.opset)]
        made = helper.make_model(graph, opset_imports=opsets, ir_version=8)
        made = onnx.shape_inference.infer_shapes(made)
        for value in made.graph.output:  # it knows nothing of some
            if not value.type.tensor_type.elem_type:
                value.CopyFrom(
                    helper.make_tensor_value_info(value.name, TensorProto.FLOAT, [None] * 3)
                )
        return made


@pytest.fixture
def agree(tmp_path) -> Callable[..., None]:
    """Run the model everywhere and compare every output."""

    def agree(
        model: Model, *, torch_too: bool = True, core_ml: bool = True, atol: float = 2e-6
    ) -> None:
        path = tmp_path / "model.onnx"
        path.write_bytes(model.proto().SerializeToString())
        source = OnnxSource(path)
        wanted = source.run_one(model.inputs)
        names = [tensor.name for tensor in source.signature.outputs]
        kinds = {name: str(model.nodes[int(name[1:].split("_")[0])].op_type) for name in names}
        if torch_too:
            proto = onnx.load_model_from_string(source.model)
            given = [torch.from_numpy(np.array(a)) for a in model.inputs.values()]
            with torch.no_grad():
                made = dict(zip(names, network(proto)(*given), strict=True))
            _compare(wanted, {name: t.numpy() for name, t in made.items()}, kinds, atol)
        if core_ml:
            _compare(wanted, _core_ml(source, model.inputs, tmp_path), kinds, atol)

    return agree


def _core_ml(source: OnnxSource, inputs: Mapping[str, np.ndarray], folder: Any) -> Any:
    trace = OnnxTrace(source.model, source.signature, source.name, folder)
    package = folder / "model.mlpackage"
    with quiet():
        trace.build("fp32").save(str(package))
    runner = MilRunner(package, source.signature, "the program")
    assert not runner.unchecked_ops
    fed = {n: a.astype("float32" if a.dtype.kind == "f" else "int32") for n, a in inputs.items()}
    return runner.run_one(fed)


def _compare(wanted: Any, found: Any, kinds: Mapping[str, str], atol: float) -> None:
    for name, array in wanted.items():
        what = f"{kinds[name]} {name}"
        assert found[name].shape == array.shape, what
        np.testing.assert_allclose(
            np.asarray(found[name], np.float64),
            np.asarray(array, np.float64),
            atol=atol,
            rtol=1e-5,
            err_msg=what,
        )


def _numbers(rng: np.random.Generator, *shape: int) -> np.ndarray:
    return rng.normal(size=shape).astype(np.float32)


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(8)


# Each number by itself


def test_functions_of_one_number(agree, rng):
    model = Model(20, x=_numbers(rng, 2, 5), part=rng.uniform(0.1, 0.9, (2, 5)).astype(np.float32))
    plain = "Abs Asinh Atan Ceil Celu Cos Cosh Elu Erf Exp Floor Gelu HardSigmoid HardSwish"
    plain += " Identity LeakyRelu Mish Neg Relu Round Selu Sigmoid Sign Sin Sinh Softplus Softsign"
    plain += " Tanh ThresholdedRelu"
    for name in plain.split():
        model.add(name, ["x"])
    for name in ["Acos", "Asin", "Atanh", "Log", "Reciprocal", "Sqrt", "Tan"]:
        model.add(name, ["part"])
    for name in ("Celu", "Elu", "LeakyRelu", "ThresholdedRelu"):
        model.add(name, ["x"], alpha=0.3)
    model.add("HardSigmoid", ["x"], alpha=1 / 6, beta=0.4)
    model.add("Gelu", ["x"], approximate="tanh")
    agree(model)


def test_numbers_above_one(agree, rng):
    model = Model(x=rng.uniform(1.1, 5, (4,)).astype(np.float32))
    model.add("Acosh", ["x"])
    agree(model)


def test_arithmetic(agree, rng):
    whole = np.array([[7, -7, 3], [-9, 8, 5]], np.int64)
    model = Model(
        a=_numbers(rng, 2, 3), b=_numbers(rng, 3) + 3, i=whole, j=np.array([2, -3, 4], np.int64)
    )
    for name in ("Add", "Sub", "Mul", "Div", "Max", "Min", "Sum", "Mean"):
        model.add(name, ["a", "b"])
    for name in ("Add", "Sub", "Mul", "Div", "Max", "Min", "Mod"):
        model.add(name, ["i", "j"])
    model.add("Mod", ["i", "j"], fmod=1)
    model.add("Mod", ["a", "b"], fmod=1)
    model.add("Sum", ["a", "b", "a"])
    for exponent in (-1.0, 0.5, 1.0, 2.0, 3.0, 1.7):
        base = "b" if exponent in (0.5, 1.7, -1.0) else "a"
        model.add("Pow", [base, model.constant(exponent, np.float32)])
    model.add("Clip", ["a", model.constant(-0.5, np.float32), model.constant(0.25, np.float32)])
    model.add("Clip", ["a", "", model.constant(0.25, np.float32)])
    model.add("PRelu", ["a", model.constant([0.1, 0.2, 0.3], np.float32)])
    agree(model)


def test_clip_of_a_model_before_opset_11(agree, rng):
    model = Model(10, a=_numbers(rng, 2, 3))
    model.add("Clip", ["a"], min=-0.5, max=0.25)
    agree(model)


def test_prelu_by_channel(agree, rng):
    model = Model(x=_numbers(rng, 1, 3, 4, 4))
    model.add("PRelu", ["x", model.constant(np.array([0.1, 0.2, 0.3]).reshape(3, 1, 1), "float32")])
    agree(model)


def test_comparisons_logic_and_casts(agree, rng):
    model = Model(
        a=np.array([1.5, -2.5, 3.0, 0.0], np.float32),
        b=np.array([1.5, 2.0, -3.0, 0.0], np.float32),
        p=np.array([True, True, False, False]),
        q=np.array([True, False, True, False]),
    )
    for name in ("Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual"):
        model.add(name, ["a", "b"])
    for name in ("And", "Or", "Xor"):
        model.add(name, ["p", "q"])
    model.add("Not", ["p"])
    model.add("Where", ["p", "a", "b"])
    model.add("IsNaN", ["a"])
    model.add("Dropout", ["b"])
    for kind in ("float16", "bool", "int32", "int64"):
        model.add("Cast", ["a"], to=KINDS[kind])
    model.add("Cast", ["p"], to=TensorProto.FLOAT)
    proto = model.proto()
    assert not unmapped(proto)
    agree(model)


def test_steps_of_eight_bits(agree, rng):
    model = Model(x=_numbers(rng, 2, 3, 4))
    one = [model.constant(0.05, np.float32), model.constant(3, np.uint8)]
    many = [
        model.constant([0.05, 0.1, 0.02], np.float32),
        model.constant([0, 1, -2], np.int8),
    ]
    (stepped,) = model.add("QuantizeLinear", ["x", *one])
    model.add("DequantizeLinear", [stepped, *one])
    (stepped,) = model.add("QuantizeLinear", ["x", *many], axis=1)
    model.add("DequantizeLinear", [stepped, *many], axis=1)
    agree(model, atol=1e-5)


# Moves


def test_shapes(agree, rng):
    model = Model(18, x=_numbers(rng, 2, 3, 4), one=_numbers(rng, 1, 3, 1, 5))
    model.add("Reshape", ["x", model.constant([0, -1])])
    model.add("Reshape", ["x", model.constant([4, 3, 2])])
    model.add("Flatten", ["x"], axis=2)
    model.add("Flatten", ["x"], axis=-2)
    model.add("Squeeze", ["one"])
    model.add("Squeeze", ["one", model.constant([2])])
    model.add("Unsqueeze", ["x", model.constant([0, -1])])
    model.add("Transpose", ["x"], perm=[1, 2, 0])
    model.add("Transpose", ["x"])
    model.add("Concat", ["x", "x"], axis=-1)
    model.add("Expand", ["one", model.constant([2, 1, 4, 5])])
    model.add("Tile", ["x", model.constant([1, 2, 3])])
    model.add("Split", ["x", model.constant([1, 3])], outputs=2, axis=2)
    model.add("Split", ["x"], outputs=2, axis=1, num_outputs=2)
    model.add("Trilu", ["x", model.constant(1)], upper=0)
    model.add("Trilu", ["x"], upper=1)
    agree(model)


@pytest.mark.parametrize("opset", [10, 13])
def test_slices(agree, rng, opset):
    model = Model(opset, x=_numbers(rng, 2, 7, 5))
    for starts, ends, axes, steps in (
        ([1], [9999], [1], [1]),
        ([-3], [-1], [-1], [1]),
        ([0, 1], [7, 5], [1, 2], [2, 3]),
        ([6], [-9999], [1], [-2]),
        ([5], [1], [1], [-3]),
        ([-1], [0], [2], [-1]),
    ):
        model.add("Slice", ["x", *map(model.constant, (starts, ends, axes, steps))])
    agree(model)


def test_axes_as_attributes(agree, rng):
    """Opset 9 and 11: what later became inputs."""
    model = Model(9, x=_numbers(rng, 1, 4, 6))
    model.add("Slice", ["x"], starts=[1], ends=[3], axes=[1])
    model.add("Pad", ["x"], pads=[0, 1, 2, 0, 0, 1], value=0.5)
    model.add("Unsqueeze", ["x"], axes=[1])
    model.add("Squeeze", ["x"], axes=[0])
    model.add("ReduceSum", ["x"], axes=[-1], keepdims=0)
    model.add("Split", ["x"], outputs=2, axis=1, split=[1, 3])
    model.add("TopK", ["x"], outputs=2, axis=2, k=2)
    agree(model)


@pytest.mark.parametrize("mode", ["constant", "reflect", "edge", "wrap"])
def test_pads(agree, rng, mode):
    model = Model(19, x=_numbers(rng, 1, 3, 5, 4))
    for pads in ([0, 0, 2, 1, 0, 0, 0, 3], [0, 1, 0, 0, 0, 2, 0, 0], [0, 0, -1, 1, 0, 0, 2, -1]):
        model.add("Pad", ["x", model.constant(pads)], mode=mode)
    model.add("Pad", ["x", model.constant([1, 2]), "", model.constant([-1])], mode=mode)
    agree(model)


def test_blocks(agree, rng):
    model = Model(x=_numbers(rng, 1, 8, 4, 6))
    for mode in ("DCR", "CRD"):
        model.add("DepthToSpace", ["x"], blocksize=2, mode=mode)
    model.add("SpaceToDepth", ["x"], blocksize=2)
    agree(model)


# Windows


def _windows(model: Model, rng: np.random.Generator, rank: int) -> None:
    weight = model.constant(_numbers(rng, 4, 2, *[3] * rank), np.float32)
    bias = model.constant(_numbers(rng, 4), np.float32)
    grouped = model.constant(_numbers(rng, 4, 1, *[3] * rank), np.float32)
    model.add("Conv", ["x", weight, bias], pads=[1] * 2 * rank)
    model.add("Conv", ["x", weight], pads=[0, 1] * rank, strides=[2] * rank)
    model.add("Conv", ["x", weight], dilations=[2] * rank, pads=[2] * 2 * rank)
    model.add("Conv", ["x", weight], auto_pad="SAME_UPPER")
    model.add("Conv", ["x", weight], auto_pad="SAME_LOWER", strides=[2] * rank)
    model.add("Conv", ["x", weight], auto_pad="VALID")
    model.add("Conv", ["x", grouped], group=2)


@pytest.mark.parametrize("rank", [1, 2, 3])
def test_convolutions(agree, rng, rank):
    model = Model(x=_numbers(rng, 1, 2, *[7, 6, 5][:rank]))
    _windows(model, rng, rank)
    agree(model, atol=1e-5)


@pytest.mark.parametrize("rank", [1, 2])
def test_transposed_convolutions(agree, rng, rank):
    model = Model(x=_numbers(rng, 1, 2, *[5, 4][:rank]))
    weight = model.constant(_numbers(rng, 2, 3, *[3] * rank), np.float32)
    bias = model.constant(_numbers(rng, 3), np.float32)
    grouped = model.constant(_numbers(rng, 2, 1, *[3] * rank), np.float32)
    twice = {"strides": [2] * rank}
    model.add("ConvTranspose", ["x", weight, bias], **twice)
    model.add("ConvTranspose", ["x", weight, bias], pads=[1] * 2 * rank, **twice)
    model.add("ConvTranspose", ["x", weight], pads=[0] * rank + [1] * rank, **twice)
    model.add("ConvTranspose", ["x", weight], output_padding=[1] * rank, **twice)
    model.add(
        "ConvTranspose",
        ["x", weight, bias],
        pads=[1] * 2 * rank,
        output_padding=[1] * rank,
        **twice,
    )
    model.add("ConvTranspose", ["x", weight], auto_pad="SAME_UPPER", **twice)
    model.add("ConvTranspose", ["x", weight], output_shape=[10, 9][:rank], **twice)
    model.add("ConvTranspose", ["x", grouped], group=2, **twice)
    agree(model, atol=1e-5)


@pytest.mark.parametrize("rank", [1, 2, 3])
def test_pools(agree, rng, rank):
    model = Model(19, x=_numbers(rng, 1, 2, *[7, 6, 8][:rank]))
    window: dict[str, Any] = {"kernel_shape": [3] * rank}
    for operation in ("MaxPool", "AveragePool"):
        model.add(operation, ["x"], **window)
        model.add(operation, ["x"], pads=[1] * 2 * rank, strides=[2] * rank, **window)
        model.add(operation, ["x"], pads=[0] * rank + [1] * rank, strides=[2] * rank, **window)
        model.add(operation, ["x"], pads=[2] * 2 * rank, **window)
        model.add(operation, ["x"], auto_pad="SAME_UPPER", strides=[2] * rank, **window)
        model.add(operation, ["x"], ceil_mode=1, strides=[2] * rank, **window)
        model.add(operation, ["x"], ceil_mode=1, pads=[1] * 2 * rank, strides=[3] * rank, **window)
    more = {"pads": [1] * 2 * rank, "count_include_pad": 1}
    model.add("AveragePool", ["x"], **more, **window)
    model.add("AveragePool", ["x"], ceil_mode=1, strides=[2] * rank, **more, **window)
    model.add("GlobalAveragePool", ["x"])
    model.add("GlobalMaxPool", ["x"])
    agree(model, core_ml=rank == 2, atol=1e-5)


def test_local_response(agree, rng):
    model = Model(x=_numbers(rng, 1, 6, 3, 2))
    model.add("LRN", ["x"], size=3, alpha=0.2, beta=0.6, bias=1.5)
    model.add("LRN", ["x"], size=5)
    agree(model)


# Dense layers and normalisations


def test_products(agree, rng):
    model = Model(x=_numbers(rng, 2, 3), y=_numbers(rng, 1, 2, 3, 4))
    weight = model.constant(_numbers(rng, 3, 4), np.float32)
    turned = model.constant(_numbers(rng, 4, 3), np.float32)
    row = model.constant(_numbers(rng, 4), np.float32)
    column = model.constant(_numbers(rng, 2, 1), np.float32)
    model.add("Gemm", ["x", weight])
    model.add("Gemm", ["x", turned, row], transB=1)
    model.add("Gemm", ["x", weight, row], alpha=0.5, beta=2.0)
    model.add("Gemm", ["x", weight, column])
    model.add("Gemm", ["x", model.constant(_numbers(rng, 2, 5), np.float32)], transA=1)
    model.add("MatMul", ["x", weight])
    model.add("MatMul", ["x", "y"])
    model.add("Einsum", ["x", "y"], equation="ij,bijk->bik")
    agree(model, atol=1e-5)


def test_normalisations(agree, rng):
    model = Model(17, x=_numbers(rng, 2, 6, 4, 5), flat=_numbers(rng, 2, 6))
    scale = model.constant(_numbers(rng, 6), np.float32)
    bias = model.constant(_numbers(rng, 6), np.float32)
    mean = model.constant(_numbers(rng, 6), np.float32)
    variance = model.constant(rng.uniform(0.5, 2, 6), np.float32)
    for name in ("x", "flat"):
        model.add("BatchNormalization", [name, scale, bias, mean, variance], epsilon=1e-3)
    model.add("InstanceNormalization", ["x", scale, bias], epsilon=1e-3)
    rows = [model.constant(_numbers(rng, 5), np.float32) for _ in range(2)]
    both = [model.constant(_numbers(rng, 4, 5), np.float32) for _ in range(2)]
    model.add("LayerNormalization", ["x", *rows])
    model.add("LayerNormalization", ["x", rows[0]], axis=-1, epsilon=1e-3)
    model.add("LayerNormalization", ["x", *both], axis=2)
    model.add("LayerNormalization", ["x", rows[0], rows[1]], axis=2)
    agree(model, atol=1e-5)


def test_a_function_that_onnx_runtime_writes_out(agree, rng):
    """Its parts speak of shapes, which are folded once they are known."""
    model = Model(21, x=_numbers(rng, 1, 6, 4))
    terms = [model.constant(_numbers(rng, 6), np.float32) for _ in range(2)]
    model.add("GroupNormalization", ["x", *terms], num_groups=3)
    agree(model, atol=1e-5, torch_too=False)


@pytest.mark.parametrize("opset", [11, 13])
def test_softmax(agree, rng, opset):
    model = Model(opset, x=_numbers(rng, 2, 3, 4))
    for operation in ("Softmax", "LogSoftmax"):
        model.add(operation, ["x"])
        model.add(operation, ["x"], axis=1)
        model.add(operation, ["x"], axis=2)
    agree(model)


# Less of an axis


@pytest.mark.parametrize("opset", [13, 18])
def test_reductions(agree, rng, opset):
    model = Model(opset, x=rng.uniform(0.5, 2, (2, 3, 4)).astype(np.float32))
    kinds = "ReduceL1 ReduceL2 ReduceLogSum ReduceLogSumExp ReduceMax ReduceMean ReduceMin"
    for operation in [*kinds.split(), "ReduceProd", "ReduceSum", "ReduceSumSquare"]:
        model.add(operation, ["x"])
        model.add(operation, ["x"], keepdims=0)
        for axes in ([1], [0, -1]):
            if opset == 18 or operation == "ReduceSum":
                model.add(operation, ["x", model.constant(axes)], keepdims=0)
            else:
                model.add(operation, ["x"], axes=axes, keepdims=0)
    model.add("ReduceSum", ["x"], noop_with_empty_axes=1)
    agree(model, atol=1e-5)


def test_places(agree, rng):
    x = rng.permutation(24).reshape(2, 3, 4).astype(np.float32)
    model = Model(x=x, rows=np.array([[1, -1], [0, 1]], np.int64))
    for operation in ("ArgMax", "ArgMin"):
        model.add(operation, ["x"], axis=-1)
        model.add(operation, ["x"], axis=1, keepdims=0)
    model.add("TopK", ["x", model.constant([2])], outputs=2)
    model.add("TopK", ["x", model.constant([1])], outputs=2, axis=1, largest=0)
    for more in ({}, {"reverse": 1}, {"exclusive": 1}, {"exclusive": 1, "reverse": 1}):
        model.add("CumSum", ["x", model.constant(1)], **more)
    for places in (1, -1, [2], [0, -1, 0], [[0, 1], [-1, 2]]):
        model.add("Gather", ["x", model.constant(places)], axis=1)
    model.add("Gather", ["x", "rows"], axis=2)
    model.add("Gather", ["x", "rows"])
    index = rng.integers(-4, 4, (2, 3, 2))
    model.add("GatherElements", ["x", model.constant(index)], axis=2)
    agree(model)


# Other sizes

GRIDS = ("half_pixel", "pytorch_half_pixel", "asymmetric", "align_corners")


@pytest.mark.parametrize("grid", [*GRIDS, "tf_half_pixel_for_nn"])
@pytest.mark.parametrize("mode", ["nearest", "linear", "cubic"])
def test_resizes(agree, rng, mode, grid):
    opset = 11 if grid == "tf_half_pixel_for_nn" else 17
    model = Model(opset, x=_numbers(rng, 1, 2, 4, 6))
    empty = model.constant([], np.float32)
    more: dict[str, Any] = {"mode": mode, "coordinate_transformation_mode": grid}
    roundings = ("round_prefer_floor", "round_prefer_ceil", "floor", "ceil")
    for rounding in roundings if mode == "nearest" else roundings[:1]:
        for scales in ([1, 1, 2, 2], [1, 1, 1.5, 0.5], [1, 1, 2.3, 1.0]):
            factors = model.constant(scales, np.float32)
            model.add("Resize", ["x", empty, factors], nearest_mode=rounding, **more)
        for sizes in ([1, 2, 8, 12], [1, 2, 5, 9], [1, 2, 1, 3]):
            wanted = [model.constant([], np.float32), "", model.constant(sizes)]
            if opset == 11:
                wanted[1] = model.constant([], np.float32)
            model.add("Resize", ["x", *wanted], nearest_mode=rounding, **more)
    agree(model, core_ml=grid in ("half_pixel", "align_corners"), atol=1e-5)


def test_resizes_of_old_models(agree, rng):
    for opset, operation in ((9, "Upsample"), (10, "Resize")):
        model = Model(opset, x=_numbers(rng, 1, 2, 4, 6))
        scales = model.constant([1, 1, 2, 3], np.float32)
        model.add(operation, ["x", scales], mode="nearest")
        model.add(operation, ["x", scales], mode="linear")
        agree(model, atol=1e-5)


# Recurrent layers


@pytest.mark.parametrize("direction", ["forward", "reverse", "bidirectional"])
@pytest.mark.parametrize(("operation", "gates"), [("LSTM", 4), ("GRU", 3), ("RNN", 1)])
def test_recurrent_layers(agree, rng, operation, gates, direction):
    ways = 2 if direction == "bidirectional" else 1
    model = Model(
        x=_numbers(rng, 5, 1, 3), h=_numbers(rng, ways, 1, 4), c=_numbers(rng, ways, 1, 4)
    )
    weights = [
        model.constant(_numbers(rng, ways, gates * 4, width), np.float32) for width in (3, 4)
    ]
    bias = model.constant(_numbers(rng, ways, 2 * gates * 4), np.float32)
    fed = ["h", "c"] if operation == "LSTM" else ["h"]
    more: dict[str, Any] = {"direction": direction, "hidden_size": 4}
    outputs = 3 if operation == "LSTM" else 2
    model.add(operation, ["x", *weights, bias, "", *fed], outputs=outputs, **more)
    model.add(operation, ["x", *weights], outputs=outputs, **more)
    if operation == "GRU":
        model.add("GRU", ["x", *weights, bias], outputs=2, linear_before_reset=1, **more)
    if operation == "RNN":
        more["activations"] = ["Relu"] * ways
        model.add("RNN", ["x", *weights, bias], outputs=2, **more)
    agree(model, core_ml=operation == "LSTM" or direction == "reverse", atol=1e-5)


# Terms and refusals


def test_half_precision_and_numbers_without_axes(agree, rng):
    model = Model(x=_numbers(rng, 2, 3).astype(np.float16), s=np.array(2.0, np.float32))
    (wide,) = model.add("Cast", ["x"], to=TensorProto.FLOAT)
    model.add("Mul", [wide, "s"])
    model.add("ReduceSum", [wide], keepdims=0)
    agree(model, core_ml=False)


def test_what_has_no_counterpart_is_named_with_its_node(tmp_path):
    model = Model(x=np.zeros((3, 1, 2), np.float32), n=np.array([1, 2], np.int64))
    model.add("NonZero", ["x"], name="found")
    model.add("Reshape", ["x", "n"], name="any")
    weights = [model.constant(np.zeros((1, 4, n)), np.float32) for n in (2, 1)]
    peep = model.constant(np.zeros((1, 3)), np.float32)
    model.add("LSTM", ["x", *weights, "", "", "", "", peep], name="lstm", hidden_size=1)
    model.add("MaxPool", ["x"], kernel_shape=[1], outputs=2, name="pool")
    proto = model.proto()
    proto.graph.node.add(op_type="Gelu", domain="com.microsoft", input=["x"], output=["own"])
    assert unmapped(proto) == [
        ("NonZero", "found"),
        ("Reshape (its input 'n' is worked out as the model runs)", "any"),
        ("LSTM (peepholes)", "lstm"),
        ("MaxPool (its second output, the places of the greatest)", "pool"),
        ("com.microsoft.Gelu", "own"),
    ]
    with pytest.raises(ConversionError, match=r"NonZero at 'found', Reshape .* and 1 more"):
        network(proto)


def test_an_error_within_an_operation_is_that_operations(tmp_path):
    model = Model(x=np.zeros((1, 1, 1, 1, 4), np.float32))
    model.add("Reshape", ["x", model.constant([1, 1, 1, 1, 2, 2])], name="six")
    made = onnx_graph.fixed(model.proto(), {"x": (1, 1, 1, 1, 4)})
    with pytest.raises(ConversionError, match=r"Reshape \(six\): it makes a tensor of 6 axes"):
        network(made)(torch.zeros(1, 1, 1, 1, 4))


def test_every_operation_of_the_table_is_tested_here():
    named = set(re.findall(r"\w+", Path(__file__).read_text(encoding="utf-8")))
    assert set(OPERATORS) <= named, sorted(set(OPERATORS) - named)

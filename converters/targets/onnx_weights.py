"""Weights of an ONNX graph in few bits, the arithmetic left alone.

**Half precision**: a weight becomes ``float16`` numbers behind a Cast. Arithmetic in half precision
throughout is another thing: CPUs have next to no kernels for it, so that onnxruntime casts back and
forth between operations, slower and less exact.

**8 bits**: a weight becomes ``int8`` numbers behind a DequantizeLinear, a scale for each output
channel, symmetric (from -127 to 127). Below opset 13, whose DequantizeLinear knows no axis, a Cast
and a Mul say the same. onnxruntime expands it when it loads the file.

**4 bits**: a matrix product with a constant matrix becomes onnxruntime's ``MatMulNBits`` (domain
``com.microsoft``, version 1): blocks of 32 along the inner axis, a scale each, two numbers a byte,
the lower half first, stored as 0 to 15 for -8 to 7. There is no such kernel for convolutions; their
weights stay as they are. onnxruntime's own rewriting needs a package it does not declare, leaves
Gemm out, and says nothing when it found nothing to do.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from converters.engines import engine
from converters.onnx_graph import graphs, names_read
from edge_sdk.backends import Array
from edge_sdk.errors import ConversionError

BLOCK = 32
_WEIGHTS: dict[str, tuple[tuple[int, int], ...]] = {
    "Conv": ((1, 0),),
    "ConvTranspose": ((1, 1),),
    "MatMul": ((1, -1),),
    "Gemm": ((1, 0),),
    "Gather": ((0, 0),),
    "LSTM": ((1, 1), (2, 1)),
    "GRU": ((1, 1), (2, 1)),
    "RNN": ((1, 1), (2, 1)),
    "Loop": tuple((place, -1) for place in range(2, 32)),
}
"""Which inputs of an operation are weights, and on which of their axes the output channels are. A
loop carries those of its body as inputs."""


def opset_of(proto: Any) -> int:
    """The version of the standard operators that the model is written in."""
    return max(
        (int(o.version) for o in proto.opset_import if o.domain in ("", "ai.onnx")), default=1
    )


def half_weights(proto: Any) -> None:
    """Store every weight in half precision, where that can hold it."""
    onnx = engine("onnx")
    done: set[str] = set()
    for graph, node, place, weight, _ in list(_weighted(proto.graph, _WEIGHTS)):
        with np.errstate(over="ignore"):
            numbers = onnx.numpy_helper.to_array(weight).astype(np.float16)
        if not np.isfinite(numbers).all():
            continue
        name = f"{weight.name}_half"
        node.input[place] = f"{weight.name}_real"
        if name in done:  # two layers share it
            continue
        done.add(name)
        graph.initializer.append(onnx.numpy_helper.from_array(numbers, name))
        reader = onnx.helper.make_node(
            "Cast", [name], [f"{weight.name}_real"], name=f"{name}_Cast", to=onnx.TensorProto.FLOAT
        )
        graph.node.insert(0, reader)
    _drop_unread(proto)


def stored_weights(proto: Any, *, axes: bool) -> None:
    """Store every weight in 8 bits.

    Args:
        axes: whether the model's DequantizeLinear knows an axis.
    """
    onnx = engine("onnx")
    done: set[str] = set()
    for graph, node, place, weight, axis in list(_weighted(proto.graph, _WEIGHTS)):
        array = onnx.numpy_helper.to_array(weight)
        others = tuple(i for i in range(array.ndim) if i != axis)
        scale = np.maximum(np.abs(array).max(axis=others, keepdims=True) / 127, 1e-12)
        numbers = np.clip(np.rint(array / scale), -127, 127).astype(np.int8)
        name = f"{weight.name}_axis{axis}"
        node.input[place] = f"{name}_real"
        if name in done:  # two layers share it
            continue
        done.add(name)
        scale = (scale.reshape(-1) if axes else scale).astype(np.float32)
        parts = [
            onnx.numpy_helper.from_array(numbers, f"{name}_int8"),
            onnx.numpy_helper.from_array(scale, f"{name}_scale"),
        ]
        graph.initializer.extend(parts)
        for reader in reversed(_readers(onnx, name, axis if axes else None)):
            graph.node.insert(0, reader)
    _drop_unread(proto)


def _readers(onnx: Any, name: str, axis: int | None) -> list[Any]:
    """The operations that make real numbers of a weight in 8 bits."""
    make = onnx.helper.make_node
    stored, scale, real = f"{name}_int8", f"{name}_scale", f"{name}_real"
    if axis is not None:
        title = f"{name}_DequantizeLinear"
        return [make("DequantizeLinear", [stored, scale], [real], name=title, axis=axis)]
    whole = f"{name}_whole"
    return [
        make("Cast", [stored], [whole], name=f"{name}_Cast", to=onnx.TensorProto.FLOAT),
        make("Mul", [whole, scale], [real], name=f"{name}_Mul"),
    ]


def four_bit_weights(proto: Any) -> None:
    """Store every constant matrix of a product in 4 bits.

    Raises:
        ConversionError: there is none.
    """
    onnx = engine("onnx")
    done = 0
    for graph, node, _, weight, _ in list(_weighted(proto.graph, ("MatMul", "Gemm"))):
        array = onnx.numpy_helper.to_array(weight)
        plain = all(_attribute(node, name, 1.0) == 1.0 for name in ("alpha", "beta"))
        if array.ndim != 2 or not plain or _attribute(node, "transA"):
            continue
        turned = node.op_type == "MatMul" or not _attribute(node, "transB")
        array = array.T if turned else array
        packed, scales = in_blocks(array)
        outer, inner = array.shape
        name = f"{weight.name}_turned" if turned else weight.name
        parts = [
            onnx.numpy_helper.from_array(packed, f"{name}_int4"),
            onnx.numpy_helper.from_array(scales.reshape(-1), f"{name}_scales"),
        ]
        graph.initializer.extend(parts)
        bias = ["", "", node.input[2]] if len(node.input) > 2 else []
        node.CopyFrom(
            onnx.helper.make_node(
                "MatMulNBits",
                [node.input[0], *(p.name for p in parts), *bias],
                list(node.output),
                name=node.name,
                domain="com.microsoft",
                K=inner,
                N=outer,
                bits=4,
                block_size=BLOCK,
            )
        )
        done += 1
    if not done:
        raise ConversionError(
            "onnx-int4-weights is the float build unchanged: it has no product with a constant "
            "matrix, and onnxruntime has no other operation with weights of 4 bits.",
            "Try --recipe int8-weights, or another format: --formats tflite",
        )
    _drop_unread(proto)
    if all(o.domain != "com.microsoft" for o in proto.opset_import):
        proto.opset_import.append(onnx.helper.make_opsetid("com.microsoft", 1))


def in_blocks(matrix: Array) -> tuple[Array, Array]:
    """A matrix (outer x inner) in 4 bits.

    Returns:
        Two numbers a byte, outer x blocks x 16; and a scale for each block, outer x blocks.
    """
    outer, inner = matrix.shape
    blocks = -(-inner // BLOCK)
    padded = np.zeros((outer, blocks * BLOCK), np.float32)
    padded[:, :inner] = matrix
    rows = padded.reshape(outer, blocks, BLOCK)
    # The value of the greatest magnitude becomes -8, the end of the range with the longer reach.
    peak = np.take_along_axis(rows, np.abs(rows).argmax(axis=2)[..., None], axis=2)
    scales = np.where(peak == 0, 1.0, peak / -8).astype(np.float32)
    numbers = (np.clip(np.rint(rows / scales), -8, 7) + 8).astype(np.uint8)
    packed: Array = numbers[..., 0::2] | (numbers[..., 1::2] << 4)
    return packed, scales[..., 0]


def _weighted(
    graph: Any, kinds: Iterable[str], outer: Mapping[str, tuple[Any, Any]] | None = None
) -> Iterator[tuple[Any, Any, int, Any, int]]:
    """Operations of these kinds that read a constant weight, those of branches and bodies too.

    Args:
        outer: the constants that the graphs around this one hold, each with its graph, by name.

    Yields:
        The graph that holds the constant, the operation, which of its inputs it is, the constant,
        and its axis of output channels.
    """
    constants = {**(outer or {}), **{i.name: (graph, i) for i in graph.initializer}}
    real = engine("onnx").TensorProto.FLOAT
    for node in graph.node:
        for place, axis in _WEIGHTS[node.op_type] if node.op_type in kinds else ():
            name = node.input[place] if place < len(node.input) else ""
            home, weight = constants.get(name, (graph, None))
            # What has no two rows is a state or a vector, not worth its scales.
            if weight is None or weight.data_type != real or sorted(weight.dims)[-2:-1] < [2]:
                continue
            turned = node.op_type == "Gemm" and not _attribute(node, "transB")
            yield home, node, place, weight, 1 if turned else axis % len(weight.dims)
        for attribute in node.attribute:
            for inner in (attribute.g, *attribute.graphs):
                yield from _weighted(inner, kinds, constants)


def _attribute(node: Any, name: str, default: float = 0) -> float:
    for attribute in node.attribute:
        if attribute.name == name:
            return float(engine("onnx").helper.get_attribute_value(attribute))
    return default


def _drop_unread(proto: Any) -> None:
    """Leave out the constants that nothing reads any more; keep each name once."""
    for graph in list(graphs(proto.graph)):
        read = {*names_read(graph), *(o.name for o in graph.output)}
        kept = {i.name: i for i in graph.initializer if i.name in read}
        constants = [i.SerializeToString() for i in kept.values()]
        del graph.initializer[:]
        for constant in constants:
            graph.initializer.add().ParseFromString(constant)

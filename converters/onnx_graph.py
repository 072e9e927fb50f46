"""ONNX models taken apart: reading, checking, fixing shapes, folding constants, plain names.

A shape that a model leaves open is fixed where it is written, in the inputs, and what follows from
it is worked out anew: shapes on the way by ONNX's own inference, and the arithmetic on shapes (a
``Shape`` that feeds a ``Reshape``, an ``If`` on a rank) by ONNX Runtime, which folds it into
constants. Without that, converters meet operations that are there for other shapes only.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from converters.engines import engine, quiet
from edge_sdk.backends import Array
from edge_sdk.errors import UsageError

OLDEST_OPSET = 9
CONTROL_FLOW = ("If", "Loop", "Scan")
RECURRENT = ("LSTM", "GRU", "RNN")
_EXPORT = "Export the model again, and look at it with onnx.checker.check_model."


def read_onnx(path: Path) -> Any:
    """The model in a file, its weights with it, checked.

    Raises:
        UsageError: it is no ONNX model, was cut short, is malformed, lacks its weights, is of too
            old an opset, or has weights that are no numbers.
    """
    onnx = engine("onnx")
    decode = engine("google.protobuf.message").DecodeError
    try:
        with quiet():
            proto = onnx.load_model_from_string(path.read_bytes())
    except (decode, UnicodeDecodeError) as error:
        raise UsageError(
            f"{path} is not an ONNX model, or it was cut short.", "Export the model again."
        ) from error
    if not proto.graph.node:
        raise UsageError(f"{path} is an ONNX model without any operation.", _EXPORT)
    _check_opset(proto, path)
    try:
        with quiet():
            onnx.external_data_helper.load_external_data_for_model(proto, str(path.parent))
    except (OSError, ValueError, onnx.checker.ValidationError) as error:
        raise UsageError(
            f"{path} keeps its weights in another file, which does not come with it or does not "
            f"fit: {_line(error)}",
            "Save it whole, where both are: onnx.save(onnx.load('model.onnx'), 'whole.onnx')",
        ) from error
    try:
        with quiet():
            onnx.checker.check_model(proto)
    except onnx.checker.ValidationError as error:
        raise UsageError(f"{path} is no valid ONNX model: {_line(error)}", _EXPORT) from error
    _check_weights(proto, path)
    return proto


def open_inputs(proto: Any) -> list[Any]:
    """The inputs that are fed: old exporters list the weights among them."""
    weights = {each.name for each in proto.graph.initializer}
    return [value for value in proto.graph.input if value.name not in weights]


def shape_of(value: Any) -> tuple[int | str, ...] | None:
    """The axes of an input: a length, or the name of one; nameless ones are ``""``.

    None where not even their number is known. A length of 0 or less is what some exporters write
    for one that they do not know.
    """
    if not value.type.tensor_type.HasField("shape"):
        return None
    return tuple(
        int(dim.dim_value) if dim.dim_value > 0 else str(dim.dim_param)
        for dim in value.type.tensor_type.shape.dim
    )


def set_shape(value: Any, shape: tuple[int | str, ...]) -> None:
    """Write the shape of an input or output."""
    axes = value.type.tensor_type.shape
    del axes.dim[:]
    axes.SetInParent()
    for length in shape:
        axes.dim.add(**{"dim_value" if isinstance(length, int) else "dim_param": length})


def fixed(proto: Any, shapes: Mapping[str, tuple[int, ...]]) -> Any:
    """A copy whose inputs have these shapes, and everything else the shapes that follow.

    Raises:
        UsageError: the model cannot be of these shapes.
    """
    onnx = engine("onnx")
    copy = type(proto)()
    copy.CopyFrom(proto)
    for value in open_inputs(copy):
        set_shape(value, shapes[value.name])
    del copy.graph.value_info[:]
    for value in copy.graph.output:
        value.type.tensor_type.ClearField("shape")
    try:
        with quiet():
            return onnx.shape_inference.infer_shapes(copy, data_prop=True)
    except (RuntimeError, onnx.shape_inference.InferenceError) as error:
        said = ", ".join(f"{name}:{'x'.join(map(str, s))}" for name, s in shapes.items())
        raise UsageError(
            f"The model cannot be of the shapes {said}: {_line(error)}",
            "Give it others: --input NAME:SHAPE",
        ) from error


def folded(model: bytes, folder: Path) -> Any:
    """The model with everything computed that is the same for every input.

    By ONNX Runtime's basic level, which writes ONNX's own operations only; where it does not, or
    cannot, the model as it is.
    """
    onnx, runtime = engine("onnx"), engine("onnxruntime")
    path = folder / "folded.onnx"
    options = runtime.SessionOptions()
    options.log_severity_level = 4
    options.graph_optimization_level = runtime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    options.optimized_model_filepath = str(path)
    with quiet():
        proto = onnx.load_model_from_string(model)
        before = {node.domain for node in proto.graph.node}
        # What it raises it would have raised for the source, which was run: so only folding failed.
        try:
            runtime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
            simpler = onnx.load(str(path))
        except Exception:  # noqa: BLE001 - its exceptions have no common base
            return proto
    used = {node.domain for node in simpler.graph.node}
    if not used <= before:
        return proto
    kept = [each for each in simpler.opset_import if each.domain in used | {""}]
    del simpler.opset_import[:]
    simpler.opset_import.extend(kept)
    return simpler


def control_flow(proto: Any) -> list[str]:
    """The operations left that decide at run time what is computed, with their names."""
    return [
        f"{node.op_type} ({node.name or node.output[0]})"
        for node in proto.graph.node
        if node.op_type in CONTROL_FLOW
    ]


def plain_names(proto: Any) -> dict[str, str]:
    """Rename, in place, inputs and outputs to ``edgeloop_N``; answers the new name by the old.

    Names with a colon or a slash come out of some converters as others, and layouts with them.
    An input that is an output as well keeps one name only.
    """
    values = [*open_inputs(proto), *proto.graph.output]
    names = {name: f"edgeloop_{n}" for n, name in enumerate(dict.fromkeys(v.name for v in values))}
    rename(proto, names)
    return names


def rename(proto: Any, names: Mapping[str, str]) -> None:
    """Give values of the main graph other names, in place; no subgraph may speak of them."""
    graph = proto.graph
    for node in graph.node:
        node.input[:] = [names.get(name, name) for name in node.input]
        node.output[:] = [names.get(name, name) for name in node.output]
    for value in (*graph.input, *graph.output, *graph.value_info, *graph.initializer):
        value.name = names.get(value.name, value.name)


def flatten_outputs(proto: Any, shapes: Mapping[str, tuple[int, ...]]) -> None:
    """Let outputs of three and more axes end, in place, as rows: no layout, nothing to permute.

    A converter that prefers channels last answers ``1x320x320x1`` where the source says
    ``1x1x320x320``, and what was meant cannot be seen where lengths are equal. Rows of numbers have
    one order only; their shape is given back afterwards.
    """
    onnx = engine("onnx")
    for value in proto.graph.output:
        shape = shapes[value.name]
        if len(shape) < 3:
            continue
        inner, rows = f"{value.name}_inner", f"{value.name}_rows"
        for node in proto.graph.node:
            node.input[:] = [inner if name == value.name else name for name in node.input]
            node.output[:] = [inner if name == value.name else name for name in node.output]
        length = [1, math.prod(shape)]
        constant = onnx.numpy_helper.from_array(np.array(length, np.int64), rows)
        proto.graph.initializer.append(constant)
        proto.graph.node.append(onnx.helper.make_node("Reshape", [inner, rows], [value.name]))
        kind = value.type.tensor_type.elem_type
        value.CopyFrom(onnx.helper.make_tensor_value_info(value.name, kind, length))


def untie_states(proto: Any) -> None:
    """Let, in place, no recurrent layer's state be an output of the model itself: times one it is.

    onnx2tf gives the tensor that is an output the output's name, and the layer that goes on to
    compute with it then reads a tensor that nothing makes.
    """
    onnx = engine("onnx")
    made = {name for node in proto.graph.node if node.op_type in RECURRENT for name in node.output}
    for value in proto.graph.output:
        if value.name not in made:
            continue
        state, one = f"{value.name}_state", f"{value.name}_one"
        for node in proto.graph.node:
            node.input[:] = [state if name == value.name else name for name in node.input]
            node.output[:] = [state if name == value.name else name for name in node.output]
        dtype = onnx.helper.tensor_dtype_to_np_dtype(value.type.tensor_type.elem_type)
        proto.graph.initializer.append(onnx.numpy_helper.from_array(np.array(1, dtype), one))
        proto.graph.node.append(onnx.helper.make_node("Mul", [state, one], [value.name]))


def graphs(graph: Any) -> Iterator[Any]:
    """The graph, and those inside its operations (branches, bodies of loops)."""
    yield graph
    for node in graph.node:
        for attribute in node.attribute:
            for inner in (attribute.g, *attribute.graphs):
                if inner.node or inner.output:
                    yield from graphs(inner)


def names_read(graph: Any) -> Iterator[str]:
    """The names that the graph's operations read, and those of the graphs inside them."""
    for each in graphs(graph):
        for node in each.node:
            yield from node.input
        if each is not graph:
            yield from (output.name for output in each.output)


def put_in_order(graph: Any) -> None:
    """Let every operation stand behind those whose answers it reads, in place, else as it was.

    Unlike onnxruntime's own sorting it sees what a branch or a loop's body reads from outside.
    """
    nodes = [type(node).FromString(node.SerializeToString()) for node in graph.node]
    makers = {name: at for at, node in enumerate(nodes) for name in node.output if name}
    waits, readers = [], [list[int]() for _ in nodes]
    for at, node in enumerate(nodes):
        read = [*node.input, *(n for a in node.attribute for n in _inner_names(a))]
        needed = {makers[name] for name in read if name in makers} - {at}
        waits.append(len(needed))
        for maker in needed:
            readers[maker].append(at)
    ready = [at for at, count in enumerate(waits) if not count]
    del graph.node[:]
    while ready:
        at = heapq.heappop(ready)
        graph.node.append(nodes[at])
        for reader in readers[at]:
            waits[reader] -= 1
            if not waits[reader]:
                heapq.heappush(ready, reader)


def _inner_names(attribute: Any) -> Iterator[str]:
    for inner in (attribute.g, *attribute.graphs):
        yield from names_read(inner)
        yield from (output.name for output in inner.output)


def serialized(proto: Any) -> bytes:
    """The same bytes for the same model."""
    return bytes(proto.SerializeToString(deterministic=True))


def _check_opset(proto: Any, path: Path) -> None:
    opset = next((x.version for x in proto.opset_import if x.domain in ("", "ai.onnx")), 0)
    if opset and opset < OLDEST_OPSET:
        raise UsageError(
            f"{path} is of opset {opset}; edgeloop reads opset {OLDEST_OPSET} and up.",
            "Export it again with a newer one (opset_version=17), or try: "
            "onnx.version_converter.convert_version(model, 13)",
        )


def _check_weights(proto: Any, path: Path) -> None:
    for name, array in _constants(proto):
        if array.dtype.kind == "f" and np.isnan(array).any():
            raise UsageError(
                f"{path} has weights that are no numbers: NaN in {name!r}.",
                "Look at the training that made it (a learning rate too high?), and export again.",
            )


def _constants(proto: Any) -> Iterator[tuple[str, Array]]:
    onnx = engine("onnx")
    for tensor in proto.graph.initializer:
        yield tensor.name, onnx.numpy_helper.to_array(tensor)
    for node in proto.graph.node:
        if node.op_type == "Constant" and node.attribute[0].name == "value":
            yield node.output[0], onnx.numpy_helper.to_array(node.attribute[0].t)


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:400]


def lift_constants(proto: Any) -> None:
    """Make initializers of Constant nodes that hold a tensor: weights are looked for there alone.

    Some exporters (Paddle's) write every weight as a node.
    """
    for graph in list(graphs(proto.graph)):
        kept = []
        for node in graph.node:
            held = [a.t for a in node.attribute if node.op_type == "Constant" and a.name == "value"]
            if held and node.domain in ("", "ai.onnx"):
                tensor = graph.initializer.add()
                tensor.CopyFrom(held[0])
                tensor.name = node.output[0]
            else:
                kept.append(node)
        if len(kept) < len(graph.node):
            copies = [type(node).FromString(node.SerializeToString()) for node in kept]
            del graph.node[:]
            graph.node.extend(copies)

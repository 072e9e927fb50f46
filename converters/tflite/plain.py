"""What few tools read of a .tflite, said in operations that all read; the numbers stay the same.

``DENSIFY`` stores weights that are mostly zeros by what is not; litert-quantizer passes them by and
tf2onnx takes the short list for the whole. MediaPipe's ``Convolution2DTransposeBias`` is a
transposed convolution and a bias, which TFLite has as operations of its own today.
"""

from __future__ import annotations

import struct
from typing import Any

import numpy as np

from converters import tflite_graph
from converters.engines import engine, quiet

TRANSPOSED = b"Convolution2DTransposeBias"
_SAME_IN_C = 1


def unfold_sparse(tree: Any) -> int:
    """Store in full what stood behind a ``DENSIFY``, as LiteRT itself unfolds it; how many."""
    schema, graph = _schema(), tree.subgraphs[0]
    found = [
        operator
        for operator in graph.operators
        if tree.operatorCodes[operator.opcodeIndex].builtinCode == schema.BuiltinOperator.DENSIFY
        and tree.buffers[graph.tensors[operator.inputs[0]].buffer].data is not None
    ]
    if not found:
        return 0
    dense = _computed(tree, [int(operator.outputs[0]) for operator in found])
    for operator in found:
        stored, full = graph.tensors[operator.inputs[0]], graph.tensors[operator.outputs[0]]
        full.buffer = tflite_graph.add_buffer(tree, dense[int(operator.outputs[0])])
        tree.buffers[stored.buffer].data, stored.sparsity = None, None
        stored.shape = np.array([0], np.int32)
    gone = {id(operator) for operator in found}
    graph.operators = [operator for operator in graph.operators if id(operator) not in gone]
    return len(found)


def spell_out_transposed(tree: Any) -> int:
    """Write MediaPipe's transposed convolution as ``TRANSPOSE_CONV`` and ``ADD``; how many."""
    schema, graph, count = _schema(), tree.subgraphs[0], 0
    kept: list[Any] = []
    for operator in graph.operators:
        if tree.operatorCodes[operator.opcodeIndex].customCode != TRANSPOSED:
            kept.append(operator)
            continue
        count += 1
        source, weights, bias = (int(at) for at in operator.inputs)
        answer = int(operator.outputs[0])
        padding, stride_w, stride_h = struct.unpack_from("<3i", bytes(operator.customOptions))
        length = tflite_graph.shape(tree, answer)
        name = graph.tensors[answer].name.decode()
        lengths = tflite_graph.add_tensor(tree, f"{name}_lengths", "int32", (len(length),))
        graph.tensors[lengths].buffer = tflite_graph.add_buffer(tree, np.array(length, np.int32))
        between = tflite_graph.add_tensor(tree, f"{name}_unbiased", "float32", length)
        spread = schema.TransposeConvOptionsT()
        spread.padding = schema.Padding.SAME if padding == _SAME_IN_C else schema.Padding.VALID
        spread.strideW, spread.strideH = stride_w, stride_h
        kept += [
            tflite_graph.operator(
                tree, "TRANSPOSE_CONV", [lengths, weights, source], between, spread
            ),
            tflite_graph.operator(tree, "ADD", [between, bias], answer, schema.AddOptionsT()),
        ]
    graph.operators = kept
    return count


def _computed(tree: Any, wanted: list[int]) -> dict[int, Any]:
    """These tensors of the first subgraph, as LiteRT computes them."""
    litert = engine("ai_edge_litert.interpreter")
    with quiet():
        interpreter = litert.Interpreter(
            model_content=tflite_graph.written(tree),
            experimental_preserve_all_tensors=True,
            experimental_op_resolver_type=litert.OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
        )
        interpreter.allocate_tensors()
        for taken in interpreter.get_input_details():
            interpreter.set_tensor(taken["index"], np.zeros(taken["shape"], taken["dtype"]))
        interpreter.invoke()
        return {at: interpreter.get_tensor(at).copy() for at in wanted}


def _schema() -> Any:
    return engine("ai_edge_litert.schema_py_generated")

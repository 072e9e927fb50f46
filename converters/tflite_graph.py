"""TFLite models taken apart: signatures, shapes, and weights that hide behind an operation.

What LiteRT runs, litert-quantizer may still trip over. A model without a SignatureDef has no name
to calibrate it by, and weights stored in half precision stand behind a ``DEQUANTIZE`` each, where
no quantizer looks for them. Both are MediaPipe's habit, and both are mended here without changing
what the model computes: a half-precision number is the same number in single precision.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from converters.engines import engine
from edge_sdk.files import sha256

SIGNATURE = b"serving_default"
LEAST_SHARED = 1024
"""Bytes of a constant worth sharing; small ones may be biases, which quantizers tell apart."""
_CONTENT = b"TFL3"


def read_tflite(model: bytes) -> Any:
    """The file as a tree of objects: ``ModelT``."""
    return _schema().ModelT.InitFromPackedBuf(model, 0)


def written(tree: Any) -> bytes:
    """The tree as a file."""
    builder = engine("flatbuffers").Builder(1024)
    builder.Finish(tree.Pack(builder), _CONTENT)
    return bytes(builder.Output())


def sides(tree: Any) -> tuple[dict[str, int], dict[str, int]]:
    """Inputs and outputs by name, and the tensor of each: by signature if there is one."""
    if tree.signatureDefs:
        signature = tree.signatureDefs[0]
        inputs, outputs = (
            {entry.name.decode(): int(entry.tensorIndex) for entry in side}
            for side in (signature.inputs, signature.outputs)
        )
        return inputs, outputs
    graph = tree.subgraphs[0]
    inputs, outputs = (
        {graph.tensors[at].name.decode(): int(at) for at in side}
        for side in (graph.inputs, graph.outputs)
    )
    return inputs, outputs


def sign(tree: Any, inputs: Mapping[str, int], outputs: Mapping[str, int]) -> None:
    """Give the first subgraph one signature of these names, in place of any it had."""
    schema = _schema()
    signature = schema.SignatureDefT()
    signature.signatureKey, signature.subgraphIndex = SIGNATURE, 0
    signature.inputs, signature.outputs = (
        [_entry(schema, name, at) for name, at in side.items()] for side in (inputs, outputs)
    )
    tree.signatureDefs = [signature]


def name_sides(tree: Any) -> dict[str, str]:
    """Name the tensors of inputs and outputs ``edgeloop_N``; answers their own names by the new.

    Without the signature: a converter that reads names takes them from one or from the other.
    """
    inputs, outputs = sides(tree)
    tensors = tree.subgraphs[0].tensors
    names = {f"edgeloop_{at}": name for name, at in (*inputs.items(), *outputs.items())}
    for at in (*inputs.values(), *outputs.values()):
        tensors[at].name = f"edgeloop_{at}".encode()
    tree.signatureDefs = None
    return names


def shape(tree: Any, at: int) -> tuple[int, ...]:
    """The shape of a tensor of the first subgraph."""
    found = tree.subgraphs[0].tensors[at].shape
    return () if found is None else tuple(int(length) for length in found)


def dtype(tree: Any, at: int) -> str:
    """The type of a tensor of the first subgraph, as numpy calls it."""
    kind = tree.subgraphs[0].tensors[at].type
    names = vars(_schema().TensorType).items()
    return next(str(name).lower() for name, number in names if number == kind)


def fix_inputs(tree: Any, shapes: Mapping[str, tuple[int, ...]]) -> None:
    """Write the inputs' shapes, and let no length be open: LiteRT works out all others anew."""
    inputs, _ = sides(tree)
    for name, at in inputs.items():
        tree.subgraphs[0].tensors[at].shape = np.array(shapes[name], np.int32)
    for graph in tree.subgraphs:
        for tensor in graph.tensors:
            tensor.shapeSignature = None


def settle_codes(tree: Any) -> None:
    """Write each operation's number where it is read today: old files have it in one byte only."""
    for code in tree.operatorCodes:
        code.builtinCode = max(code.builtinCode, code.deprecatedBuiltinCode)


def add_input(tree: Any, name: str, dtype_: str, length: Sequence[int]) -> int:
    """Add an input that nothing depends on; answers its tensor."""
    graph = tree.subgraphs[0]
    at = _tensor(tree, name, getattr(_schema().TensorType, dtype_.upper()), length)
    graph.inputs = np.array([*graph.inputs, at], np.int32)
    return at


def reshape_output(tree: Any, at: int, length: Sequence[int]) -> int:
    """Let an output have another shape of as many numbers; answers its new tensor."""
    graph = tree.subgraphs[0]
    made = _tensor(tree, f"{_name(graph, at)}_shaped", graph.tensors[at].type, length)
    graph.operators.append(_reshape(tree, at, made, length))
    graph.outputs = np.array([made if old == at else old for old in graph.outputs], np.int32)
    return made


def reshape_input(tree: Any, at: int, length: Sequence[int]) -> int:
    """Let an input have another shape of as many numbers; answers its new tensor."""
    graph = tree.subgraphs[0]
    made = _tensor(tree, f"{_name(graph, at)}_shaped", graph.tensors[at].type, length)
    graph.operators.insert(0, _reshape(tree, made, at, shape(tree, at)))
    graph.inputs = np.array([made if old == at else old for old in graph.inputs], np.int32)
    return made


def custom_operations(tree: Any) -> list[str]:
    """The names of the custom operations, once each."""
    used = {int(op.opcodeIndex) for graph in tree.subgraphs for op in graph.operators}
    codes = [tree.operatorCodes[at].customCode for at in sorted(used)]
    return list(dict.fromkeys(code.decode() for code in codes if code))


def operations(tree: Any) -> Iterator[tuple[str, str]]:
    """The type of every operation, of all graphs, with the name of what it makes."""
    names = {at: name for name, at in vars(_schema().BuiltinOperator).items() if name.isupper()}
    for graph in tree.subgraphs:
        for op in graph.operators:
            code = tree.operatorCodes[op.opcodeIndex]
            kind = (
                code.customCode.decode()
                if code.customCode
                else names[max(code.builtinCode, code.deprecatedBuiltinCode)]
            )
            yield kind, _name(graph, op.outputs[0]) if len(op.outputs) else kind


def cut_off(tree: Any) -> list[str]:
    """The names of tensors that an operation reads and nothing makes."""
    found = []
    for graph in tree.subgraphs:
        there = {int(at) for at in graph.inputs} | {
            int(at) for op in graph.operators for at in op.outputs
        }
        for op in graph.operators:
            for at in map(int, op.inputs):
                tensor = graph.tensors[at] if at >= 0 else None
                if tensor is None or at in there or tensor.isVariable:
                    continue
                data = tree.buffers[tensor.buffer].data
                if data is None or not len(data):
                    there.add(at)
                    found.append(_name(graph, at))
    return found


def share_constants(tree: Any) -> None:
    """Keep one copy of weights that several operations use: onnx2tf writes one for each."""
    for graph in tree.subgraphs:
        kept: dict[tuple[Any, ...], int] = {}
        instead: dict[int, int] = {}
        for at, tensor in enumerate(graph.tensors):
            numbers = tree.buffers[tensor.buffer].data
            if numbers is None or len(numbers) < LEAST_SHARED or tensor.quantization is not None:
                continue
            key = (tensor.type, tuple(tensor.shape), sha256(bytes(numbers)))
            first = kept.setdefault(key, at)
            if first != at:
                instead[at] = first
                tensor.buffer, tensor.shape = 0, np.array([0], np.int32)
        for operator in graph.operators:
            operator.inputs = np.array([instead.get(i, i) for i in operator.inputs], np.int32)
    used = {tensor.buffer for graph in tree.subgraphs for tensor in graph.tensors}
    used |= {entry.buffer for entry in tree.metadata or ()}
    for at, buffer in enumerate(tree.buffers):
        if at not in used:
            buffer.data = None


def unfold_halves(tree: Any) -> int:
    """Store weights in single precision that stood in half behind a ``DEQUANTIZE``; how many."""
    schema, count = _schema(), 0
    for graph in tree.subgraphs:
        kept = []
        for operator in graph.operators:
            code = tree.operatorCodes[operator.opcodeIndex]
            number = max(code.builtinCode, code.deprecatedBuiltinCode)
            if number == schema.BuiltinOperator.DEQUANTIZE and _unfold(tree, graph, operator):
                count += 1
            else:
                kept.append(operator)
        graph.operators = kept
    return count


def _unfold(tree: Any, graph: Any, operator: Any) -> bool:
    schema = _schema()
    stored, real = graph.tensors[operator.inputs[0]], graph.tensors[operator.outputs[0]]
    halves = tree.buffers[stored.buffer].data
    if stored.type != schema.TensorType.FLOAT16 or halves is None or stored.sparsity is not None:
        return False
    numbers = np.frombuffer(bytes(halves), np.float16).astype(np.float32)
    real.buffer = _buffer(tree, numbers)
    if not any(
        stored.buffer == other.buffer
        for each in tree.subgraphs
        for other in each.tensors
        if other is not stored
    ):
        tree.buffers[stored.buffer].data = None
        stored.shape = np.array([0], np.int32)
    return True


def operator(tree: Any, kind: str, inputs: Sequence[int], output: int, options: Any) -> Any:
    """An operation of TFLite's own; it is not in the graph yet."""
    schema = _schema()
    code = schema.OperatorCodeT()
    number = getattr(schema.BuiltinOperator, kind)
    code.builtinCode, code.deprecatedBuiltinCode, code.version = number, min(number, 127), 1
    tree.operatorCodes.append(code)
    made = schema.OperatorT()
    made.opcodeIndex = len(tree.operatorCodes) - 1
    made.inputs = np.array(inputs, np.int32)
    made.outputs = np.array([output], np.int32)
    made.builtinOptionsType = getattr(schema.BuiltinOptions, type(options).__name__[:-1])
    made.builtinOptions = options
    return made


def add_tensor(tree: Any, name: str, dtype_: str, length: Sequence[int]) -> int:
    """Add a tensor to the first subgraph; answers its number."""
    return _tensor(tree, name, getattr(_schema().TensorType, dtype_.upper()), length)


def add_buffer(tree: Any, numbers: Any) -> int:
    """Add a constant; answers its number."""
    return _buffer(tree, numbers)


def _reshape(tree: Any, source: int, target: int, length: Sequence[int]) -> Any:
    lengths = np.array(length, np.int32)
    wanted = add_tensor(tree, f"{_name(tree.subgraphs[0], target)}_lengths", "int32", lengths.shape)
    tree.subgraphs[0].tensors[wanted].buffer = _buffer(tree, lengths)
    options = _schema().ReshapeOptionsT()
    options.newShape = lengths
    return operator(tree, "RESHAPE", [source, wanted], target, options)


def _tensor(tree: Any, name: str, kind: int, length: Sequence[int]) -> int:
    made = _schema().TensorT()
    made.name, made.type, made.buffer = name.encode(), kind, 0
    made.shape = np.array(length, np.int32)
    tensors = tree.subgraphs[0].tensors
    tensors.append(made)
    return len(tensors) - 1


def _buffer(tree: Any, numbers: Any) -> int:
    buffer = _schema().BufferT()
    buffer.data = np.frombuffer(numbers.tobytes(), np.uint8)
    tree.buffers.append(buffer)
    return len(tree.buffers) - 1


def _entry(schema: Any, name: str, at: int) -> Any:
    entry = schema.TensorMapT()
    entry.name, entry.tensorIndex = name.encode(), at
    return entry


def _name(graph: Any, at: int) -> str:
    return str(graph.tensors[at].name.decode())


def _schema() -> Any:
    return engine("ai_edge_litert.schema_py_generated")

"""An ONNX graph as a PyTorch module: it walks the graph, one function for each operation.

Weights and other constants are buffers. Core ML knows single precision and 32-bit integers, so
inputs are taken and outputs given in these (see ``engine_dtype``), and half and double precision
are computed in single. The module is made to be traced: what depends on shapes alone is worked out
in Python, and leaves nothing in the trace.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from converters.engines import engine
from converters.onnx_graph import open_inputs
from converters.onnx_torch.node import DOMAINS, Node, plain
from converters.onnx_torch.table import OPERATORS
from edge_sdk.backends import Array
from edge_sdk.errors import ConversionError, EdgeError

Lacking = list[tuple[str, str]]


def unmapped(proto: Any) -> Lacking:
    """The operations that cannot be said in PyTorch's, each with its node's name.

    Cheap: it reads the graph and computes nothing, and imports no PyTorch. Give it a model of fixed
    shapes whose arithmetic on shapes is folded (``converters.onnx_graph.folded``).

    Returns:
        Pairs such as ``("If", "If_0")`` and ``("LSTM (peepholes)", "rnn/LSTM")``.
    """
    found: Lacking = []
    for node in _nodes(proto):
        known = OPERATORS.get(node.operation)
        if known is None:
            if node.operation != "Constant":
                found.append((node.operation, node.name))
        elif reason := known.lacks(node):
            found.append((f"{node.operation} ({reason})", node.name))
    return found


def network(proto: Any) -> Any:
    """The graph as a ``torch.nn.Module`` of its inputs' tensors, in order; answers a tuple.

    Raises:
        ConversionError: an operation has no counterpart; all of them are named.
    """
    torch = engine("torch")
    if lacking := unmapped(proto):
        raise ConversionError(named(lacking))
    return _network_class(torch)(proto)


def named(lacking: Sequence[tuple[str, str]], most: int = 4) -> str:
    """``no counterpart in PyTorch of If (If_0), …``."""
    said = ", ".join(f"{operation} at {node!r}" for operation, node in lacking[:most])
    more = f" and {len(lacking) - most} more" if len(lacking) > most else ""
    return f"Core ML's converter has no counterpart of the operation {said}{more}"


def engine_dtype(kind: str) -> str:
    """How Core ML takes and gives numbers of a kind (``numpy.dtype.kind``)."""
    return "float32" if kind == "f" else "int32"


def _nodes(proto: Any) -> list[Node]:
    opset = next((x.version for x in proto.opset_import if x.domain in DOMAINS), 1)
    constants = _constants(proto)
    return [Node(each, opset, constants) for each in proto.graph.node]


def _constants(proto: Any) -> Mapping[str, Array]:
    onnx = engine("onnx")
    array = onnx.numpy_helper.to_array
    found = {each.name: np.asarray(array(each)) for each in proto.graph.initializer}
    for node in proto.graph.node:
        if node.op_type == "Constant" and node.domain in DOMAINS and node.attribute:
            attribute = node.attribute[0]
            value = onnx.helper.get_attribute_value(attribute)
            if attribute.name == "value":
                found[node.output[0]] = np.asarray(array(value))
            elif attribute.name in ("value_float", "value_floats"):
                found[node.output[0]] = np.asarray(value, np.float32)
            elif attribute.name in ("value_int", "value_ints"):
                found[node.output[0]] = np.asarray(value, np.int64)
    return found


def _network_class(torch: Any) -> Any:
    """The class, made where PyTorch is: its base is PyTorch's."""

    class OnnxNetwork(torch.nn.Module):  # type: ignore[misc]
        def __init__(self, proto: Any) -> None:
            super().__init__()
            self._nodes = [node for node in _nodes(proto) if node.operation != "Constant"]
            kinds = {
                value.name: engine("onnx").helper.tensor_dtype_to_np_dtype(
                    value.type.tensor_type.elem_type
                )
                for value in open_inputs(proto)
            }
            self._inputs = list(kinds.items())
            self._outputs = [value.name for value in proto.graph.output]
            read = {name for node in self._nodes for name in node.inputs} | {*self._outputs}
            self._buffer_of: dict[str, str] = {}
            for number, (name, array) in enumerate(_constants(proto).items()):
                if name in read and array.dtype.kind not in "OSU":
                    self._buffer_of[name] = f"constant_{number}"
                    self.register_buffer(f"constant_{number}", torch.from_numpy(plain(array)))
            for node in self._nodes:
                node.torch = torch

        def forward(self, *inputs: Any) -> tuple[Any, ...]:
            values = {name: getattr(self, buffer) for name, buffer in self._buffer_of.items()}
            for (name, dtype), x in zip(self._inputs, inputs, strict=True):
                values[name] = x != 0 if dtype.kind == "b" else x.to(_computed(torch, dtype))
            for node in self._nodes:
                made = _called(node, [values[n] if n else None for n in node.inputs])
                made = made if isinstance(made, tuple) else (made,)
                values.update(zip(node.outputs, made, strict=False))
            return _apart([_given(torch, values[name]) for name in self._outputs], inputs)

    return OnnxNetwork


def _called(node: Node, arguments: list[Any]) -> Any:
    """One operation's answers.

    Raises:
        ConversionError: PyTorch cannot compute it; says which operation that is.
    """
    try:
        return OPERATORS[node.operation].function(node, *arguments)
    except EdgeError:
        raise
    except Exception as error:
        raise node.fails(" ".join(str(error).split())[:300]) from error


def _computed(torch: Any, dtype: Any) -> Any:
    if dtype.kind == "f":
        return torch.float32
    return torch.int64 if dtype.itemsize == 8 else torch.int32


def _apart(outputs: list[Any], inputs: Sequence[Any]) -> tuple[Any, ...]:
    """The outputs, each a tensor of its own: Core ML gives none that is an input or a twin."""
    seen = {id(x) for x in inputs}
    for at, y in enumerate(outputs):
        if id(y) in seen:
            outputs[at] = y * 1
        seen.add(id(y))
    return tuple(outputs)


def _given(torch: Any, x: Any) -> Any:
    return x if x.dtype == torch.float32 else x.to(torch.int32)

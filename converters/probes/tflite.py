"""TFLite: an interpreter that keeps every tensor.

It runs without delegates: XNNPACK keeps what it takes to itself, and asked for a tensor inside, the
interpreter hands out memory that was never written.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from converters.engines import at_work, engine
from converters.probes.base import Layer
from converters.sources.base import Arrays
from edge_sdk.backends import Array
from edge_sdk.spec import Signature


class TfliteProbe:
    """See ``Probe``."""

    channel_axis = -1

    def __init__(self, model: bytes, signature: Signature) -> None:
        """Load the model; of more than one subgraph the first is looked at."""
        lite = engine("ai_edge_litert.interpreter")
        with at_work("Looking into the TFLite build"):
            self._interpreter = lite.Interpreter(
                model_content=model,
                num_threads=1,
                experimental_preserve_all_tensors=True,
                experimental_op_resolver_type=lite.OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
            )
            self._interpreter.allocate_tensors()
        self._details = {d["name"]: d for d in self._interpreter.get_tensor_details()}
        by_index = {d["index"]: d["name"] for d in self._details.values()}
        self._inputs = {
            name: self._interpreter.get_tensor_details()[index]
            for name, index in self._fed().items()
        }
        self.inputs = tuple(detail["name"] for detail in self._inputs.values())
        self.layers = tuple(_layers(model, by_index, self.inputs))

    def _fed(self) -> dict[str, int]:
        """The index of each input's tensor, by the name the signature gives it."""
        for signature in self._interpreter._get_full_signature_list().values():
            return {str(name): int(index) for name, index in signature["inputs"].items()}
        return {d["name"]: int(d["index"]) for d in self._interpreter.get_input_details()}

    def tensors(self, inputs: Arrays) -> Iterator[tuple[str, Array]]:
        """See ``Probe.tensors``."""
        for name, detail in self._inputs.items():
            self._interpreter.set_tensor(detail["index"], _stored(inputs[name], detail))
        with at_work("Running the TFLite build"):
            self._interpreter.invoke()
        for name in (*self.inputs, *(made for layer in self.layers for made in layer.makes)):
            detail = self._details.get(name)
            if detail is None:
                continue
            try:
                value = self._interpreter.get_tensor(detail["index"])
            except ValueError:  # swallowed by a delegate, or never computed
                continue
            if (real := _real(value, detail)) is not None:
                yield name, real


def _layers(model: bytes, names: dict[int, str], fed: tuple[str, ...]) -> Iterator[Layer]:
    schema = engine("ai_edge_litert.schema_py_generated")
    root = schema.Model.GetRootAs(model, 0)
    graph = root.Subgraphs(0)
    ops = {code: name for name, code in vars(schema.BuiltinOperator).items() if name[0] != "_"}
    made = set(fed)
    for at in range(graph.OperatorsLength()):
        operator = graph.Operators(at)
        code = root.OperatorCodes(operator.OpcodeIndex())
        kind = max(code.BuiltinCode(), code.DeprecatedBuiltinCode())
        reads = [int(operator.Inputs(i)) for i in range(operator.InputsLength())]
        makes = [int(operator.Outputs(i)) for i in range(operator.OutputsLength())]
        outputs = tuple(names[i] for i in makes if i in names)
        if not outputs:
            continue
        yield Layer(
            name=outputs[0],
            op=str(ops.get(kind, kind)),
            reads=tuple(names[i] for i in reads if names.get(i) in made),
            makes=outputs,
        )
        made |= set(outputs)


def _scales(detail: Any) -> tuple[Array, Array, int]:
    found = detail["quantization_parameters"]
    return found["scales"], found["zero_points"], found["quantized_dimension"]


def _real(value: Array, detail: Any) -> Array | None:
    """The value as real numbers; None where it is none (an index, a shape)."""
    scales, zeros, axis = _scales(detail)
    if value.dtype.kind == "f":
        return value
    if value.dtype.kind not in "iu" or not len(scales):
        return None
    if len(scales) > 1:
        shape = [1] * value.ndim
        shape[axis] = -1
        scales, zeros = scales.reshape(shape), zeros.reshape(shape)
    real: Array = (value.astype(np.float32) - zeros) * scales
    return real.astype(np.float32)


def _stored(value: Array, detail: Any) -> Array:
    """The value as the build takes it."""
    scales, zeros, _ = _scales(detail)
    dtype = np.dtype(detail["dtype"])
    array = np.asarray(value)
    if array.dtype.kind == "f" and dtype.kind in "iu" and len(scales):
        limits = np.iinfo(dtype)
        array = np.clip(np.rint(array / scales[0]) + zeros[0], limits.min, limits.max)
    return np.ascontiguousarray(array.astype(dtype)).reshape(detail["shape"])

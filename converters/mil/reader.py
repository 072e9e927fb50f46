"""The seam to coremltools: an ``.mlpackage`` on disk becomes a ``Graph``.

coremltools cannot run a model on Linux, yet it reads one there: the specification, the weights file
beside it, and the compressed weights (``constexpr_*`` operations), which it expands itself. That is
all that is asked of it. Its own checks run while it reads: types and shapes of every operation are
inferred anew and compared with those in the file.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from converters.mil.graph import Argument, Graph, Node
from edge_sdk.errors import ConversionError
from edge_sdk.spec import Dim, DType, TensorSpec

_DTYPES: dict[str, DType] = {
    "fp16": "float16",
    "fp32": "float32",
    "fp64": "float64",
    "int8": "int8",
    "int16": "int16",
    "int32": "int32",
    "int64": "int64",
    "uint8": "uint8",
    "uint16": "uint16",
    "uint32": "uint32",
    "uint64": "uint64",
    "bool": "bool",
    "string": "string",
}


def read_package(package: Path) -> Any:
    """The MIL program in ``package``, as coremltools' own object.

    Raises:
        ConversionError: there is no such package, or coremltools cannot read it; its own error is
            the cause.
    """
    if not package.exists():
        raise ConversionError(f"there is no Core ML package {package}")
    import coremltools
    from coremltools.converters.mil.frontend.milproto import load as milproto

    try:
        model = coremltools.models.MLModel(str(package), skip_model_load=True)
        spec = model.get_spec()
        program = milproto.load(
            spec,
            specification_version=spec.specificationVersion,
            file_weights_dir=model.weights_dir or "",
        )
    except Exception as error:  # coremltools has no error class of its own
        raise ConversionError(
            f"{package} cannot be read as a Core ML program: {_first_line(error)}",
            "convert the model again; what is there is not a whole ML program package",
        ) from error
    program.default_function_name = spec.description.defaultFunctionName or "main"
    return program


def graph_of(program: Any) -> Graph:
    """The default function of a ``coremltools.converters.mil.Program``.

    Raises:
        ConversionError: there is none, or one of its inputs or outputs is not a tensor.
    """
    return _Numbering().graph(_default_function(program))


def operation_counts(program: Any) -> Counter[str]:
    """How many operations of each type it has, nested ones too, constants left out."""
    operations = _walk(_default_function(program).operations)
    return Counter(op.op_type for op in operations if op.op_type != "const")


def _default_function(program: Any) -> Any:
    name = program.default_function_name
    if name not in program.functions:
        raise ConversionError(
            f"the Core ML program has no function {name!r}, only {', '.join(program.functions)}"
        )
    return program.functions[name]


class _Numbering:
    """Gives each coremltools variable a number, in order of first sight."""

    def __init__(self) -> None:
        self.numbers: dict[Any, int] = {}
        self.values: list[TensorSpec] = []
        self.constants: dict[int, Any] = {}

    def graph(self, function: Any) -> Graph:
        inputs = tuple(self.number(variable) for variable in function.inputs.values())
        nodes = tuple(self.node(op) for op in function.operations if not _is_constant(op))
        outputs = tuple(self.number(variable) for variable in function.outputs)
        for number in inputs + outputs:
            if self.values[number].dtype == "string":
                raise ConversionError(
                    f"{self.values[number].name!r} of the Core ML program is not a tensor",
                    "convert without classifier labels or other inputs and outputs of text",
                )
        return Graph(nodes, tuple(self.values), self.constants, inputs, outputs)

    def node(self, op: Any) -> Node:
        arguments: dict[str, Argument] = {}
        for name, given in op.inputs.items():
            if isinstance(given, list | tuple):
                arguments[name] = tuple(self.number(variable) for variable in given)
            else:
                arguments[name] = self.number(given)
        outputs = tuple(self.number(variable) for variable in op.outputs)
        return Node(op.op_type, op.name, arguments, outputs)

    def number(self, variable: Any) -> int:
        if variable not in self.numbers:
            self.numbers[variable] = len(self.values)
            self.values.append(_tensor_spec(variable))
            if variable.op is not None and _is_constant(variable.op):
                self.constants[self.numbers[variable]] = _constant(_value(variable))
        return self.numbers[variable]


def _is_constant(op: Any) -> bool:
    return bool(op.op_type == "const" or op.op_type.startswith("constexpr_"))


def _value(variable: Any) -> Any:
    op = variable.op
    if op.op_type == "const":
        return op.val.val
    values = op.materialized_val_inference()
    return values[op.outputs.index(variable)] if len(op.outputs) > 1 else values


def _constant(value: Any) -> Any:
    if isinstance(value, str | bool):
        return value
    array = np.asarray(value)
    if array.dtype.kind == "f":
        return array.astype(np.float32)
    return str(array) if array.dtype.kind == "U" and array.ndim == 0 else array


def _tensor_spec(variable: Any) -> TensorSpec:
    from coremltools.converters.mil.mil import types

    if not (types.is_tensor(variable.sym_type) or types.is_scalar(variable.sym_type)):
        return TensorSpec(name=variable.name, dtype="string", shape=())
    dtype = _DTYPES.get(types.builtin_to_string(variable.dtype), "string")
    return TensorSpec(name=variable.name, dtype=dtype, shape=tuple(map(_dim, variable.shape)))


def _dim(length: Any) -> Dim:
    from coremltools.converters.mil.mil.types.symbolic import is_symbolic

    return str(length) if is_symbolic(length) else int(length)


def _walk(operations: Iterable[Any]) -> Iterable[Any]:
    for op in operations:
        yield op
        for block in op.blocks:
            yield from _walk(block.operations)


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__

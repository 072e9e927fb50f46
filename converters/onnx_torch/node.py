"""One ONNX operation in its place, as the table's functions see it.

An operation has tensors, which flow, and *terms*: axes, shapes, pads. Until about opset 11 terms
were attributes; since then many are inputs like any other. PyTorch's tracer, and Core ML, want them
as plain numbers. So a term is looked for among the attributes and then among the model's constants;
one that the model works out as it runs is refused, by name.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from converters.engines import engine
from edge_sdk.backends import Array
from edge_sdk.errors import ConversionError

Tensor = Any
"""A ``torch.Tensor``."""

DOMAINS = ("", "ai.onnx")


class Node:
    """An operation of the graph.

    Attributes:
        operation: its type; one of a foreign domain with the domain in front.
        name: its own or, as exporters often leave it empty, its first output's.
        inputs, outputs: names of values; empty where an optional one is left out.
        opset: the version of ONNX's operations that the model speaks.
        torch: PyTorch.
    """

    def __init__(self, proto: Any, opset: int, constants: Mapping[str, Array]) -> None:
        get = engine("onnx").helper.get_attribute_value
        foreign = proto.domain not in DOMAINS
        self.operation = f"{proto.domain}.{proto.op_type}" if foreign else proto.op_type
        self.name = proto.name or next(filter(None, proto.output), "")
        self.inputs, self.outputs = tuple(proto.input), tuple(proto.output)
        self.opset = opset
        self._attributes = {attribute.name: get(attribute) for attribute in proto.attribute}
        self._constants = constants
        self.torch: Any = None

    def attribute(self, name: str, default: Any = None) -> Any:
        """An attribute: a number, text, a list of numbers, or a tensor."""
        value = self._attributes.get(name, default)
        return value.decode() if isinstance(value, bytes) else value

    def gives(self, at: int) -> bool:
        """Whether the optional input is there."""
        return at < len(self.inputs) and bool(self.inputs[at])

    def asks(self, at: int) -> bool:
        """Whether the optional output is asked for."""
        return at < len(self.outputs) and bool(self.outputs[at])

    def known(self, at: int) -> Array | None:
        """The input as an array, if it is there and the same for all that the model is fed."""
        return self._constants.get(self.inputs[at]) if self.gives(at) else None

    def unknown(self, *inputs: int) -> str:
        """The first of these inputs that is there but is worked out as the model runs, in words."""
        for at in inputs:
            if self.gives(at) and self.inputs[at] not in self._constants:
                return f"its input {self.inputs[at]!r} is worked out as the model runs"
        return ""

    def terms(self, name: str, at: int | None = None) -> tuple[int, ...] | None:
        """Whole numbers, out of the attribute or the input; None where neither is given."""
        value = self._attributes.get(name)
        if value is None and at is not None:
            value = self.known(at)
        return None if value is None else tuple(int(n) for n in np.asarray(value).reshape(-1))

    def term(self, name: str, default: int, at: int | None = None) -> int:
        """One whole number, likewise."""
        found = self.terms(name, at)
        return found[0] if found else default

    def number(self, name: str, at: int | None = None) -> float | None:
        """One number, likewise."""
        value = self._attributes.get(name)
        if value is None and at is not None:
            value = self.known(at)
        return None if value is None else float(np.asarray(value).reshape(-1)[0])

    def constant(self, array: Array) -> Tensor:
        """An array as a tensor, in the types that are computed with (see ``plain``)."""
        return self.torch.from_numpy(plain(array))

    def fails(self, why: str) -> ConversionError:
        """The error of what can only be seen with the tensors at hand."""
        return ConversionError(f"the operation {self.operation} ({self.name}): {why}")


def plain(array: Array) -> Array:
    """A copy, fractions in single precision, whole numbers in at least 32 bits, as Core ML's."""
    dtype: Any = array.dtype
    if dtype.kind == "f" or dtype.name == "bfloat16":
        dtype = np.float32
    elif dtype.kind in "iu" and dtype.itemsize < 4:
        dtype = np.int32
    return np.array(array, dtype, order="C")


def lengths(x: Tensor) -> tuple[int, ...]:
    """A tensor's shape as plain numbers; while tracing, PyTorch's own would be traced as well."""
    return tuple(int(length) for length in x.shape)


def positive(axis: int, rank: int) -> int:
    """An axis counted from the front."""
    return axis % rank if rank else 0


@dataclass(frozen=True, slots=True)
class Operator:
    """How one type of operation is said in PyTorch's.

    Attributes:
        function: takes the node and its input tensors, None for those left out; gives a tensor, or
            a tuple of them.
        lacks: says, from the model alone, what of the operation this does not know; empty if
            nothing.
    """

    function: Callable[..., Any]
    lacks: Callable[[Node], str] = lambda _: ""


def terms_known(*inputs: int) -> Callable[[Node], str]:
    """A ``lacks`` for operations of which these inputs must be constants."""
    return lambda at: at.unknown(*inputs)

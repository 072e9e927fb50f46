"""A MIL program as plain tables: which operation reads which values and makes which others.

Core ML's *Model Intermediate Language* is a list of operations in single-assignment form: each
operation has a type (``conv``), named inputs (``x``, ``weight``, ``strides``) and outputs, and each
output is written once. A ``Graph`` keeps that list with every value numbered, so that running it is
indexing into one list. Nothing here knows coremltools or how an operation computes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from edge_sdk.spec import Dim, TensorSpec

Argument = int | tuple[int, ...]
"""The number of the value an operation reads, or the numbers where an input is a list of values."""


@dataclass(frozen=True, slots=True)
class Node:
    """One operation.

    Attributes:
        op_type: MIL's name of it.
        name: its own name in the program, for messages.
        arguments: the values it reads, by MIL's name of the input.
        outputs: the values it writes.
    """

    op_type: str
    name: str
    arguments: Mapping[str, Argument]
    outputs: tuple[int, ...]

    def reads(self) -> Iterator[int]:
        """The numbers of all values it reads."""
        for argument in self.arguments.values():
            if isinstance(argument, int):
                yield argument
            else:
                yield from argument


@dataclass(frozen=True, slots=True)
class Graph:
    """One function of a program.

    Attributes:
        nodes: operations in an order in which each reads only what is already there.
        values: every value's name, type and shape as the program declares them, by number.
        constants: the values known beforehand: numpy arrays (floating ones in float32, whatever
            width they are stored in), text and booleans.
        inputs, outputs: the numbers of the function's own.
    """

    nodes: tuple[Node, ...]
    values: tuple[TensorSpec, ...]
    constants: Mapping[int, Any]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]

    def shape(self, value: int) -> tuple[Dim, ...]:
        """A value's declared shape."""
        return self.values[value].shape

"""Running a graph: constants folded once, then one tight loop over its operations."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from converters.mil.evaluator import Evaluator
from converters.mil.graph import Argument, Graph, Node
from converters.mil.plan import Replacements
from edge_sdk.backends.base import Array
from edge_sdk.errors import ConversionError

_COMPUTING = (ArithmeticError, LookupError, TypeError, ValueError)
"""What numpy raises when it is given what it cannot compute."""


def fold(graph: Graph, evaluators: Mapping[str, Evaluator]) -> Graph:
    """The graph with every operation on constants alone already computed.

    All operations must have evaluators.

    Raises:
        ConversionError: such an operation cannot be computed.
    """
    constants = dict(graph.constants)
    left = []
    for node in graph.nodes:
        if any(value not in constants for value in node.reads()):
            left.append(node)
            continue
        arguments = {name: _fetch(constants, given) for name, given in node.arguments.items()}
        results = _compute(node, evaluators[node.op_type].function, arguments)
        constants.update(zip(node.outputs, results, strict=True))
    return replace(graph, nodes=tuple(left), constants=constants)


@dataclass(frozen=True, slots=True)
class _Step:
    node: Node
    function: Callable[..., Any]
    arguments: tuple[tuple[str, Argument], ...]
    spent: tuple[int, ...]


class Execution:
    """A folded graph made ready to run.

    Args:
        graph: what ``fold`` gave.
        evaluators: for every operation in it.
        replacements: constants to use in place of those written (see ``converters.mil.plan``).
    """

    def __init__(
        self,
        graph: Graph,
        evaluators: Mapping[str, Evaluator],
        replacements: Replacements | None = None,
    ) -> None:
        self._graph = graph
        self._template = [graph.constants.get(number) for number in range(len(graph.values))]
        last_read = {
            value: place for place, node in enumerate(graph.nodes) for value in node.reads()
        }
        kept = {*graph.outputs, *graph.constants}
        self._steps = []
        for place, node in enumerate(graph.nodes):
            fixed = {
                name: graph.constants[argument]
                for name, argument in node.arguments.items()
                if isinstance(argument, int) and argument in graph.constants
            }
            fixed.update((replacements or {}).get(place, {}))
            evaluator = evaluators[node.op_type]
            fixed = {k: v for k, v in fixed.items() if k not in evaluator.ignored}
            flowing = tuple(
                (name, argument)
                for name, argument in node.arguments.items()
                if name not in fixed and name not in evaluator.ignored
            )
            spent = {v for v in node.reads() if last_read[v] == place and v not in kept}
            self._steps.append(
                _Step(node, partial(evaluator.function, **fixed), flowing, tuple(spent))
            )

    def __call__(self, inputs: Sequence[Array]) -> list[Array]:
        """The outputs, in the graph's order, for inputs in the graph's order.

        Raises:
            ConversionError: an operation cannot be computed; it is named, numpy's error the cause.
        """
        values: list[Any] = self._template.copy()
        for number, array in zip(self._graph.inputs, inputs, strict=True):
            values[number] = array
        # As in Core ML, 1/0 is infinity and 0/0 is not a number; neither is worth a warning.
        with np.errstate(all="ignore"):
            for step in self._steps:
                arguments = {name: _fetch(values, given) for name, given in step.arguments}
                results = _compute(step.node, step.function, arguments)
                for number, result in zip(step.node.outputs, results, strict=True):
                    values[number] = result
                for number in step.spent:
                    values[number] = None
        return [values[number] for number in self._graph.outputs]


def _fetch(values: Any, argument: Argument) -> Any:
    if isinstance(argument, int):
        return values[argument]
    return tuple(values[number] for number in argument)


def _compute(
    node: Node, function: Callable[..., Any], arguments: Mapping[str, Any]
) -> tuple[Any, ...]:
    try:
        result = function(**arguments)
    except _COMPUTING as error:
        raise ConversionError(
            f"Core ML operation {node.op_type} {node.name!r} cannot be evaluated: {error}"
        ) from error
    return result if isinstance(result, tuple) else (result,)

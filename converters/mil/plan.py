"""Where the samples lie in every value of a program, if it may be run on many at once.

Applies the operations' batch rules (``converters.mil.batch``) from the inputs to the outputs.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from converters.mil.evaluator import Axis, Batched, Evaluator, Site
from converters.mil.graph import Argument, Graph, Node

Replacements = Mapping[int, Mapping[str, Any]]
"""Constants that a batch needs other than written: by the operation's place, by its input."""


def site_of(graph: Graph, node: Node) -> Site:
    """What the program declares about one of its operations."""

    def shape(argument: Argument) -> Any:
        if isinstance(argument, int):
            return graph.shape(argument)
        return tuple(graph.shape(value) for value in argument)

    return Site(
        shapes={name: shape(argument) for name, argument in node.arguments.items()},
        constants={
            name: graph.constants[argument]
            for name, argument in node.arguments.items()
            if isinstance(argument, int) and argument in graph.constants
        },
        outputs=tuple(graph.shape(value) for value in node.outputs),
        dtypes=tuple(graph.values[value].dtype for value in node.outputs),
    )


def batch_plan(graph: Graph, evaluators: Mapping[str, Evaluator]) -> Replacements | None:
    """What to replace so that the program runs on N samples stacked along axis 0; None if unproven.

    The graph must be folded: then every operation left depends on the inputs, hence on the samples.
    It asks that every input and output has the samples along axis 0, where the program has a 1.
    """
    axes: dict[int, int] = dict.fromkeys(graph.inputs, 0)
    if not graph.inputs or any(graph.shape(value)[:1] != (1,) for value in graph.inputs):
        return None
    replacements: dict[int, Mapping[str, Any]] = {}
    for place, node in enumerate(graph.nodes):
        batched = _batched(graph, node, _axes(node, axes), evaluators[node.op_type])
        if batched is None:
            return None
        axes.update(dict.fromkeys(node.outputs, batched.axis))
        replacements[place] = batched.replaced
    return replacements if all(axes.get(value) == 0 for value in graph.outputs) else None


def _batched(
    graph: Graph, node: Node, where: Mapping[str, Axis], evaluator: Evaluator
) -> Batched | None:
    batched = evaluator.batch(site_of(graph, node), where)
    # Whatever a rule says, the program must have a 1 where the samples would come out.
    if batched and all(graph.shape(value)[batched.axis] == 1 for value in node.outputs):
        return batched
    return None


def _axes(node: Node, axes: Mapping[int, int]) -> dict[str, Axis]:
    """The samples' axis in each argument that has samples."""
    where: dict[str, Axis] = {}
    for name, argument in node.arguments.items():
        if not isinstance(argument, int):
            where[name] = tuple(axes.get(value) for value in argument)
        elif argument in axes:
            where[name] = axes[argument]
    return where

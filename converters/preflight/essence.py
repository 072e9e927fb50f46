"""The essence of a graph: one operation of every kind, side by side in a program of their own.

Converting a network takes as long as it has operations, and most of them are alike. Whether an
engine's word for an operation is one that devices run depends on its kind, and on the types and the
number of axes of what it is given; hardly ever on where it stands.
"""

from __future__ import annotations

import operator
from typing import Any

from converters.engines import engine


def essence(program: Any) -> tuple[Any, tuple[Any, ...]]:
    """A module of one operation of every kind of an exported program, and an example input.

    What was a weight or a constant stays one, with its own numbers; what the graph computes on the
    way becomes an input.
    """
    torch = engine("torch")
    graph, module = torch.fx.Graph(), torch.nn.Module()
    constants = _constants(program)
    chosen = _one_of_every_kind(torch, program)
    open_ = [g for node in chosen for g in node.all_input_nodes if g.name not in constants]
    inputs = iter([graph.placeholder(f"given_{at}") for at in range(len(open_))])
    outputs: list[Any] = []
    for number, node in enumerate(chosen):
        handed: dict[Any, Any] = {}
        for given in node.all_input_nodes:
            if given.name in constants:
                name = f"constant_{number}_{len(handed)}"
                module.register_buffer(name, constants[given.name].detach())
                handed[given] = graph.get_attr(name)
            else:
                handed[given] = next(inputs)
        made = graph.node_copy(node, handed.__getitem__)
        made.meta = {}
        outputs += _tensors(torch, graph, node, made)
    graph.output(tuple(outputs))
    values = [given.meta["val"] for given in open_]
    example = tuple(torch.ones(tuple(value.shape), dtype=value.dtype) for value in values)
    return torch.fx.GraphModule(module, graph).eval(), example


def _one_of_every_kind(torch: Any, program: Any) -> list[Any]:
    """The smallest operation of each kind, those that are given no tensor left out."""
    found: dict[Any, Any] = {}
    for node in program.graph.nodes:
        if node.op != "call_function" or node.target is operator.getitem:
            continue
        given = [each.meta.get("val") for each in node.all_input_nodes]
        if not given or not all(isinstance(value, torch.Tensor) for value in given):
            continue
        kind = (str(node.target), tuple((value.dtype, value.dim()) for value in given))
        if kind not in found or _size(node) < _size(found[kind]):
            found[kind] = node
    return list(found.values())


def _size(node: Any) -> int:
    return sum(int(given.meta["val"].numel()) for given in node.all_input_nodes)


def _tensors(torch: Any, graph: Any, node: Any, made: Any) -> list[Any]:
    """The tensors that an operation answers: one, or those of a tuple that somebody reads."""
    if isinstance(node.meta.get("val"), torch.Tensor):
        return [made]
    read = {user.args[1] for user in node.users if user.target is operator.getitem}
    return [graph.call_function(operator.getitem, (made, at)) for at in sorted(read)]


def _constants(program: Any) -> dict[str, Any]:
    """Weights and constants of an exported program, by the name of their placeholder."""
    signature = program.graph_signature
    held = {**program.state_dict, **program.constants}
    targets = {
        **signature.inputs_to_parameters,
        **signature.inputs_to_buffers,
        **signature.inputs_to_lifted_tensor_constants,
    }
    return {name: held[target] for name, target in targets.items() if target in held}

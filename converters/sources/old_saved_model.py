"""SavedModels that only a session loads: those of TensorFlow 1, and those TensorFlow 2 stumbles at.

A SavedModel of TensorFlow 1 is a graph, a checkpoint, and the names of tensors to feed and fetch.
One of TensorFlow 2 holds the same beside its objects, so that a session loads it where the objects
cannot be made again (an optimizer's slots, a class of a Keras long gone). The session restores the
variables and runs the initializer; then the part of the graph that the signature needs is taken out
with every variable a constant, and the session is done with. What is left is a pure function.

What a session runs is a part of the graph only, and that part is looked through before (see
``converters.sources.trust``): the restoring, the initializer, the signature.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from converters.engines import at_work, engine
from converters.sources.tensorflow import Function
from converters.sources.trust import check_reached
from edge_sdk.errors import ConversionError, UsageError

_OWN = "__saved_model"
"""What the names of signatures begin with that are TensorFlow's own: its initializer."""
_TABLES = re.compile(r"(Mutable)?(Dense)?(Hash|Lookup)Table\w*")
_GIVEN_AS_DEFAULT = "PlaceholderWithDefault"


def is_old(model: Any) -> bool:
    """Whether TensorFlow 1 wrote it: no graph in it knows of objects."""
    return not any(graph.object_graph_def.nodes for graph in model.meta_graphs)


def served_graph(model: Any, folder: Path) -> Any:
    """The graph to serve, by its tags: the only one, or the one for serving on any processor.

    Raises:
        UsageError: there are several, and none is tagged ``serve`` alone.
    """
    graphs = list(model.meta_graphs)
    if len(graphs) == 1:
        return graphs[0]
    plain = [g for g in graphs if set(g.meta_info_def.tags) == {"serve"}]
    if len(plain) != 1:
        tags = "; ".join("+".join(sorted(g.meta_info_def.tags)) or "none" for g in graphs)
        raise UsageError(
            f"{folder} holds {len(graphs)} graphs, tagged {tags}; not exactly one is tagged "
            "serve alone.",
            "Save the one that is to be used: builder.add_meta_graph_and_variables(session, "
            "['serve'], …)",
        )
    return plain[0]


def signatures_of(graph: Any) -> dict[str, Any]:
    """The signatures of a graph that can be called, by name."""
    return {
        name: signature
        for name, signature in graph.signature_def.items()
        if not name.startswith(_OWN) and signature.inputs and signature.outputs
    }


def loaded(
    folder: Path, graph: Any, signature: Any, *, trust_code: bool
) -> tuple[Function, dict[str, Any]]:
    """One signature of a SavedModel as a pure function, and what it takes.

    Returns:
        The function, and a ``tf.TensorSpec`` by input name.

    Raises:
        UsageError: it reaches for files or Python and was not trusted, needs what its signature
            does not list, or is of sparse tensors.
        ConversionError: TensorFlow cannot load it, or it looks something up in a table.
    """
    tf = engine("tensorflow")
    feeds = {name: _tensor_name(name, t, folder) for name, t in signature.inputs.items()}
    fetches = {name: _tensor_name(name, t, folder) for name, t in signature.outputs.items()}
    if not trust_code:
        check_reached(folder, graph, [*feeds.values(), *fetches.values()])
    with at_work(f"Loading {folder}"):
        frozen = _frozen(tf, folder, list(graph.meta_info_def.tags), list(fetches.values()))
    _check(frozen, feeds, folder)
    with at_work(f"Loading {folder}"):
        functions = _functions(frozen)
    given = {name: _spec(tf, t) for name, t in signature.inputs.items()}
    made = {name: _spec(tf, t).shape for name, t in signature.outputs.items()}

    def function(tensors: Mapping[str, Any]) -> dict[str, Any]:
        for each in functions:
            each.add_to_graph(tf.compat.v1.get_default_graph())
        answers = tf.graph_util.import_graph_def(
            frozen,
            input_map={feeds[name]: tensor for name, tensor in tensors.items()},
            return_elements=list(fetches.values()),
            name="",
        )
        for tensor, shape in zip(answers, made.values(), strict=True):
            tensor.set_shape(shape)  # which is lost behind a loop of TensorFlow 1
        # A signature may hand an input on: each output is a tensor of its own.
        return {name: tf.identity(t) for name, t in zip(fetches, answers, strict=True)}

    return function, given


def _functions(frozen: Any) -> list[Any]:
    """The functions of a graph's library, taken out of it, under names that nobody else has."""
    deserialization = engine("tensorflow.python.saved_model.function_deserialization")
    library, nodes = frozen.library, list(frozen.node)
    for node in (*nodes, *(node for function in library.function for node in function.node_def)):
        _made_portable(node)
    del library.gradient[:], library.registered_gradients[:]
    functions = deserialization.load_function_def_library(library)
    for node in nodes:
        deserialization.fix_node_def(node, functions, "")
    frozen.ClearField("library")
    return list(functions.values())


def _frozen(tf: Any, folder: Path, tags: list[str], fetches: list[str]) -> Any:
    """The part of the graph that makes ``fetches``, every variable a constant."""
    v1 = tf.compat.v1
    place = tf.Graph()
    # A graph saved on a GPU machine names its devices.
    config = v1.ConfigProto(allow_soft_placement=True, device_count={"GPU": 0})
    with place.as_default(), v1.Session(graph=place, config=config) as session:
        v1.saved_model.load(session, tags, str(folder))
        return v1.graph_util.convert_variables_to_constants(
            session, place.as_graph_def(), [_node(name) for name in fetches]
        )


def _check(frozen: Any, feeds: Mapping[str, str], folder: Path) -> None:
    """Refuse a graph that is no function of its inputs."""
    fed = {_node(name) for name in feeds.values()}
    if unfed := [n.name for n in frozen.node if n.op == "Placeholder" and n.name not in fed]:
        raise UsageError(
            f"{folder} cannot be run: its signature does not list what it needs as well: "
            f"{', '.join(unfed)}.",
            "Save it with a signature of all inputs, or with placeholder_with_default for those "
            "that only training sets.",
        )
    if loops := [n.name for n in frozen.node if n.op in ("Enter", "RefEnter")]:
        raise ConversionError(
            f"{folder} holds a loop as TensorFlow 1 wrote them ({loops[0]}), which TensorFlow 2 "
            "does not run.",
            "Where it is made: tf.compat.v1.enable_control_flow_v2() first, or static_rnn for "
            "dynamic_rnn; and save it again.",
        )
    if tables := [n.name for n in frozen.node if _TABLES.fullmatch(n.op)]:
        raise ConversionError(
            f"{folder} looks something up in a table ({tables[0]}), which no target has.",
            "Export the model without it, and look things up in the application.",
        )


def _made_portable(node: Any) -> None:
    """Take out, in place, what binds a node to where and how it was made."""
    node.device = ""
    # Lengths that were open when it was saved and are fixed now, neighbours, and gradients.
    for attribute in ("_output_shapes", "_class", "_gradient_op_type"):
        node.attr.pop(attribute, None)
    if node.op == _GIVEN_AS_DEFAULT:
        node.op = "Identity"
        node.attr["T"].CopyFrom(node.attr["dtype"])
        del node.attr["dtype"], node.attr["shape"]


def _tensor_name(name: str, tensor: Any, folder: Path) -> str:
    if not tensor.name:
        raise UsageError(
            f"{name!r} of {folder} is a sparse tensor or a composite one, which no target has.",
            "Save it with a signature of dense tensors.",
        )
    return str(tensor.name)


def _spec(tf: Any, tensor: Any) -> Any:
    return tf.TensorSpec(tf.TensorShape(tensor.tensor_shape), tf.dtypes.as_dtype(tensor.dtype))


def _node(tensor: str) -> str:
    return tensor.partition(":")[0]

"""What a SavedModel could do besides arithmetic: its graph may read and write this machine's files.

A graph is a program. Running it, and even loading it, executes whatever operations it holds, those
that open files and call Python included. So it is looked through before it is loaded, as the
message that it is on the disk. Its own saving and restoring is no offence: every SavedModel has it,
and nobody calls it.

Where a session loads it, the restoring is called: it may read the SavedModel's own checkpoint, and
no other file. Beside that only what the initializer and the signature reach is ever run, so only
that is looked through; graphs of TensorFlow 1 carry much that training left behind.
"""

from __future__ import annotations

import re
from collections.abc import Container, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from converters.engines import at_work, engine
from edge_sdk.errors import UsageError

_CHECKPOINTS = re.compile(r"Save(Slices|V2)?|Restore(Slice|V2)?|MergeV2Checkpoints")
_FILES = re.compile(
    r"ReadFile|WriteFile|RecordInput|ImmutableConst|LoadAndRemapMatrix|GenerateVocabRemapping"
    r"|ImportEvent|FileSystemSetConfiguration|DistributedSave|DatasetToTFRecord|ListSnapshotChunks.*"
    r"|CreateSummary\w+Writer|InitializeTableFromTextFile(V2)?|MatchingFiles(Dataset)?"
    r"|(FixedLengthRecord|TFRecord|TextLine|WholeFile|LMDB)(Reader|Dataset)(V2)?"
    r"|(CSV|Sql|Save|Load|Cache|Snapshot|SnapshotChunk|DataService)Dataset(Reader)?(V\d)?"
    r"|SnapshotNestedDatasetReader|Debug(Identity|NanCount|NumericSummary)(V\d)?"
    r"|PyFunc(Stateless)?|EagerPyFunc"
)


_RESTORE = re.compile(r"Restore(Slice|V2)?")


def check_operations(folder: Path) -> None:
    """Refuse a SavedModel whose graph touches files or calls Python.

    Raises:
        UsageError: it does; names the operations.
        ConversionError: it cannot be read.
    """
    loader = engine("tensorflow.python.saved_model.loader_impl")
    with at_work(f"Reading {folder}"):
        model = loader.parse_saved_model(str(folder))
        found = {op for graph in model.meta_graphs for op in _offences(graph)}
    _refuse(folder, found)


def check_reached(folder: Path, graph: Any, served: Iterable[str]) -> None:
    """Refuse a graph where a session that loads it, or computes ``served``, would do such things.

    Raises:
        UsageError: it would; names the operations.
    """
    functions = {f.signature.name: f for f in graph.graph_def.library.function}
    nodes = {node.name: node for node in graph.graph_def.node}
    ends = [*served, *_initializers(graph)]
    run = [nodes[name] for name in _before(nodes, ends)]
    found = {op for node in _with_called(run, functions) for op in _offence(node, saving=False)}
    saver = graph.saver_def
    restoring = [nodes[name] for name in _before(nodes, [saver.restore_op_name])]
    own = {saver.filename_tensor_name.partition(":")[0]}
    found |= set(_restoring(restoring, nodes, own, functions))
    for node in _with_called(restoring, functions):
        found |= set(_offence(node, saving=bool(_RESTORE.fullmatch(node.op))))
    _refuse(folder, found)


def _refuse(folder: Path, found: set[str]) -> None:
    if found:
        raise UsageError(
            f"{folder} holds operations that reach beyond the model, to files or to Python: "
            f"{', '.join(sorted(found))}.",
            "If you trust whoever made it: --trust-code",
        )


def _initializers(graph: Any) -> Iterator[str]:
    """What a session runs once it has restored the variables."""
    for name, signature in graph.signature_def.items():
        if name.startswith("__saved_model"):
            yield from (tensor.name for tensor in signature.outputs.values())
    for key in ("saved_model_main_op", "legacy_init_op"):
        yield from graph.collection_def[key].node_list.value if key in graph.collection_def else ()


def _with_called(nodes: Iterable[Any], functions: Mapping[str, Any]) -> Iterator[Any]:
    """The nodes, and those of all functions that they call, directly or not."""
    seen: set[str] = set()
    open_ = list(nodes)
    while open_:
        node = open_.pop()
        yield node
        for name in _called(node):
            if name in functions and name not in seen:
                seen.add(name)
                open_ += functions[name].node_def


def _restoring(
    reached: Iterable[Any],
    nodes: Mapping[str, Any],
    own: Container[str],
    functions: Mapping[str, Any],
    within: tuple[str, ...] = (),
) -> Iterator[str]:
    """Restore operations that read another file than the one whose name is in ``own``.

    Args:
        reached: nodes of one graph or function that run.
        nodes: all of its nodes.
        own: nodes or arguments there that hold the checkpoint's name.
        within: the functions that led here, for one may call itself.
    """
    for node in reached:
        if _RESTORE.fullmatch(node.op):
            if _origin(node.input[0], nodes) not in own:
                yield node.op
            continue
        for name in _called(node):
            if (function := functions.get(name)) and name not in within:
                arguments = [argument.name for argument in function.signature.input_arg]
                handed = {
                    argument
                    for argument, given in zip(arguments, node.input, strict=False)
                    if _origin(given, nodes) in own
                }
                inside = {each.name: each for each in function.node_def}
                yield from _restoring(inside.values(), inside, handed, functions, (*within, name))


def _origin(value: str, nodes: Mapping[str, Any]) -> str:
    """The node or argument that a value comes from, passed on as it is."""
    name = value.partition(":")[0]
    for _ in nodes:
        if name in nodes and nodes[name].op == "Identity":
            name = nodes[name].input[0].partition(":")[0]
    return name


def _offences(graph: Any) -> Iterator[str]:
    """Operations that no conversion should execute, of one graph and its functions."""
    functions = {f.signature.name: f for f in graph.graph_def.library.function}
    savers = _savers(graph)
    saving = {name for node in savers.values() for name in _called(node) if name in functions}
    others = [n for n in graph.graph_def.node if n.name not in savers]
    others += [n for name, f in functions.items() if name not in saving for n in f.node_def]
    # What also something else calls, or can be called from outside, is not for saving only.
    saving -= {name for node in others for name in _called(node)}
    saving -= set(graph.object_graph_def.concrete_functions)
    for node in others:
        yield from _offence(node, saving=False)
    for node in savers.values():
        yield from _offence(node, saving=True)
    for name, function in functions.items():
        for node in function.node_def:
            yield from _offence(node, saving=name in saving)


def _offence(node: Any, *, saving: bool) -> Iterator[str]:
    name = node.op.removeprefix("Experimental")
    to_file = name == "PrintV2" and node.attr["output_stream"].s.startswith(b"file:")
    if to_file or _FILES.fullmatch(name) or (not saving and _CHECKPOINTS.fullmatch(name)):
        yield node.op


def _savers(graph: Any) -> dict[str, Any]:
    """The nodes that only the graph's saver needs, by name."""
    nodes = {node.name: node for node in graph.graph_def.node}
    saver = graph.saver_def
    mine = _before(nodes, (saver.save_tensor_name, saver.restore_op_name))
    served = [t.name for s in graph.signature_def.values() for t in s.outputs.values()]
    for tensors in graph.collection_def.values():
        served += tensors.node_list.value
    return {name: nodes[name] for name in mine - _before(nodes, served)}


def _before(nodes: dict[str, Any], ends: Iterable[str]) -> set[str]:
    """The names of the nodes that ``ends`` need, themselves included."""
    found: set[str] = set()
    open_ = list(ends)
    while open_:
        name = open_.pop().removeprefix("^").partition(":")[0]
        if name in nodes and name not in found:
            found.add(name)
            open_ += nodes[name].input
    return found


def _called(node: Any) -> Iterator[str]:
    """The functions that a node calls."""
    yield node.op
    for value in node.attr.values():
        yield value.func.name
        yield from (function.name for function in value.list.func)

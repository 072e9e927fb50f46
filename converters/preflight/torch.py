"""PyTorch models: what each engine has a word for, asked of its own registry, node by node.

Exporting is what the engines begin with, and it tells most: what it cannot follow, they cannot.
What it gives is then taken apart as each engine takes it apart, and every operation that is left is
looked up where the engine itself looks it up. A registry knows names, and not whether devices run
what becomes of them; so of every kind of operation one is converted by litert-torch itself, all of
them in one small program (``converters.preflight.essence``), and loaded by LiteRT.

A small graph is converted whole, which takes no longer; so is one whose essence fails, to be sure.
coremltools translates so quickly that it is always let do it. Every operation carries the layer and
the line of Python that it comes from.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, cast

from converters.engines import at_work, engine, tool_version
from converters.preflight.builds import built
from converters.preflight.essence import essence
from converters.preflight.obstacles import Everything, blamed, obstacle, refused
from converters.preflight.words import Forecast, Problem
from converters.sources.base import Source
from converters.sources.torch import TorchSource
from converters.targets.base import check_distinct
from converters.trunks.torch import layer_and_line
from edge_sdk.backends import backend_for
from edge_sdk.errors import ConversionError, EdgeError
from edge_sdk.spec import Format

_ENGINES: dict[Format, tuple[str, ...]] = {
    "tflite": ("litert_torch",),
    "onnx": ("onnx", "onnxscript", "torch.onnx"),
    "coreml": ("coremltools",),
}
_ASKED: dict[Format, str] = {"tflite": "litert-torch", "onnx": "torch", "coreml": "coremltools"}

WHOLE = 150
"""Operations of a graph that is converted whole."""
_WAYS_OUT = {
    **dict.fromkeys(
        ("topk", "sort", "_unique2", "nonzero", "histc", "median", "kthvalue"),
        "Do it in the application, after the model.",
    ),
    **dict.fromkeys(
        ("upsample_bicubic2d", "grid_sampler_2d"),
        "Resize by 'bilinear' or 'nearest', which every target has.",
    ),
    **dict.fromkeys(
        (
            *("linalg_inv_ex", "linalg_cholesky_ex", "_linalg_eigh", "_linalg_det"),
            *("linalg_inv", "linalg_cholesky", "linalg_eigh", "linalg_eigvalsh", "linalg_det"),
        ),
        "Do it on what is constant before the export, the rest in the application.",
    ),
    "cummax": "Where the length is fixed: torch.maximum, step by step.",
    "erfinv": "Say it as a polynomial of torch.log(1 - x * x).",
}
"""Equals that a target is likelier to have, for operations that have one."""
Places = Mapping[str, list[str]]


def imports(_source: Source, formats: Iterable[Format]) -> None:
    """Import the engines that these formats need; it takes longer than what follows."""
    for format_ in formats:
        for module in _ENGINES[format_]:
            engine(module)


def forecast(source: Source, format_: Format, folder: Path) -> Forecast:
    """What will come of one target."""
    original = cast(TorchSource, source)
    asked = f"{_ASKED[format_]} {tool_version(_ASKED[format_])}"
    if format_ == "coreml":
        return _core_ml(original, folder, asked)
    try:
        if format_ == "onnx":
            check_distinct(original.signature, "ONNX")
        program, lacks = _TAKEN_APART[format_](original)
    except ConversionError as error:
        return refused(format_, [obstacle(error)], asked)
    nodes = [node for node in program.graph.nodes if node.op == "call_function"]
    if lacking := [node for node in nodes if lacks(node)]:
        return refused(format_, _without_words(lacking, asked), asked)
    if len(nodes) > WHOLE and (format_ == "onnx" or _essence_runs(program, folder)):
        return Forecast(format=format_, verdict="converts", checked_by=asked, operations=len(nodes))
    try:
        return built(original, format_, folder, asked)
    except ConversionError as error:
        problems = blamed(error, _places(nodes), Everything(), asked, _WAYS_OUT)
        return refused(format_, tuple(problems), asked)


def _essence_runs(program: Any, folder: Path) -> bool:
    """Whether LiteRT loads what litert-torch makes of one operation of every kind."""
    module, example = essence(program)
    path = folder / "essence.tflite"
    try:
        with at_work("Converting one operation of every kind"), engine("torch").no_grad():
            engine("litert_torch").convert(module, example).export(str(path))
        backend_for("tflite").open(path.read_bytes(), delegates=(), threads=1)
    except EdgeError:
        return False
    return True


def _core_ml(source: TorchSource, folder: Path, asked: str) -> Forecast:
    try:
        return built(source, "coreml", folder, asked)
    except ConversionError as error:
        try:
            with at_work(f"Taking {source.name} apart for Core ML"):
                places = _places(source.exported.run_decompositions({}).graph.nodes)
        except ConversionError:
            places = {}
        problems = blamed(error, places, Everything(), asked, _WAYS_OUT)
        return refused("coreml", tuple(problems), asked)


def _for_onnx(source: TorchSource) -> tuple[Any, Callable[[Any], bool]]:
    """The program as PyTorch's exporter takes it apart, and what has no ONNX function."""
    exporter = engine("torch.onnx._internal.exporter._core")
    dispatching = engine("torch.onnx._internal.exporter._dispatching")
    registrations = engine("torch.onnx._internal.exporter._registration")
    program = source.exported
    with at_work(f"Taking {source.name} apart for ONNX"), engine("torch").no_grad():
        registry = registrations.ONNXRegistry.from_torchlib()
        # On a copy: it works on the program it is given.
        program = exporter._prepare_exported_program_for_export(
            program.run_decompositions({}), registry=registry
        )

    def lacks(node: Any) -> bool:
        return dispatching.dispatch(node, registry)[0] is None

    return program, lacks


def _for_tflite(source: TorchSource) -> tuple[Any, Callable[[Any], bool]]:
    """The program as litert-torch takes it apart, and what it has no lowering for."""
    decompositions = engine("litert_torch.fx_infra.decomp")
    registry = engine("litert_torch.backend.lowerings")
    program = source.exported
    with at_work(f"Taking {source.name} apart for TFLite"), engine("torch").no_grad():
        program = program.run_decompositions(decompositions.pre_lower_decomp())

    def lacks(node: Any) -> bool:
        return hasattr(node.target, "_schema") and registry.lookup(node.target) is None

    return program, lacks


_TAKEN_APART: dict[Format, Callable[[TorchSource], tuple[Any, Callable[[Any], bool]]]] = {
    "onnx": _for_onnx,
    "tflite": _for_tflite,
}


def _without_words(nodes: Iterable[Any], asked: str) -> list[Problem]:
    return [
        Problem(
            operation=name,
            where=tuple(where[:3]),
            count=len(where),
            what=f"{asked} has no way to say it.",
            remedy=_WAYS_OUT.get(name, ""),
        )
        for name, where in _places(nodes).items()
    ]


def _places(nodes: Iterable[Any]) -> dict[str, list[str]]:
    """Layer and line of every operation, by its name in ``torch.ops.aten``."""
    places: dict[str, list[str]] = defaultdict(list)
    for node in nodes:
        if node.op == "call_function":
            places[getattr(node.target, "_opname", node.name)].append(layer_and_line(node.meta))
    return dict(places)

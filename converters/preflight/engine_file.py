"""ONNX and .tflite files: wrapped as they are, or made into another format.

A file is wrapped by the format it is of already, which asks nothing more of it than that it loads
and answers; by the time a forecast is asked for, it has. For another format the float build itself
is made, which is a matter of seconds, most of them the engine's start: no quantization, no proof.
It is loaded, and run once on noise, for some engines write what loads and does not run.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Container, Iterable
from pathlib import Path
from weakref import WeakKeyDictionary

from converters import onnx_graph, tflite_graph
from converters.engines import engine, tool_version
from converters.onnx_torch.table import OPERATORS
from converters.preflight.builds import built, judged
from converters.preflight.obstacles import Everything, blamed, obstacle, refused
from converters.preflight.words import Forecast, Problem
from converters.samples import random_samples
from converters.sources import open_source
from converters.sources.base import Arrays, Source
from converters.sources.engine_file import EngineFileSource
from converters.sources.onnx import OnnxSource
from converters.sources.tflite import TfliteSource
from converters.toolchains import modules, toolchain
from converters.trunks import leads_to
from edge_sdk.errors import ConversionError, UnavailableError, UsageError
from edge_sdk.spec import Format

_ENGINES: dict[tuple[str, Format], tuple[str, ...]] = {
    ("onnx", "tflite"): ("onnx", "ai_edge_litert.interpreter"),
    ("onnx", "coreml"): ("onnx", "torch", "coremltools"),
    ("tflite", "onnx"): ("tf2onnx", "onnx", "onnxruntime"),
    ("tflite", "coreml"): ("tf2onnx", "onnx", "torch", "coremltools"),
}
_WAYS_OUT = {
    **dict.fromkeys(
        ("If", "Loop", "Scan"),
        "Export the one branch that is needed, or fix the input that it depends on.",
    ),
    "NonMaxSuppression": "End the model before it; [postprocess] declares it for the device.",
}

_unwrapped: WeakKeyDictionary[Source, Source] = WeakKeyDictionary()


def imports(source: Source, formats: Iterable[Format]) -> None:
    """Import the engines that lead to these formats."""
    for format_ in formats:
        if leads_to(source.family, format_):
            for module in _ENGINES.get((source.kind, format_), ()):
                engine(module)


def forecast(source: Source, format_: Format, folder: Path) -> Forecast:
    """What will come of one target."""
    assert isinstance(source, EngineFileSource)
    if format_ == source.kind:
        return judged(source.path.read_bytes(), format_, source.checked_by)
    asked = _asked(source.kind, format_)
    try:
        original = _unwrapped.get(source) or _unwrapped.setdefault(source, _opened(source))
    except UsageError as error:
        return refused(format_, [obstacle(error)], asked)
    try:
        return built(original, format_, folder, asked, _noise(original))
    except UnavailableError as error:
        problem = Problem(operation="", what=error.message, remedy=error.hint)
        return Forecast(format=format_, verdict="unforeseen", problems=(problem,))
    except ConversionError as error:
        nodes, known = _nodes(original, folder), _known(source.kind, format_)
        return refused(format_, tuple(blamed(error, nodes, known, asked, _WAYS_OUT)), asked)


def _opened(source: EngineFileSource) -> Source:
    """The same file as what is to be converted: every shape fixed, in floats."""
    return open_source(source.path, shapes=source.shapes, wrap=False)


def _noise(original: Source) -> Arrays | None:
    """An input of noise that the original answers; None where noise is no input for it."""
    samples = random_samples(original.signature, 1).read(0, 1)
    try:
        original.run(samples)
    except ConversionError:
        return None
    return samples


def _asked(kind: str, format_: Format) -> str:
    if (kind, format_) == ("onnx", "tflite"):
        return f"onnx2tf {toolchain('onnx2tf').version}"
    name = {"tflite": "onnx2tf", "onnx": "tf2onnx", "coreml": "coremltools"}[format_]
    return f"{name} {tool_version(name)}"


def _nodes(source: Source, folder: Path) -> dict[str, list[str]]:
    """Where each type of operation stands, of an ONNX model or a .tflite."""
    places: dict[str, list[str]] = defaultdict(list)
    if isinstance(source, OnnxSource):
        for node in onnx_graph.folded(source.model, folder).graph.node:
            places[node.op_type].append(node.name or node.output[0])
    elif isinstance(source, TfliteSource):
        for name, output in tflite_graph.operations(tflite_graph.read_tflite(source.model)):
            places[name].append(output)
    return dict(places)


def _known(kind: str, format_: Format) -> Container[str]:
    """The operations of a file's format that the engine which leads out of it has words for."""
    if (kind, format_) == ("onnx", "tflite"):
        return modules(toolchain("onnx2tf"), "onnx2tf/ops")
    if (kind, format_) == ("onnx", "coreml"):
        return OPERATORS
    if kind == "tflite":
        engine("tf2onnx.tflite_handlers")
        handlers = engine("tf2onnx.handler").tf_op.get_opsets().values()
        return {op.removeprefix("TFL_") for opsets in handlers for opset in opsets for op in opset}
    return Everything()

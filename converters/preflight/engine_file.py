"""Files that an engine runs as they are, and how a build fares in the engine that is to run it.

A ``.tflite`` or ``.onnx`` is wrapped, which asks nothing more of it than that it loads and
answers; by the time a forecast is asked for, it has.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

from converters.engines import engine, quiet
from converters.preflight.words import Forecast, Problem
from converters.sources.base import Source
from converters.sources.engine_file import EngineFileSource
from converters.targets.engine_runner import EngineRunner
from converters.trunks import open_trunk
from edge_sdk.errors import ConversionError
from edge_sdk.spec import Format, Signature


def imports(_source: Source, _formats: Iterable[Format]) -> None:
    """Nothing more than what has opened it."""


def forecast(source: Source, format_: Format, folder: Path) -> Forecast:
    """What will come of one target."""
    assert isinstance(source, EngineFileSource)
    if format_ == source.kind:
        return judged(source.path.read_bytes(), format_, source.checked_by)
    try:
        open_trunk(format_, source, folder)
    except ConversionError as error:
        problem = Problem(operation="", what=error.message, remedy=error.hint)
        return Forecast(format=format_, verdict="does not", problems=(problem,))
    problem = Problem(
        operation="",
        what=f"An engine leads from {source.kind} to {format_}; whether it takes this model is not "
        "foreseen.",
        remedy=f"edge convert SOURCE -o OUT.edge --formats {format_}   # tells by doing it",
    )
    return Forecast(format=format_, verdict="unforeseen", problems=(problem,))


def loaded(model: bytes, format_: Format, declared: Signature, made_by: str) -> Forecast:
    """The forecast of a build that was made: does the engine that is to run it take it, and how?

    Raises:
        ConversionError: it does not load it, or it has other inputs and outputs than declared.
    """
    runner = EngineRunner(model, format_, declared, f"The {format_} build")
    return judged(model, format_, f"{made_by}, {runner.checked_by}")


def judged(model: bytes, format_: Format, checked_by: str) -> Forecast:
    """The forecast of a file that loads."""
    if format_ == "tflite":
        every, plain = _operations(model)
        problems = tuple(_unaccelerated(plain))
        count = sum(every.values())
    else:
        problems, count = (), _node_count(model)
    return Forecast(
        format=format_,
        verdict="falls back" if problems else "converts",
        checked_by=checked_by,
        operations=count,
        problems=problems,
    )


def _unaccelerated(plain: Counter[str]) -> Iterator[Problem]:
    for name, count in plain.most_common():
        yield Problem(
            operation=name,
            count=count,
            what="XNNPACK has no kernel for it here: it runs on LiteRT's plain CPU kernels.",
            remedy="edge bench OUT.edge   # says what that costs",
        )


def _operations(model: bytes) -> tuple[Counter[str], Counter[str]]:
    """The operations of a TFLite model by type: all, and those that no delegate takes."""
    with quiet():
        litert = engine("ai_edge_litert.interpreter")
        interpreter = litert.Interpreter(model_content=model)
        interpreter.allocate_tensors()
        nodes = interpreter._get_ops_details()
    own = [node for node in nodes if node["op_name"] != "DELEGATE"]
    producers = {int(t): node for node in own for t in node["outputs"]}
    taken: set[int] = set()
    for node in nodes:
        if node["op_name"] == "DELEGATE":
            given = {int(t) for t in node["inputs"]}
            open_ = [int(t) for t in node["outputs"]]
            while open_:
                tensor = open_.pop()
                if tensor in given or tensor not in producers:
                    continue
                producer = producers[tensor]
                if producer["index"] not in taken:
                    taken.add(producer["index"])
                    open_ += [int(t) for t in producer["inputs"]]
    return (
        Counter(node["op_name"] for node in own),
        Counter(node["op_name"] for node in own if node["index"] not in taken),
    )


def _node_count(model: bytes) -> int:
    onnx = engine("onnx")
    with quiet():
        return len(onnx.load_model_from_string(model).graph.node)

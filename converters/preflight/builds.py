"""What a build that was made for a forecast says of itself: does it load, and where will it run?"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

from converters.engines import at_work, engine, quiet
from converters.preflight.words import Forecast, Problem
from converters.sources.base import Arrays, Source
from converters.targets.coreml import MilRunner
from converters.targets.engine_runner import EngineRunner
from converters.trunks import CoreMlTrunk, FileTrunk, open_trunk
from edge_sdk.errors import ConversionError, EdgeError
from edge_sdk.spec import Format, Signature


def built(
    source: Source, format_: Format, folder: Path, made_by: str, samples: Arrays | None = None
) -> Forecast:
    """The forecast of a target whose float build takes seconds: it is made.

    Args:
        source: whose trunk is asked for the build.
        format_: the target.
        folder: where to work.
        made_by: the engine and its version.
        samples: inputs that the build has to answer; none where its weights are not its own.

    Raises:
        ConversionError: the engine cannot make it, or what it made does not load, or not run.
    """
    trunk = open_trunk(format_, source, folder)
    if format_ == "coreml":
        return _core_ml(cast(CoreMlTrunk, trunk).build("fp32"), source, folder, made_by)
    model = cast(FileTrunk, trunk).build()
    return loaded(model, format_, source.signature, made_by, samples)


def _core_ml(model: Any, source: Source, folder: Path, made_by: str) -> Forecast:
    package = folder / "preflight.mlpackage"
    with at_work(f"Writing {source.name} for Core ML"):
        model.save(str(package))
    runner = MilRunner(package, source.signature, "The Core ML build")
    problems = tuple(
        Problem(
            operation=name,
            count=runner.operations.get(name, 0),
            what="It converts, and away from Apple's systems it can be looked at, not run.",
            remedy="Convert on macOS to have it proven.",
        )
        for name in runner.unchecked_ops
    )
    return Forecast(
        format="coreml",
        verdict="falls back" if problems else "converts",
        checked_by=made_by,
        operations=sum(runner.operations.values()),
        problems=problems,
    )


def loaded(
    model: bytes,
    format_: Format,
    declared: Signature,
    made_by: str,
    samples: Arrays | None = None,
) -> Forecast:
    """The forecast of a build that was made: does the engine that is to run it take it, and how?

    Raises:
        ConversionError: it does not load it, or it has other inputs and outputs than declared, or
            it does not answer ``samples``.
    """
    runner = EngineRunner(model, format_, declared, f"The {format_} build")
    if samples is not None:
        try:
            runner.run(samples)
        except EdgeError as error:
            raise ConversionError(
                f"It can be made, and {runner.checked_by} does not run what was made: "
                f"{error.message}",
                error.hint,
            ) from error
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

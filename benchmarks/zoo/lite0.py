"""EfficientNet-Lite0 by single engines' defaults: what our variants are held against.

    python -m benchmarks.zoo.lite0

Each engine gets what we get, the network and the photographs, for its ranges too, and is called as
its own documentation calls it, with nothing chosen. Core ML programs are run by our evaluator,
since Apple's own runs on Apple's systems alone. Ours are what ``make zoo`` measured.
"""

from __future__ import annotations

import contextlib
import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from benchmarks.zoo.inputs import photos
from benchmarks.zoo.results import Engines
from benchmarks.zoo.runs import ROOT, Build
from examples.efficientnet.model import lite0

RESULTS = ROOT / "benchmarks" / "results" / "zoo_lite0.json"
Numbers = NDArray[np.float32]


def main() -> int:
    """Measure every engine and keep what was found."""
    pictures = np.asarray(photos()["x"], np.float32)
    network, example = lite0()
    network.eval()
    expected = _torch(network, pictures)
    found: dict[str, Build] = {}
    with tempfile.TemporaryDirectory() as name, contextlib.redirect_stdout(sys.stderr):
        folder = Path(name)
        for engine in (_litert, _onnxruntime, _coreml):
            since = time.perf_counter()
            for label, recipe, size, answers in engine(network, example, pictures, folder):
                found[label] = _build(recipe, size, answers, expected)
                print(label, found[label], f"{time.perf_counter() - since:.0f} s", file=sys.stderr)
    kept = Engines(photos=len(pictures), engines=found)
    RESULTS.write_bytes(msgspec.json.format(msgspec.json.encode(kept), indent=2) + b"\n")
    print(json.dumps(msgspec.to_builtins(kept)))
    return 0


def _torch(network: Any, pictures: Numbers) -> Numbers:
    import torch

    with torch.no_grad():
        return np.asarray(network(torch.from_numpy(pictures)).numpy(), np.float32)


def _build(recipe: str, size: int, answers: Numbers | str, expected: Numbers) -> Build:
    """What an engine's default gave; or, in words, why nothing."""
    if isinstance(answers, str):
        return Build(recipe=recipe, status="refused", reason=answers)
    return Build(
        recipe=recipe,
        status="converted",
        size=size,
        max_difference=float(np.abs(answers - expected).max()),
        argmax=float((answers.argmax(1) == expected.argmax(1)).mean()),
        on="evaluation",
    )


Made = Iterator[tuple[str, str, int, Numbers | str]]


def _litert(network: Any, example: Any, pictures: Numbers, folder: Path) -> Made:
    import litert_torch
    from litert_quantizer import Quantizer, recipe

    path = folder / "lite0.tflite"
    litert_torch.convert(network, example).export(str(path))
    names = _names(path)
    yield "litert-torch", "fp32", path.stat().st_size, _run_litert(path, pictures)
    samples = {names[0]: [{names[1]: picture[None]} for picture in pictures]}
    for label, chosen in (
        ("int8", recipe.static_wi8_ai8()),
        ("int8-dynamic", recipe.dynamic_wi8_afp32()),
        ("int8-weights", recipe.weight_only_wi8_afp32()),
    ):
        job = Quantizer(str(path))
        job.load_quantization_recipe(chosen)
        ranges = job.calibrate(samples) if label == "int8" else None
        made = folder / f"{label}.tflite"
        made.write_bytes(bytes(job.quantize(ranges).quantized_model))
        answers = _run_litert(made, pictures)
        yield f"litert-torch, litert-quantizer {label}", label, made.stat().st_size, answers


def _names(path: Path) -> tuple[str, str]:
    from ai_edge_litert.interpreter import Interpreter

    (key, signature), *_ = Interpreter(str(path)).get_signature_list().items()
    return key, signature["inputs"][0]


def _run_litert(path: Path, pictures: Numbers) -> Numbers:
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(str(path), num_threads=2)
    interpreter.allocate_tensors()
    taken, given = interpreter.get_input_details()[0], interpreter.get_output_details()[0]
    answers = []
    for picture in pictures:
        interpreter.set_tensor(taken["index"], _stored(picture[None], taken))
        interpreter.invoke()
        answers.append(_real(interpreter.get_tensor(given["index"]), given))
    return np.concatenate(answers)


def _stored(numbers: Numbers, detail: Any) -> Any:
    scale, zero = detail["quantization"]
    if not scale:
        return numbers
    limits = np.iinfo(detail["dtype"])
    return np.clip(np.round(numbers / scale) + zero, limits.min, limits.max).astype(detail["dtype"])


def _real(numbers: Any, detail: Any) -> Numbers:
    scale, zero = detail["quantization"]
    return np.asarray((numbers.astype(np.float32) - zero) * scale if scale else numbers, np.float32)


def _onnxruntime(network: Any, example: Any, pictures: Numbers, folder: Path) -> Made:
    import torch
    from onnxruntime.quantization import CalibrationDataReader, quantize_dynamic, quantize_static

    path = folder / "lite0.onnx"
    torch.onnx.export(network, example, str(path), dynamo=True, external_data=False)
    yield "torch.onnx", "fp32", path.stat().st_size, _run_onnx(path, pictures)

    class Photos(CalibrationDataReader):  # type: ignore[misc]
        def __init__(self) -> None:
            self.rest = iter([{_input(path): picture[None]} for picture in pictures])

        def get_next(self) -> Any:
            return next(self.rest, None)

    made = folder / "static.onnx"
    quantize_static(str(path), str(made), Photos())
    size = made.stat().st_size
    yield "onnxruntime quantize_static", "int8", size, _run_onnx(made, pictures)
    made = folder / "dynamic.onnx"
    try:
        quantize_dynamic(str(path), str(made))
    except Exception as error:  # noqa: BLE001 - it stumbles over PyTorch's own export
        yield "onnxruntime quantize_dynamic", "int8-dynamic", 0, _first_line(error)
        return
    size = made.stat().st_size
    yield "onnxruntime quantize_dynamic", "int8-dynamic", size, _run_onnx(made, pictures)


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0]


def _input(path: Path) -> str:
    import onnxruntime

    return str(onnxruntime.InferenceSession(str(path)).get_inputs()[0].name)


def _run_onnx(path: Path, pictures: Numbers) -> Numbers:
    import onnxruntime

    session = onnxruntime.InferenceSession(str(path))
    name = session.get_inputs()[0].name
    return np.concatenate([session.run(None, {name: picture[None]})[0] for picture in pictures])


def _coreml(network: Any, example: Any, pictures: Numbers, folder: Path) -> Made:
    import coremltools as ct
    import coremltools.optimize.coreml as cto
    import torch

    program = torch.export.export(network, example).run_decompositions({})
    model = ct.convert(program)
    yield _packed("coremltools", "fp16", model, pictures, folder)
    settings = cto.OptimizationConfig(global_config=cto.OpLinearQuantizerConfig())
    smaller = cto.linear_quantize_weights(model, settings)
    yield _packed("coremltools linear_quantize_weights", "int8-weights", smaller, pictures, folder)


def _packed(
    label: str, recipe: str, model: Any, pictures: Numbers, folder: Path
) -> tuple[str, str, int, Numbers]:
    from converters.mil import MilProgram

    package = folder / f"{recipe}.mlpackage"
    model.save(str(package))
    program = MilProgram.load(package)
    name = program.signature.inputs[0].name
    run: Callable[[dict[str, Any]], dict[str, Any]] = program.run
    answers = [next(iter(run({name: picture[None]}).values())) for picture in pictures]
    size = sum(file.stat().st_size for file in package.rglob("*") if file.is_file())
    return label, recipe, size, np.concatenate(answers)


if __name__ == "__main__":
    sys.exit(main())

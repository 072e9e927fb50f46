"""From a model's path to its first answer, next to the engine called by hand.

Every load happens in a fresh process, the engine, numpy and edgeloop imported before the clock
starts; processes alternate, by hand, edgeloop, edgeloop, by hand. The model's file is in the
kernel's cache. A ratio is the median over the rounds of the rounds' own ratios. On a machine that
others use too the wall's time of single loads is mostly theirs; so the processor time is told too.

* ``litert``, ``onnxruntime``: without any cache.
* ``kept weights``: LiteRT's CompiledModel with XNNPACK's weights kept, by hand in a file that was
  named for this model, by edgeloop in its cache.
* ``artifact``: the same LiteRT model in an ``.edge`` file whose golden vectors were run before and
  whose model was unpacked, by which edgeloop has to read a manifest and to see that nothing has
  changed; there is no limit for it.

    python benchmarks/load_time.py [--quick]
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks._models import int8_model, onnx_model
from benchmarks._processes import environment
from edge_sdk.backends.weight_cache import SETTLED_SECONDS

ROUNDS = 16
QUICK_ROUNDS = 4
LIMIT = 1.1

_START = """
import sys
from time import perf_counter, process_time
import numpy as np
model, cache = sys.argv[1:]
"""
_END = """
print((perf_counter() - start) * 1000, (process_time() - busy) * 1000)
"""
LITERT = f"""{_START}
from ai_edge_litert.interpreter import Interpreter
x = np.zeros((1, 224, 224, 3), np.int8)
busy, start = process_time(), perf_counter()
engine = Interpreter(model_path=model, num_threads=1)
engine.allocate_tensors()
engine.set_tensor(engine.get_input_details()[0]["index"], x)
engine.invoke()
engine.get_tensor(engine.get_output_details()[0]["index"])
{_END}"""
KEPT = f"""{_START}
from ai_edge_litert.compiled_model import (
    CompiledModel, CpuOptions, Environment, HardwareAccelerator, Options)
x = np.zeros((1, 224, 224, 3), np.int8)
busy, start = process_time(), perf_counter()
options = Options(
    hardware_accelerators=HardwareAccelerator.CPU,
    cpu_options=CpuOptions(num_threads=1, xnnpack_weight_cache_path=cache + "/weights"))
engine = CompiledModel.from_file(model, options=options, environment=Environment.create())
inputs, outputs = engine.create_input_buffers(0), engine.create_output_buffers(0)
inputs[0].write(x)
engine.run_by_index(0, inputs, outputs)
outputs[0].read(1000, np.int8)
{_END}"""
ONNX = f"""{_START}
import onnxruntime
x = np.zeros((1, 224, 224, 3), np.float32)
busy, start = process_time(), perf_counter()
options = onnxruntime.SessionOptions()
options.intra_op_num_threads = 1
engine = onnxruntime.InferenceSession(model, options, ["CPUExecutionProvider"])
engine.run(None, {{engine.get_inputs()[0].name: x}})
{_END}"""


ARTIFACT = "edge_sdk.artifact, edge_sdk.runtime.unpacked, edge_sdk.machine.profile"


def ours(backend: str, imports: str, dtype: str, options: str = "") -> str:
    """The same by ``edge_sdk.load``, what it imports at the first load being imported before."""
    return f"""{_START}
import {imports}
import edge_sdk.runtime, edge_sdk.backends.{backend.replace("-", "_")}
x = np.zeros((1, 224, 224, 3), np.{dtype})
busy, start = process_time(), perf_counter()
session = edge_sdk.load(model, backend="{backend}", threads=1{options})
session.run({{session.signature.inputs[0].name: x}})
{_END}"""


def main() -> None:
    parser = argparse.ArgumentParser(prog="load_time")
    parser.add_argument("--quick", action="store_true", help="a rough answer in some seconds")
    rounds = QUICK_ROUNDS if parser.parse_args().quick else ROUNDS
    interpreter, compiled = "ai_edge_litert.interpreter", "ai_edge_litert.compiled_model"
    mapped = ", cache=cache"
    with tempfile.TemporaryDirectory() as folder:
        light, onnx = int8_model("mobilenet_v2"), onnx_model("mobilenet_v2")
        packed = artifact(light, Path(folder))
        pairs = {
            "litert": (LITERT, light, ours("litert", interpreter, "int8"), light),
            "kept weights": (
                KEPT,
                light,
                ours("litert-compiled", f"{compiled}, {interpreter}", "int8", mapped),
                light,
            ),
            "onnxruntime": (ONNX, onnx, ours("onnxruntime", "onnxruntime", "float32"), onnx),
            "artifact": (
                LITERT,
                light,
                ours("litert", f"{interpreter}, {ARTIFACT}", "int8", mapped),
                packed,
            ),
        }
        ratios = {}
        for name, (raw, raw_model, own, own_model) in pairs.items():
            caches = [Path(folder, f"{name} {whose}") for whose in ("by hand", "ours")]
            for cache in caches:
                cache.mkdir()
            by_hand = (raw, raw_model, caches[0])
            by_us = (own, own_model, caches[1])
            wall, busy, raw_ms = compared(by_hand, by_us, rounds)
            ratios[name] = round(wall, 3)
            ratios[f"{name}, processor"] = round(busy, 3)
            print(f"{name}: {wall:.3f}x of {raw_ms:.1f} ms, {busy:.3f}x busy", file=sys.stderr)
    result = {
        "about": "from the path to the first answer, MobileNetV2, one thread, fresh processes",
        "peer": f"the engine by hand (ai-edge-litert {version('ai-edge-litert')}, "
        f"onnxruntime {version('onnxruntime')})",
        "ratios": ratios,
        "limits": {name: LIMIT for name in ratios if not name.startswith("artifact")},
    }
    print(json.dumps(result))


Start = tuple[str, Path, Path]
"""A program, its model and its cache."""


def compared(by_hand: Start, by_us: Start, rounds: int) -> tuple[float, float, float]:
    """The median ratios by the wall and by the processor, and the median time by hand."""
    for start in (by_hand, by_us):
        milliseconds(start)  # the caches are filled
    time.sleep(SETTLED_SECONDS)  # until then a new file is read whole at every load
    milliseconds(by_us)
    walls, busies, times = [], [], []
    for _ in range(rounds):
        (a, a_busy), (b, b_busy), (c, c_busy), (d, d_busy) = [
            milliseconds(each) for each in (by_hand, by_us, by_us, by_hand)
        ]
        walls.append((b + c) / (a + d))
        busies.append((b_busy + c_busy) / (a_busy + d_busy))
        times += [a, d]
    return statistics.median(walls), statistics.median(busies), statistics.median(times)


def milliseconds(start: Start) -> tuple[float, float]:
    program, model, cache = start
    command = [sys.executable, "-c", program, str(model), str(cache)]
    done = subprocess.run(
        command,
        check=True,
        capture_output=True,
        text=True,
        env={**environment(), "OPENBLAS_NUM_THREADS": "1"},  # numpy's own threads count as busy
    )
    wall, busy = done.stdout.splitlines()[-1].split()
    return float(wall), float(busy)


def artifact(model: Path, folder: Path) -> Path:
    """The model, wrapped with golden vectors."""
    path = folder / "mobilenet_v2-1.0.0.edge"
    command = [sys.executable, "-m", "edge_sdk", "convert", str(model), "-o", str(path)]
    subprocess.run(command, check=True, capture_output=True)
    return path


if __name__ == "__main__":
    main()

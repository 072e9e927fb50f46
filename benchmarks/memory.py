"""What memory edgeloop takes beside the engine, and whether closing gives it back.

A script that calls the engine by hand and one that calls ``edge_sdk.load`` and ``session.run`` run
the same model once, each in a process of its own; what counts is the resident memory at the end.
Then each engine loads, runs and closes a model 500 times in one process; what counts is by how much
the process's own memory has grown since the 20th time. A share of 1.0 uses up what was promised.

    python benchmarks/memory.py [--quick]
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks._models import int8_model, onnx_model
from benchmarks._processes import environment

ALLOWED_MB = 6
GROWTH_MB = 2
CYCLES = 500
RUNS = 5

_RESIDENT = """
import re, sys
def megabytes(what):
    with open("/proc/self/status") as file:
        return int(re.search(what + r":\\s*(\\d+) kB", file.read())[1]) / 1024
"""
LITERT = f"""{_RESIDENT}
import numpy as np
from ai_edge_litert.interpreter import Interpreter
engine = Interpreter(model_path=sys.argv[1], num_threads=1)
engine.allocate_tensors()
given, = engine.get_input_details()
engine.set_tensor(given["index"], np.zeros(given["shape"], given["dtype"]))
engine.invoke()
y = engine.get_tensor(engine.get_output_details()[0]["index"])
print(megabytes("VmRSS"))
"""
ONNX = f"""{_RESIDENT}
import numpy as np
import onnxruntime
options = onnxruntime.SessionOptions()
options.intra_op_num_threads = 1
engine = onnxruntime.InferenceSession(sys.argv[1], options, ["CPUExecutionProvider"])
given, = engine.get_inputs()
y = engine.run(None, {{given.name: np.zeros(given.shape, np.float32)}})
print(megabytes("VmRSS"))
"""
OURS = f"""{_RESIDENT}
import numpy as np
import edge_sdk
session = edge_sdk.load(sys.argv[1], threads=1)
given, = session.engine_signature.inputs
y = session.run({{given.name: np.zeros(given.shape, given.dtype)}})
print(megabytes("VmRSS"))
"""
CYCLE = f"""{_RESIDENT}
import numpy as np
import edge_sdk
path, backend, count = sys.argv[1:]
def cycle():
    with edge_sdk.load(path, backend=backend, threads=1) as session:
        given, = session.engine_signature.inputs
        session.run({{given.name: np.zeros(given.shape, given.dtype)}})
for _ in range(20):
    cycle()
before = megabytes("RssAnon")
for _ in range(int(count)):
    cycle()
print(megabytes("RssAnon") - before)
"""


def main() -> None:
    parser = argparse.ArgumentParser(prog="memory")
    parser.add_argument("--quick", action="store_true", help="a rough answer in some seconds")
    quick = parser.parse_args().quick
    light, onnx = int8_model("mobilenet_v2"), onnx_model("mobilenet_v2")
    ratios = {}
    for name, raw, model in (("litert", LITERT, light), ("onnxruntime", ONNX, onnx)):
        runs = range(2 if quick else RUNS)
        by_hand = statistics.median(said(raw, model) for _ in runs)
        ours = statistics.median(said(OURS, model) for _ in runs)
        print(f"{name}: {ours:.1f} MB, {by_hand:.1f} MB by hand", file=sys.stderr)
        ratios[f"{name} over the engine"] = round(ours / by_hand, 3)
        share = round((ours - by_hand) / ALLOWED_MB, 3)
        ratios[f"{name} more than the engine, of {ALLOWED_MB} MB"] = share
    tiny = {"onnxruntime": onnx_model("tiny")}
    for backend in ("litert", "litert-compiled", "tensorflow", "onnxruntime"):
        model = tiny.get(backend, int8_model("tiny"))
        grown = said(CYCLE, model, backend, 50 if quick else CYCLES)
        print(f"{backend}: {grown:+.2f} MB after {CYCLES} loads", file=sys.stderr)
        ratios[f"{backend}: left by {CYCLES} loads, of {GROWTH_MB} MB"] = round(
            grown / GROWTH_MB, 3
        )
    result = {
        "about": "resident memory of MobileNetV2 loaded and run, and of loading again and again",
        "peer": f"the engine by hand (ai-edge-litert {version('ai-edge-litert')}, "
        f"onnxruntime {version('onnxruntime')}), or the megabytes promised",
        "ratios": ratios,
        "limits": {name: 1 for name in ratios if " MB" in name},
    }
    print(json.dumps(result))


def said(program: str, *arguments: object) -> float:
    """The number that a program prints at its end, in a process of its own."""
    command = [sys.executable, "-c", program, *map(str, arguments)]
    done = subprocess.run(command, check=True, capture_output=True, text=True, env=environment())
    return float(done.stdout.splitlines()[-1])


if __name__ == "__main__":
    main()

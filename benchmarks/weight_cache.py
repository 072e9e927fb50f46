"""What kept weights are worth, and what a delegate that fails leaves behind.

Loads of one float and one int8 model through LiteRT's CompiledModel, from the path to the first
answer, in turns: cold (an empty cache, which is written), warm (found), and without a cache; all in
one process, the engine and the model's file being in memory already, which flatters "without".
Then one and the same model with a plain CPU session and with one in which a delegate was tried
first and refused: calls in turns, A B B A, on pairs of sessions made afresh in alternating order.

    python benchmarks/weight_cache.py [--quick]
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import sys
import tempfile
import time
from pathlib import Path
from time import perf_counter

import numpy as np

import edge_sdk
from edge_sdk.backends import backend
from edge_sdk.backends.weight_cache import SETTLED_SECONDS

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks._models import float_dense, int8_model

LOADS = 15
PAIRS = 20
ROUNDS = 40


def main() -> None:
    parser = argparse.ArgumentParser(prog="weight_cache")
    parser.add_argument("--quick", action="store_true", help="a rough answer in a few seconds")
    quick = parser.parse_args().quick
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        models = {"dense float32": float_dense(folder / "dense.tflite")}
        models["mobilenet_v2 int8"] = int8_model("mobilenet_v2")
        ratios = {}
        for name, model in models.items():
            cold, warm, none = loads(model, folder / "cache", 5 if quick else LOADS)
            print(
                f"{name}: {cold:.1f} cold, {warm:.1f} warm, {none:.1f} ms without", file=sys.stderr
            )
            ratios[f"{name} warm over cold"] = round(warm / cold, 3)
            ratios[f"{name} warm over none"] = round(warm / none, 3)
        refused = left_behind(models["mobilenet_v2 int8"], 4 if quick else PAIRS)
    ratios["after a refused delegate"] = round(refused, 4)
    result = {
        "about": "loading with kept weights; a CPU session after a delegate was refused",
        "peer": "a cold load; a load without a cache; a session that was asked for the CPU",
        "ratios": ratios,
        "limits": {
            "dense float32 warm over cold": 0.8,
            "after a refused delegate": 1.05,
        },
    }
    print(json.dumps(result))


def loads(model: Path, cache: Path, count: int) -> tuple[float, float, float]:
    """Median milliseconds to the first answer: cold, warm, and without a cache."""
    engine = backend("litert-compiled")

    def load(folder: Path | None) -> float:
        start = perf_counter()
        loaded = engine.open(model, delegates=(), threads=1, cache=folder)
        loaded.run([np.zeros(tensor.shape, tensor.dtype) for tensor in loaded.signature.inputs])
        took = (perf_counter() - start) * 1000
        loaded.close()
        return took

    load(None)
    time.sleep(SETTLED_SECONDS + 0.1)  # a file that was written just now is read whole every time
    cold, warm, none = [], [], []
    for _ in range(count):
        shutil.rmtree(cache, ignore_errors=True)
        cold.append(load(cache))
        warm.append(load(cache))
        none.append(load(None))
    return statistics.median(cold), statistics.median(warm), statistics.median(none)


def left_behind(model: Path, pairs: int) -> float:
    """The time of a session whose first delegate was refused, over that of one on the CPU."""
    found = []
    for pair in range(pairs):
        lists = [["xnnpack"], ["edgetpu", "xnnpack"]]
        sessions = {}
        for which in (0, 1) if pair % 2 else (1, 0):
            sessions[which] = edge_sdk.load(model, delegates=lists[which], threads=1)
        assert sessions[1].placement.refused
        (tensor,) = sessions[0].engine_signature.inputs
        inputs = {tensor.name: np.zeros(tensor.shape, tensor.dtype)}
        ratios = []
        for _ in range(ROUNDS):
            took = [0.0, 0.0]
            for which in (0, 1, 1, 0):
                start = perf_counter()
                sessions[which].run(inputs)
                took[which] += perf_counter() - start
            ratios.append(took[1] / took[0])
        found.append(statistics.median(ratios))
        for session in sessions.values():
            session.close()
    return statistics.median(found)


if __name__ == "__main__":
    main()

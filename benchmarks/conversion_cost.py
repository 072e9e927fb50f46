"""What ``edge convert`` of one variant costs beside the engine's own call alone.

The engine's side is the shortest program that does its job: load the model, convert, write the
file. Ours is the command. Each is a fresh process, in turns, imports and all, because that is what
is waited for. What the engine's program does not do, the proof, is not counted: the steps in which
answers are given, compared and timed are taken off the command's wall time, as ``edge convert
--json`` tells them, and shown beside it. The peak of memory and the processor time are the whole
command's, proof included. All are ratios of medians; on a machine with other work the wall time is
worth little.

    python benchmarks/conversion_cost.py [--quick]
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from time import perf_counter

RUNS, QUICK_RUNS = 5, 1
LIMIT = 1.15
TOLD = {"wall_s": "wall", "peak_mb": "peak memory", "cpu_s": "processor, proof and all"}
PROOF = (
    *("read the data", "check how the model is fed", "record the golden vectors"),
    *("compare with the original", "measure the latency", "measure the baseline"),
)
"""Steps of a conversion that the engine's own program has no like of."""

MODEL = """
import keras, sys
keras.utils.set_random_seed(20261123)
model = keras.applications.MobileNetV2(input_shape=(224, 224, 3), weights=None)
model.save(sys.argv[1])
"""
ENGINES = {
    "tflite": """
import sys, keras, tensorflow as tf
model = keras.models.load_model(sys.argv[1], compile=False)
open(sys.argv[2], "wb").write(tf.lite.TFLiteConverter.from_keras_model(model).convert())
""",
    "onnx": """
import sys, keras, tensorflow as tf, tf2onnx
model = keras.models.load_model(sys.argv[1], compile=False)
spec = [tf.TensorSpec((1, 224, 224, 3), tf.float32, name="x")]
call = tf.function(lambda x: {"y": model(x, training=False)}, input_signature=spec)
tf2onnx.convert.from_function(call, input_signature=spec, opset=18, output_path=sys.argv[2])
""",
}


@dataclass(frozen=True)
class Cost:
    """Of one process: wall and processor seconds, peak memory; and what was proof of the wall."""

    wall_s: float
    cpu_s: float
    peak_mb: float
    proof_s: float = 0.0


def main() -> None:
    parser = argparse.ArgumentParser(prog="conversion_cost")
    parser.add_argument("--quick", action="store_true", help="one run of each")
    runs = QUICK_RUNS if parser.parse_args().quick else RUNS
    ratios: dict[str, float] = {}
    medians: dict[str, dict[str, float]] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        model = folder / "mobilenet_v2.keras"
        subprocess.run([sys.executable, "-c", MODEL, model], check=True, stdout=sys.stderr)
        for format_, program in ENGINES.items():
            bare, ours = [], []
            for _ in range(runs):
                bare.append(engine(program, model, folder / "bare"))
                ours.append(command(format_, model, folder / "ours.edge"))
                print(f"{format_}: {bare[-1]}\n  edge: {ours[-1]}", file=sys.stderr)
            for what, called in TOLD.items():
                pair = [statistics.median(getattr(c, what) for c in side) for side in (bare, ours)]
                ratios[f"{format_} {called}"] = round(pair[1] / pair[0], 3)
                medians[f"{format_} {what}"] = {
                    "engine": round(pair[0], 1),
                    "edge": round(pair[1], 1),
                }
            proof = statistics.median(c.proof_s for c in ours)
            medians[f"{format_} proof_s"] = {"edge": round(proof, 1)}
    result = {
        "about": "edge convert of Keras's MobileNetV2 to one fp32 variant, less the proof's time",
        "peer": f"the engine's own call in a fresh process (tensorflow {version('tensorflow')}, "
        f"tf2onnx {version('tf2onnx')})",
        "ratios": ratios,
        "limits": {what: LIMIT for what in ratios if "processor" not in what},
        "medians": medians,
    }
    print(json.dumps(result))


def engine(program: str, model: Path, output: Path) -> Cost:
    """The engine's own program."""
    return measured([sys.executable, "-c", program, str(model), str(output)])[0]


def command(format_: str, model: Path, output: Path) -> Cost:
    """``edge convert`` to the fp32 variant of a format."""
    words = [
        "convert",
        str(model),
        "-o",
        str(output),
        "--formats",
        format_,
        "--recipe",
        "fp32",
        "--no-cache",
    ]
    cost, told = measured([sys.executable, "-m", "edge_sdk", *words, "--json"])
    seconds = json.loads(told)["seconds"]
    print(f"  steps: {seconds}", file=sys.stderr)
    proof = sum(seconds.get(step, 0.0) for step in PROOF)
    return Cost(cost.wall_s - proof, cost.cpu_s, cost.peak_mb, proof)


def measured(words: list[str]) -> tuple[Cost, str]:
    """What a program cost that has to succeed, and what it printed."""
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "KERAS_BACKEND": "tensorflow"}
    start = perf_counter()
    with tempfile.TemporaryFile("w+") as said:
        process = subprocess.Popen(words, stdout=said, stderr=subprocess.DEVNULL, env=environment)
        _, status, used = os.wait4(process.pid, 0)
        wall = perf_counter() - start
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode != 0:
            raise SystemExit(f"conversion_cost: exit code {process.returncode} of {words}")
        said.seek(0)
        cost = Cost(wall, used.ru_utime + used.ru_stime, used.ru_maxrss / 1000)
        return cost, said.read()


if __name__ == "__main__":
    main()

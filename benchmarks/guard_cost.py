"""What declared limits add to an answer: a session that keeps them beside one that has none.

Both sessions are of the same model, on one thread, and answer the same input in turns, so that a
drift of the machine's speed falls on both alike. Ratios are of the medians.

    arrays      ``run`` looks at every number: a range and finiteness
    pictures    ``predict`` looks at a copy of at most 160 pixels: light, focus and size

    python benchmarks/guard_cost.py [--quick]
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
from collections.abc import Callable
from pathlib import Path
from time import perf_counter_ns
from typing import Any

import numpy as np

import edge_sdk
from edge_sdk.processing import read_processing
from edge_sdk.spec import InputLimits

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks._models import int8_model, onnx_model
from examples.assets import asset

SPECS = Path(__file__).resolve().parents[1] / "examples"
LIMITS = {"run, MobileNetV2, ONNX fp32": 1.1, "predict, faces, 720p": 2.5}
"""Looking at an input costs little beside asking about it. The second is the worst there is: one of
the smallest models behind a large picture, which is shrunk twice."""
LIGHT = InputLimits(min_luma=5, max_luma=250, max_burnt=0.9, min_sharpness=1, min_contrast=1)


def main() -> None:
    parser = argparse.ArgumentParser(prog="guard_cost")
    parser.add_argument("--quick", action="store_true", help="fewer calls")
    calls = 40 if parser.parse_args().quick else 400
    ratios, added = {}, {}
    for what, pair in (
        ("run, tiny, ONNX fp32", lambda: arrays(onnx_model("tiny"))),
        ("run, MobileNetV2, ONNX fp32", lambda: arrays(onnx_model("mobilenet_v2"))),
        ("run, MobileNetV2, TFLite int8", lambda: arrays(int8_model("mobilenet_v2"))),
        ("predict, faces, 720p", pictures),
    ):
        bare_us, kept_us = side_by_side(*pair(), calls)
        ratios[what] = round(kept_us / bare_us, 3)
        added[what] = round(kept_us - bare_us, 1)
    result = {
        "about": "an answer of a session that keeps declared limits",
        "peer": "a session without limits",
        "ratios": ratios,
        "limits": LIMITS,
        "added_us": added,
    }
    print(json.dumps(result))


def side_by_side(
    bare: Callable[[], object], kept: Callable[[], object], calls: int
) -> tuple[float, float]:
    """Microseconds of a call, the medians."""
    taken: dict[Callable[[], object], list[float]] = {bare: [], kept: []}
    for call in taken:
        for _ in range(10):
            call()
    for at in range(calls):
        for call in (bare, kept) if at % 2 else (kept, bare):
            started = perf_counter_ns()
            call()
            taken[call].append((perf_counter_ns() - started) / 1000)
    return statistics.median(taken[bare]), statistics.median(taken[kept])


def arrays(path: Path) -> tuple[Callable[[], object], Callable[[], object]]:
    """``run`` on noise, without and with a range that holds it."""
    bare = edge_sdk.load(path, threads=1)
    (tensor,) = bare.signature.inputs
    kept = edge_sdk.load(path, threads=1, guard=InputLimits(ranges={tensor.name: (-1e6, 1e6)}))
    shape = tuple(dim if isinstance(dim, int) else 1 for dim in tensor.shape)
    noise = np.random.default_rng(1).uniform(-100, 100, shape)
    inputs = {tensor.name: noise.astype(tensor.dtype)}
    return lambda: bare.run(inputs), lambda: kept.run(inputs)


def pictures() -> tuple[Callable[[], object], Callable[[], object]]:
    """``predict`` on a picture of 1280 x 720, without and with all limits of one."""
    picture = np.random.default_rng(1).integers(0, 256, (720, 1280, 3), np.uint8)
    before, after = read_processing(SPECS / "face_detection" / "face.toml")
    load: Any = lambda guard: edge_sdk.load(  # noqa: E731
        asset("face-detection-short-range"),
        threads=1,
        preprocess=before,
        postprocess=after,
        guard=guard,
    )
    bare, kept = load(False), load(LIGHT)
    return lambda: bare.predict(picture), lambda: kept.predict(picture)


if __name__ == "__main__":
    main()

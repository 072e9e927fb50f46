"""What ``session.run`` adds to LiteRT's own ``set_tensor``, ``invoke``, ``get_tensor``.

Where an interpreter's memory happens to lie changes its speed by up to half a percent, so each pair
of interpreters, one bare and one inside a session, is made afresh, in alternating order. Within a
pair the calls go in rounds of four, bare, session, session, bare, so that a drift of the machine's
speed falls on both alike. A round's ratio is that of its two sums, a pair's the median of its
rounds; the result is the median of the pairs, with a bootstrap interval over them. Both use one
thread and are fed the same int8 array.

    python benchmarks/session_overhead.py [--quick]
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from time import perf_counter_ns

import numpy as np
from ai_edge_litert.interpreter import Interpreter

import edge_sdk

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks._models import int8_model

WARM_UP_CALLS = 10
RESAMPLES = 5000


@dataclass(frozen=True)
class Effort:
    """How much is measured of one model: pairs of interpreters, rounds of four calls in each."""

    pairs: int
    rounds: int


FULL = {"mobilenet_v2": Effort(30, 50), "tiny": Effort(30, 2000)}
QUICK = {"mobilenet_v2": Effort(6, 15), "tiny": Effort(6, 500)}
LIMITS = {"mobilenet_v2": 1.02}


@dataclass(frozen=True)
class Overhead:
    """One model's result: the ratio, its 95 % interval, and the bare engine's median time."""

    ratio: float
    low: float
    high: float
    bare_us: float
    added_us: float


def main() -> None:
    parser = argparse.ArgumentParser(prog="session_overhead")
    parser.add_argument("--quick", action="store_true", help="a rough answer in a few seconds")
    efforts = QUICK if parser.parse_args().quick else FULL
    found = {}
    for name, effort in efforts.items():
        found[name] = measure(int8_model(name), effort)
        print(told(name, found[name]), file=sys.stderr)
    result = {
        "about": "session.run of an int8 model, one thread",
        "peer": f"ai-edge-litert {version('ai-edge-litert')}: set_tensor, invoke, get_tensor",
        "ratios": {name: round(overhead.ratio, 4) for name, overhead in found.items()},
        "limits": LIMITS,
        "intervals_95": {
            name: [round(overhead.low, 4), round(overhead.high, 4)]
            for name, overhead in found.items()
        },
        "added_us": {name: round(overhead.added_us, 2) for name, overhead in found.items()},
    }
    print(json.dumps(result))


def told(name: str, overhead: Overhead) -> str:
    return (
        f"{name}: {overhead.ratio:.4f}x  (95 %: {overhead.low:.4f} to {overhead.high:.4f};"
        f" here {overhead.added_us:.1f} us more than {overhead.bare_us:.1f} us)"
    )


def measure(model: Path, effort: Effort) -> Overhead:
    ratios, bare_times, added = [], [], []
    for pair in range(effort.pairs):
        bare, ours = one_pair(model, effort.rounds, session_first=pair % 2 == 1)
        ratios.append(float(np.median(ours / bare)))
        bare_times.append(float(np.median(bare)) / 2000)
        added.append(float(np.median(ours - bare)) / 2000)
    low, high = bootstrap(np.array(ratios))
    return Overhead(
        ratio=statistics.median(ratios),
        low=low,
        high=high,
        bare_us=statistics.median(bare_times),
        added_us=statistics.median(added),
    )


def one_pair(model: Path, rounds: int, *, session_first: bool) -> tuple[np.ndarray, np.ndarray]:
    """Nanoseconds of two bare calls and of two of a session's, by round, on fresh interpreters."""
    makers: list[Callable[[Path], Callable[[], object]]] = [bare_call, session_call]
    if session_first:
        bare, ours = [maker(model) for maker in reversed(makers)][::-1]
    else:
        bare, ours = [maker(model) for maker in makers]
    for _ in range(WARM_UP_CALLS):
        bare()
        ours()
    times = np.empty((rounds, 4))
    for row in times:
        for column, call in enumerate((bare, ours, ours, bare)):
            start = perf_counter_ns()
            call()
            row[column] = perf_counter_ns() - start
    return times[:, 0] + times[:, 3], times[:, 1] + times[:, 2]


def bare_call(model: Path) -> Callable[[], object]:
    interpreter = Interpreter(model_content=model.read_bytes(), num_threads=1)
    interpreter.allocate_tensors()
    (given,), (taken,) = interpreter.get_input_details(), interpreter.get_output_details()
    x, into, out = input_for(given["shape"]), given["index"], taken["index"]

    def call() -> object:
        interpreter.set_tensor(into, x)
        interpreter.invoke()
        return interpreter.get_tensor(out)

    return call


def session_call(model: Path) -> Callable[[], object]:
    session = edge_sdk.load(model, threads=1)
    (given,) = session.signature.inputs
    inputs = {given.name: input_for(given.shape)}

    def call() -> object:
        return session.run(inputs)

    return call


def input_for(shape: object) -> np.ndarray:
    return np.random.default_rng(0).integers(-128, 128, shape, np.int8)


def bootstrap(values: np.ndarray) -> tuple[float, float]:
    """The 95 % percentile interval of the median, resampling the values with replacement."""
    rng = np.random.default_rng(0)
    medians = np.median(rng.choice(values, (RESAMPLES, len(values))), axis=1)
    low, high = np.percentile(medians, [2.5, 97.5])
    return float(low), float(high)


if __name__ == "__main__":
    main()

"""What ``session.run`` adds to the engine's own calls: LiteRT's Interpreter and ONNX Runtime.

Where an engine's memory happens to lie changes its speed by up to half a percent, so each pair of
instances, one bare and one inside a session, is made afresh, in alternating order. Within a pair
the calls go in rounds of four, bare, session, session, bare, so that a drift of the machine's speed
falls on both alike. A round's ratio is that of its two sums, a pair's the median of its rounds; the
result is the median of the pairs, with a bootstrap interval over them. All use one thread, and both
of a pair are fed the same array.

Time is the wall's. On a machine that others use too, the intervals of larger models straddle what
they are held against; so for those the processor time of the process is told as well.

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
from time import perf_counter_ns, process_time_ns

import numpy as np

import edge_sdk

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks._models import int8_model, onnx_model

WARM_UP_CALLS = 10
RESAMPLES = 5000

Call = Callable[[], object]
Clock = Callable[[], int]


@dataclass(frozen=True)
class Subject:
    """One model, and how much is measured of it: pairs of instances, rounds of four calls in each.

    Attributes:
        small: whether reading the processor's time would disturb what is measured.
    """

    model: Callable[[], Path]
    bare: Callable[[Path], Call]
    rounds: int
    small: bool
    pairs: int = 40


@dataclass(frozen=True)
class Overhead:
    """One clock's result: the ratio, its 95 % interval, and the bare engine's median time."""

    ratio: float
    low: float
    high: float
    bare_us: float
    added_us: float


def main() -> None:
    parser = argparse.ArgumentParser(prog="session_overhead")
    parser.add_argument("--quick", action="store_true", help="a rough answer in a few seconds")
    quick = parser.parse_args().quick
    ratios: dict[str, float] = {}
    intervals: dict[str, list[float]] = {}
    added: dict[str, float] = {}
    for name, subject in SUBJECTS.items():
        for clock, found in measure(subject, quick).items():
            told = name if clock == "wall" else f"{name}, processor"
            print(
                f"{told}: {found.ratio:.4f}x  (95 %: {found.low:.4f} to {found.high:.4f};"
                f" here {found.added_us:.2f} us more than {found.bare_us:.1f} us)",
                file=sys.stderr,
            )
            ratios[told] = round(found.ratio, 4)
            intervals[told] = [round(found.low, 4), round(found.high, 4)]
            added[told] = round(found.added_us, 2)
            if name == BOUNDED:
                ratios[f"{told}, upper bound"] = round(found.high, 4)
    result = {
        "about": "session.run, one thread",
        "peer": f"ai-edge-litert {version('ai-edge-litert')}: set_tensor, invoke, get_tensor; "
        f"onnxruntime {version('onnxruntime')}: InferenceSession.run",
        "ratios": ratios,
        "limits": LIMITS,
        "intervals_95": intervals,
        "added_us": added,
    }
    print(json.dumps(result))


def measure(subject: Subject, quick: bool) -> dict[str, Overhead]:
    """By clock: the wall's, and where that is no disturbance the processor's."""
    clocks: dict[str, Clock] = {"wall": perf_counter_ns}
    if not subject.small:
        clocks["processor"] = process_time_ns
    ratios: dict[str, list[float]] = {clock: [] for clock in clocks}
    bare_us: dict[str, list[float]] = {clock: [] for clock in clocks}
    added_us: dict[str, list[float]] = {clock: [] for clock in clocks}
    model = subject.model()
    for pair in range(6 if quick else subject.pairs):
        bare, ours = one_pair(subject, model, list(clocks.values()), session_first=pair % 2 == 1)
        for at, clock in enumerate(clocks):
            ratios[clock].append(float(np.median(ours[:, at] / bare[:, at])))
            bare_us[clock].append(float(np.median(bare[:, at])) / 2000)
            added_us[clock].append(float(np.median(ours[:, at] - bare[:, at])) / 2000)
    found = {}
    for clock in clocks:
        low, high = bootstrap(np.array(ratios[clock]))
        found[clock] = Overhead(
            ratio=statistics.median(ratios[clock]),
            low=low,
            high=high,
            bare_us=statistics.median(bare_us[clock]),
            added_us=statistics.median(added_us[clock]),
        )
    return found


def one_pair(
    subject: Subject, model: Path, clocks: list[Clock], *, session_first: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Nanoseconds of two bare calls and of two of a session's, by round and clock, made afresh."""
    makers: list[Callable[[Path], Call]] = [subject.bare, session_call]
    if session_first:
        bare, ours = [maker(model) for maker in reversed(makers)][::-1]
    else:
        bare, ours = [maker(model) for maker in makers]
    for _ in range(WARM_UP_CALLS):
        bare()
        ours()
    times = np.empty((subject.rounds, 4, len(clocks)))
    (wall, *others) = clocks
    for row in times:
        for column, call in enumerate((bare, ours, ours, bare)):
            before = [clock() for clock in others]
            start = wall()
            call()
            row[column, 0] = wall() - start
            for at, clock in enumerate(others, start=1):
                row[column, at] = clock() - before[at - 1]
    return times[:, 0] + times[:, 3], times[:, 1] + times[:, 2]


def litert_call(model: Path) -> Call:
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_path=str(model), num_threads=1)
    interpreter.allocate_tensors()
    (given,), (taken,) = interpreter.get_input_details(), interpreter.get_output_details()
    x, into, out = input_for(given["shape"], given["dtype"]), given["index"], taken["index"]

    def call() -> object:
        interpreter.set_tensor(into, x)
        interpreter.invoke()
        return interpreter.get_tensor(out)

    return call


def onnxruntime_call(model: Path) -> Call:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(model), options, ["CPUExecutionProvider"])
    (given,) = session.get_inputs()
    inputs = {given.name: input_for(given.shape, np.float32)}

    def call() -> object:
        return session.run(None, inputs)

    return call


def session_call(model: Path) -> Call:
    session = edge_sdk.load(model, threads=1)
    (given,) = session.signature.inputs
    inputs = {given.name: input_for(given.shape, np.dtype(given.dtype))}

    def call() -> object:
        return session.run(inputs)

    return call


def input_for(shape: object, dtype: object) -> np.ndarray:
    rng = np.random.default_rng(0)
    if np.dtype(dtype) == np.int8:  # type: ignore[call-overload]
        return rng.integers(-128, 128, shape, np.int8)  # type: ignore[call-overload]
    return rng.random(shape, np.float32)  # type: ignore[call-overload]


def bootstrap(values: np.ndarray) -> tuple[float, float]:
    """The 95 % percentile interval of the median, resampling the values with replacement."""
    rng = np.random.default_rng(0)
    medians = np.median(rng.choice(values, (RESAMPLES, len(values))), axis=1)
    low, high = np.percentile(medians, [2.5, 97.5])
    return float(low), float(high)


BOUNDED = "onnxruntime mobilenet_v2"
SUBJECTS = {
    "litert mobilenet_v2 int8": Subject(
        lambda: int8_model("mobilenet_v2"), litert_call, rounds=30, small=False
    ),
    "litert tiny int8": Subject(lambda: int8_model("tiny"), litert_call, rounds=2000, small=True),
    BOUNDED: Subject(lambda: onnx_model("mobilenet_v2"), onnxruntime_call, rounds=20, small=False),
    "onnxruntime tiny": Subject(
        lambda: onnx_model("tiny"), onnxruntime_call, rounds=2000, small=True
    ),
}
LIMITS = {
    "litert mobilenet_v2 int8": 1.01,
    "litert tiny int8": 2.0,
    f"{BOUNDED}, upper bound": 1.01,
    "onnxruntime tiny": 1.0,
}


if __name__ == "__main__":
    main()

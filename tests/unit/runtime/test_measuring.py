"""Measuring: definitions that hold for any numbers, and turns that are fair by any clock."""

from __future__ import annotations

import math
from itertools import count
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tiny_models import QUANTIZED, REAL, artifact, onnx_affine, tflite_affine, tflite_quantized

from edge_sdk import UnavailableError, UsageError
from edge_sdk.runtime.bench import (
    WARM_UP_CALLS,
    measure,
    percentile,
    random_inputs,
    summarize,
    time_sessions,
)
from edge_sdk.runtime.configurations import Configuration, plan
from edge_sdk.runtime.load import load
from edge_sdk.spec import Signature, TensorSpec

VALUES = st.lists(st.integers(0, 10**9), min_size=1, max_size=300).map(sorted)


@given(VALUES, st.integers(1, 100))
def test_a_percentile_is_the_least_value_that_so_many_do_not_exceed(
    values: list[int], percent: int
) -> None:
    found = percentile(values, percent)
    assert found in values
    assert 100 * sum(v <= found for v in values) >= percent * len(values)
    assert 100 * sum(v < found for v in values) < percent * len(values)


def test_percentiles_of_a_hundred() -> None:
    values = list(range(1, 101))
    assert [percentile(values, p) for p in (1, 50, 90, 99, 100)] == [1, 50, 90, 99, 100]


def test_below_a_hundred_calls_p99_is_the_slowest() -> None:
    assert percentile([1, 2, 3, 1000], 99) == 1000


def test_summary() -> None:
    timings = summarize([4_000_000, 1_000_000, 1_000_000, 2_000_000])
    assert timings.calls == 4
    assert timings.mean_ms == 2
    assert (timings.p50_ms, timings.p90_ms, timings.p99_ms) == (1, 4, 4)
    assert timings.per_second == pytest.approx(4 / 0.008)


def one(**fields: object) -> Signature:
    return Signature(inputs=(TensorSpec(name="x", **fields),), outputs=())  # type: ignore[arg-type]


def test_the_same_seed_gives_the_same_numbers() -> None:
    again = [random_inputs(REAL, {}, seed=7)["x"] for _ in range(2)]
    np.testing.assert_array_equal(*again)
    assert (again[0] != random_inputs(REAL, {}, seed=8)["x"]).any()


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_floats_are_shares(dtype: str) -> None:
    x = random_inputs(one(dtype=dtype, shape=(20, 20)), {})["x"]
    assert x.dtype == dtype
    assert x.shape == (20, 20)
    assert x.min() >= 0
    assert x.max() <= 1
    assert x.std() > 0.1


def test_quantized_integers_use_their_whole_range() -> None:
    quantized = QUANTIZED.inputs[0]
    x = random_inputs(one(dtype="int8", shape=(5000,), quantization=quantized.quantization), {})[
        "x"
    ]
    assert x.dtype == np.int8
    assert (x.min(), x.max()) == (-128, 127)


@pytest.mark.parametrize("dtype", ["int32", "int64", "uint8", "bool"])
def test_other_integers_may_be_indices(dtype: str) -> None:
    x = random_inputs(one(dtype=dtype, shape=(100,)), {})["x"]
    assert x.dtype == dtype
    assert set(x.tolist()) == {0, 1}


def test_open_lengths_are_one_or_as_told() -> None:
    signature = one(dtype="float32", shape=("batch", 3))
    assert random_inputs(signature, {})["x"].shape == (1, 3)
    assert random_inputs(signature, {"x": (7, 3)})["x"].shape == (7, 3)


@pytest.mark.parametrize("shape", [(7, 4), (7,), (7, 3, 1)])
def test_a_shape_that_does_not_fit_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(UsageError, match="does not fit"):
        random_inputs(one(dtype="float32", shape=("batch", 3)), {"x": shape})


def test_a_shape_for_no_input_is_refused() -> None:
    with pytest.raises(UsageError, match="no input 'X'") as caught:
        random_inputs(REAL, {"X": (1, 4)})
    assert "x" in caught.value.hint


def test_text_cannot_be_invented() -> None:
    with pytest.raises(UsageError, match="cannot be invented"):
        random_inputs(one(dtype="string", shape=(1,)), {})


class Steps:
    """A clock that goes on by one millisecond each time it is read."""

    def __init__(self) -> None:
        self._ticks = count(0, 1_000_000)

    def __call__(self) -> int:
        return next(self._ticks)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "affine.tflite"
    path.write_bytes(tflite_affine())
    return path


def configurations(*threads: int) -> tuple[Configuration, ...]:
    return tuple(Configuration(backend="litert", threads=n) for n in threads)


def test_all_configurations_get_the_same_number_of_calls(model: Path) -> None:
    told: list[str] = []
    measured, fed = measure(
        model,
        configurations(1, 2, 1),
        seconds=2,
        shapes={},
        clock=Steps(),
        progress=told.append,
    )
    calls = [each.timings.calls for each in measured]
    assert len(set(calls)) == 1
    # A call reads the clock twice, a turn once more per call: 3 ms by this clock.
    assert calls[0] * 3 * 3 == pytest.approx(2000 * 0.9, rel=0.25)
    assert [each.configuration.threads for each in measured] == [1, 2, 1]
    assert all(each.timings.p50_ms == each.timings.p99_ms == 1 for each in measured)
    assert fed == REAL.inputs
    assert len(told) == 4


def test_what_is_told_of_a_configuration(model: Path) -> None:
    (measured,), _ = measure(model, configurations(2), seconds=0.01, shapes={}, clock=Steps())
    assert measured.placement.threads == 2
    assert measured.placement.actual == ("xnnpack",)
    assert measured.load_ms == measured.first_ms == 1
    assert measured.timings.per_second == pytest.approx(1000)


def test_a_slow_model_is_still_measured_forwards_and_backwards(model: Path) -> None:
    class Slow(Steps):
        def __init__(self) -> None:
            self._ticks = count(0, 10**12)

    measured, _ = measure(model, configurations(1, 1), seconds=1, shapes={}, clock=Slow())
    assert [each.timings.calls for each in measured] == [2, 2]
    assert WARM_UP_CALLS > 0


def test_a_steady_drift_falls_on_all_alike(model: Path) -> None:
    class Drifting(Steps):
        def __init__(self) -> None:
            self._ticks = (n * 10**12 + n * n * 10**6 for n in count())

    measured, _ = measure(model, configurations(1, 1), seconds=1, shapes={}, clock=Drifting())
    assert measured[0].timings.calls == 2
    assert measured[0].timings.mean_ms == measured[1].timings.mean_ms
    assert measured[0].timings.p99_ms != measured[1].timings.p99_ms


def test_by_the_real_clock(model: Path) -> None:
    (measured,), _ = measure(model, configurations(1), seconds=0.05, shapes={})
    timings = measured.timings
    assert timings.calls > 1
    assert 0 < timings.p50_ms <= timings.p90_ms <= timings.p99_ms
    assert timings.per_second == pytest.approx(1000 / timings.mean_ms)
    assert math.isfinite(measured.load_ms)


def test_sessions_that_are_loaded_take_turns(model: Path) -> None:
    with load(model) as one, load(model, threads=2) as other:
        fed = random_inputs(one.signature, {})
        told = time_sessions({"a": (one, fed), "b": (other, fed)}, seconds=2, clock=Steps())
    assert set(told) == {"a", "b"}
    assert told["a"].calls == told["b"].calls > 100
    assert told["a"].p50_ms == 1
    assert time_sessions({}, seconds=1) == {}


def test_a_delegate_that_is_unknown_ends_the_measuring(model: Path) -> None:
    wrong = Configuration(backend="litert", threads=1, delegates=("gpuu",))
    with pytest.raises(UsageError, match="gpuu"):
        measure(model, (*configurations(1), wrong), seconds=1, shapes={})


# Which configurations there are


@pytest.fixture
def both(tmp_path: Path) -> Path:
    builds = {
        "tflite-fp32": tflite_affine(),
        "tflite-int8": tflite_quantized(),
        "onnx-fp32": onnx_affine(),
    }
    return artifact(tmp_path / "tiny.edge", builds, REAL)


def test_every_variant_on_every_engine_that_runs_it(both: Path) -> None:
    planned, skipped = plan(both, threads=(1, 2), delegates=((), ("cpu",)))
    assert not skipped
    assert len(planned) == 3 * 2 * 2
    assert {(c.variant, c.backend) for c in planned} == {
        ("tflite-fp32", "litert"),
        ("tflite-int8", "litert"),
        ("onnx-fp32", "onnxruntime"),
    }
    assert [str(c) for c in planned[:2]] == ["tflite-fp32 litert x1", "tflite-fp32 litert x2"]
    assert str(planned[2]) == "tflite-fp32 litert cpu x1"


def test_a_narrower_plan(both: Path) -> None:
    planned, skipped = plan(both, variants=["tflite-int8"])
    assert [(c.variant, c.backend) for c in planned] == [("tflite-int8", "litert")]
    assert not skipped


def test_a_backend_alone_leaves_the_other_variants_out(both: Path) -> None:
    planned, _ = plan(both, backends=["onnxruntime"])
    assert [c.variant for c in planned] == ["onnx-fp32"]


def test_a_bare_model(model: Path) -> None:
    (planned,), skipped = plan(model)
    assert (planned.variant, planned.backend, planned.delegates) == (None, "litert", ())
    assert planned.threads >= 1
    assert not skipped


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"backends": ["litter"]}, "no backend 'litter'"),
        ({"backends": ["onnxruntime"]}, "nothing that onnxruntime runs"),
        ({"variants": ["int8"]}, "has no variants"),
    ],
)
def test_a_plan_that_cannot_be(model: Path, arguments: dict[str, list[str]], says: str) -> None:
    with pytest.raises(UsageError, match=says) as caught:
        plan(model, **arguments)
    assert caught.value.hint


def test_an_unknown_variant(both: Path) -> None:
    with pytest.raises(UsageError, match="no variant 'int8'"):
        plan(both, variants=["int8"])


def test_a_variant_that_nothing_here_runs_is_skipped_or_refused(tmp_path: Path) -> None:
    path = artifact(tmp_path / "tiny.edge", {"tflite-fp32": tflite_affine()}, REAL, coreml=True)
    planned, skipped = plan(path)
    assert [c.variant for c in planned] == ["tflite-fp32"]
    assert [s.variant for s in skipped] == ["coreml-fp16"]
    assert "Core ML" in skipped[0].reason
    with pytest.raises(UnavailableError, match="coreml-fp16"):
        plan(path, variants=["coreml-fp16"])

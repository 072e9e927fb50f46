"""Sensitivity on builds made up of arrays, whose noise is known exactly."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

from converters.probes import Layer
from converters.sensitivity import culprit, grouped, layer_errors, with_readers

LAYERS = (
    Layer("a", "Conv", ("x",), ("a",)),
    Layer("b", "Conv", ("a",), ("b",)),
    Layer("c", "Relu", ("b",), ("c",)),
    Layer("d", "Gemm", ("c",), ("d",)),
)


@dataclass
class Build:
    """A probe that shows what it is given."""

    values: dict
    layers: tuple = LAYERS
    inputs: tuple = ("x",)
    channel_axis: int = -1

    def tensors(self, inputs):
        yield from self.values.items()


def noisy(values, share, seed=1):
    """The values with noise of exactly that share of their power."""
    noise = np.random.default_rng(seed).normal(size=values.shape)
    return values + noise * np.sqrt(share * np.square(values).sum() / np.square(noise).sum())


@pytest.fixture
def real():
    rng = np.random.default_rng(0)
    return {name: rng.normal(size=(40, 8)) for name in "xabcd"}


def test_sqnr_is_the_ratio_of_powers(real):
    found = {**real, "a": noisy(real["a"], 0.01), "b": noisy(real["b"], 0.1)}
    errors, _ = layer_errors(Build(real), Build(found), [{}])
    by_name = {e.name: e for e in errors}
    assert by_name["a"].sqnr_db == pytest.approx(20, abs=0.01)
    assert by_name["b"].sqnr_db == pytest.approx(10, abs=0.01)
    assert by_name["c"].sqnr_db == 120
    assert by_name["b"].added == pytest.approx(0.09, abs=0.01)


def test_a_great_channel_hides_in_the_whole_what_becomes_of_the_others(real):
    real["a"][:, 0] *= 1e4
    broken = real["a"].copy()
    broken[:, 1:] = 0
    errors, _ = layer_errors(Build(real), Build({**real, "a": broken}), [{}])
    first = errors[0]
    assert first.sqnr_db > 60
    assert first.typical_db < 1
    assert culprit(errors).name == "a"


def test_what_only_moves_numbers_adds_no_noise(real):
    """A dead channel is nothing; flattened, its places are many channels, and some are noisy."""
    layers = (*LAYERS[:1], Layer("b", "Reshape", ("a",), ("b",)), *LAYERS[2:])
    found = {**real, "a": noisy(real["a"], 0.01)}
    real["b"], found["b"] = real["a"].reshape(4, 80), found["a"].reshape(4, 80)
    found["c"] = noisy(real["c"], 0.02)
    errors, _ = layer_errors(Build(real, layers), Build(found, layers), [{}])
    first, moved, after, _ = errors
    assert moved.added == 0
    assert moved.typical_db == first.typical_db
    assert after.added == pytest.approx(0.01, abs=0.003)


def test_of_layers_that_add_alike_the_earlier_is_to_blame(real):
    found = {**real, "b": noisy(real["b"], 0.3), "c": noisy(real["c"], 0.9)}
    errors, _ = layer_errors(Build(real), Build(found), [{}])
    assert culprit(errors).name == "b"
    assert culprit(errors, {"b"}).name == "c"
    assert culprit(layer_errors(Build(real), Build(real), [{}])[0]) is None


def test_what_an_engine_fused_away_is_put_to_what_reads_it():
    groups = grouped(LAYERS, {"x", "a", "c", "d"})
    assert [(g.name, g.op, g.reads) for g in groups] == [
        ("a", "Conv", ("x",)),
        ("c", "Conv + Relu", ("a",)),
        ("d", "Gemm", ("c",)),
    ]
    assert with_readers("a", groups) == ("a", "b", "c")
    assert with_readers("d", groups) == ("d",)


def test_not_a_number_is_all_noise(real):
    found = {**real, "a": np.full_like(real["a"], np.nan)}
    errors, _ = layer_errors(Build(real), Build(found), [{}])
    assert errors[0].typical_db == 0

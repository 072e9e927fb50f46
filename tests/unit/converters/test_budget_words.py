from __future__ import annotations

import json
from pathlib import Path

import pytest

from converters.budget import check_judged, device_latencies, ordered, parse_budget
from edge_sdk.errors import UsageError


def test_a_budget_is_read_in_the_units_it_is_written_in():
    budget = parse_budget("accuracy_drop<=0.01, size<=1.5MB,latency <= 5ms@pi5.json")
    assert (budget.accuracy_drop, budget.size, budget.latency) == (0.01, 1.5e6, 5.0)
    assert budget.profile == Path("pi5.json")
    assert parse_budget("accuracy_drop<=1%").accuracy_drop == pytest.approx(0.01)
    assert parse_budget("size<=300kB").size == 300_000
    assert parse_budget("latency<=2s").latency == 2000
    assert parse_budget("latency<=800us").latency == pytest.approx(0.8)


@pytest.mark.parametrize(
    ("text", "said", "hint"),
    [
        ("", "empty", "--budget"),
        ("weight<=1MB", "no 'weight'", "size"),
        ("siez<=1MB", "no 'siez'", "'size'"),
        ("size<=1ms", "no limit on size", "MB"),
        ("size>=1MB", "no limit on size", "size<=NUMBER"),
        ("size<=1MB,size<=2MB", "no limit on size", "once"),
        ("latency<=5", "no limit on latency", "ms"),
        ("size<=1MB@pi5.json", "only latency", "--budget"),
    ],
)
def test_what_is_no_budget_is_refused(text, said, hint):
    with pytest.raises(UsageError) as error:
        parse_budget(text)
    assert said in error.value.message
    assert hint in error.value.hint


def test_numbers_within_miss_nothing_and_unknown_ones_miss():
    budget = parse_budget("accuracy_drop<=0.01,size<=1kB,latency<=5ms")
    assert budget.missed(1000, 0.01, 5.0) == ()
    missed = budget.missed(1001, None, 5.1)
    assert [(s.limit, s.measured) for s in missed] == [
        ("accuracy drop", None),
        ("size in bytes", 1001),
        ("latency in ms", 5.1),
    ]


def test_all_recipes_are_tried_the_cheapest_first():
    budget = parse_budget("size<=1MB")

    def names(*formats, calibrated):
        orders = ordered(budget, formats, (), calibrated=calibrated, method="minmax")
        return [order.id for order in orders]

    assert names("coreml", calibrated=True) == [
        "coreml-int4-weights",
        "coreml-palette4",
        "coreml-int8-weights",
        "coreml-fp16",
        "coreml-fp32",
    ]
    assert names(calibrated=False) == [
        "tflite-int4-weights",
        "tflite-int8-dynamic",
        "tflite-int8-weights",
        "tflite-fp16",
        "tflite-fp32",
    ]
    assert "tflite-mixed" in names(calibrated=True)


def test_the_owners_accuracy_overrules_the_recipes():
    budget = parse_budget("accuracy_drop<=0.04")
    orders = ordered(budget, (), ("int8", "mixed"), calibrated=True, method="minmax")
    assert [o.recipe.limits.accuracy_drop for o in orders] == [0.04, 0.04]
    strict = parse_budget("accuracy_drop<=0.001")
    orders = ordered(strict, (), ("int8", "mixed"), calibrated=True, method="minmax")
    assert [o.recipe.limits.accuracy_drop for o in orders] == [0.02, 0.001]


def test_accuracy_that_cannot_be_judged_is_refused_before_the_work():
    budget = parse_budget("accuracy_drop<=0.01")
    with pytest.raises(UsageError, match="real inputs"):
        check_judged(budget, "random", "scores")
    with pytest.raises(UsageError, match="holds scores"):
        check_judged(budget, "evaluation", None)
    check_judged(parse_budget("size<=1MB"), "random", None)


@pytest.mark.parametrize("content", [None, "{}", "not json", json.dumps({"measurements": 3})])
def test_measurements_that_are_none_are_refused(tmp_path, content):
    path = tmp_path / "pi5.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(UsageError) as error:
        device_latencies(path)
    assert "edge bench" in error.value.hint

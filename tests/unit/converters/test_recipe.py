from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from converters.recipe import FORMATS, METHODS, RECIPES, plan
from edge_sdk.errors import UsageError


def ids(*args, calibrated=False, **kwargs):
    return [order.id for order in plan(*args, calibrated=calibrated, **kwargs)]


def test_defaults():
    assert ids([], []) == ["tflite-fp32", "tflite-fp16"]
    assert ids([], [], calibrated=True) == ["tflite-fp32", "tflite-fp16", "tflite-int8"]
    assert ids(["coreml"], [], calibrated=True) == ["coreml-fp32", "coreml-fp16"]
    assert ids(["onnx"], [], calibrated=True) == ["onnx-fp32", "onnx-fp16", "onnx-int8"]


def test_every_recipe_in_every_format_that_has_it():
    assert ids(["onnx", "coreml", "tflite"], list(RECIPES), calibrated=True) == [
        "tflite-fp32",
        "tflite-fp16",
        "tflite-int16x8",
        "tflite-mixed",
        "tflite-int8",
        "tflite-int8-dynamic",
        "tflite-int8-weights",
        "tflite-int4-weights",
        "coreml-fp32",
        "coreml-fp16",
        "coreml-int8-weights",
        "coreml-int4-weights",
        "coreml-palette4",
        "onnx-fp32",
        "onnx-fp16",
        "onnx-mixed",
        "onnx-int8",
        "onnx-int8-dynamic",
        "onnx-int8-weights",
        "onnx-int4-weights",
    ]


def test_recipes_keep_the_order_they_were_asked_for_in():
    assert ids(["tflite"], ["fp16", "int8-dynamic", "fp32"]) == [
        "tflite-fp16",
        "tflite-int8-dynamic",
        "tflite-fp32",
    ]


def test_asking_twice_is_asking_once():
    assert ids(["tflite", "tflite"], ["fp32", "fp32"]) == ["tflite-fp32"]


@pytest.mark.parametrize(
    ("formats", "recipes", "said", "hint"),
    [
        (["tflight"], [], "no format 'tflight'", "'tflite'"),
        (["TFLITE"], [], "no format 'TFLITE'", "tflite, coreml, onnx"),
        ([], ["int9"], "no recipe 'int9'", "'int8'"),
        ([], ["palette4"], "no recipe 'palette4'", "--formats coreml"),
        ([], ["pallete4"], "no recipe 'pallete4'", "'palette4'"),
        (["onnx"], ["int16x8"], "no recipe 'int16x8'", "--formats tflite"),
        (["coreml"], ["int8-dynamic"], "no recipe 'int8-dynamic'", "--formats tflite"),
        (["tflite", "coreml"], ["int8-dynamic"], "was chosen that coreml has", "coreml has fp32"),
        ([], ["int8"], "'int8' needs real inputs", "--calibrate"),
    ],
)
def test_what_cannot_be_made_is_refused(formats, recipes, said, hint):
    with pytest.raises(UsageError) as error:
        plan(formats, recipes, calibrated=False)
    assert said in error.value.message
    assert hint in error.value.hint


@given(
    st.lists(st.sampled_from(FORMATS), max_size=4),
    st.lists(st.sampled_from(list(RECIPES)), max_size=6),
    st.booleans(),
)
def test_a_plan_is_all_that_was_asked_for_and_nothing_else(formats, recipes, calibrated):
    try:
        orders = plan(formats, recipes, calibrated=calibrated)
    except UsageError as error:
        assert error.hint
        return
    chosen = set(formats) or {"tflite"}
    made = {(order.format, order.recipe.name) for order in orders}
    if recipes:
        possible = itertools.product(chosen, recipes)
        assert made == {(f, r) for f, r in possible if f in RECIPES[r].formats}
    assert {format_ for format_, _ in made} == chosen
    assert len(made) == len(orders)
    assert calibrated or not any(order.recipe.calibrated for order in orders)


@pytest.mark.parametrize("recipe", RECIPES.values(), ids=lambda recipe: recipe.name)
def test_every_recipe_is_held_to_something_that_sees_a_factor(recipe):
    assert 0 < recipe.error < 1
    assert recipe.limits.cosine is not None


@pytest.mark.parametrize("method", METHODS)
def test_calibrated_recipes_know_how_ranges_are_chosen(method):
    orders = plan(["tflite"], ["fp32", "int8", "mixed"], calibrated=True, method=method)
    assert [o.recipe.method for o in orders] == ["minmax", method, method]


def test_a_calibration_that_there_is_not_is_refused():
    with pytest.raises(UsageError) as error:
        plan([], [], calibrated=True, method="entropie")
    assert "'entropy'" in error.value.hint
    with pytest.raises(UsageError) as error:
        plan([], ["fp32"], calibrated=False, method="mse")
    assert "--calibrate" in error.value.hint

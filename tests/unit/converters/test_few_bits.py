"""Weights in 4 bits, against the arithmetic they stand for."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import TensorProto, helper, numpy_helper

from converters.targets.coreml_recipes import ENTRIES, palette
from converters.targets.onnx_weights import (
    four_bit_weights,
    half_weights,
    in_blocks,
    stored_weights,
)
from edge_sdk.errors import ConversionError

RNG = np.random.default_rng(3)


def product(op, weight, bias=None, opset=18, **attributes):
    """A graph of one product with a constant matrix."""
    names = ["x", "w"] + (["b"] if bias is not None else [])
    constants = [numpy_helper.from_array(weight, "w")]
    constants += [] if bias is None else [numpy_helper.from_array(bias, "b")]
    graph = helper.make_graph(
        [helper.make_node(op, names, ["y"], name="it", **attributes)],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", "k"])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", "m"])],
        constants,
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)


def answer(model, x):
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, {"x": x})[0]


@pytest.mark.parametrize("inner", [32, 50, 96])
@pytest.mark.parametrize("form", ["MatMul", "Gemm", "transposed"])
def test_onnxruntime_reads_our_four_bits_as_we_mean_them(inner, form):
    weight = RNG.normal(0, 1, (inner, 7)).astype(np.float32)
    bias = RNG.normal(0, 1, 7).astype(np.float32)
    x = RNG.normal(0, 1, (5, inner)).astype(np.float32)
    if form == "MatMul":
        model, expected = product("MatMul", weight), x @ weight
    elif form == "Gemm":
        model, expected = product("Gemm", weight, bias), x @ weight + bias
    else:
        model = product("Gemm", np.ascontiguousarray(weight.T), bias, transB=1)
        expected = x @ weight + bias
    four_bit_weights(model)
    assert [n.op_type for n in model.graph.node] == ["MatMulNBits"]
    packed, scales = in_blocks(np.ascontiguousarray(weight.T))
    numbers = np.stack([packed & 15, packed >> 4], -1).reshape(7, -1, 32).astype(np.float32) - 8
    meant = (numbers * scales[..., None]).reshape(7, -1)[:, :inner].T
    assert np.abs(meant - weight).max() <= np.abs(scales).max() * 1.01
    exact = x @ meant + (0 if form == "MatMul" else bias)
    found = answer(model, x)
    assert np.allclose(found, exact, atol=2e-2)
    assert np.corrcoef(found.ravel(), expected.ravel())[0, 1] > 0.98


def test_a_graph_without_such_a_product_is_an_error_not_a_copy():
    model = product("MatMul", RNG.normal(0, 1, (3, 4, 4)).astype(np.float32))
    with pytest.raises(ConversionError, match="unchanged"):
        four_bit_weights(model)


@pytest.mark.parametrize(("opset", "axes"), [(18, True), (11, False)])
def test_stored_weights_load_below_and_above_the_opset_that_knows_an_axis(opset, axes):
    weight = RNG.normal(0, 1, (16, 6)).astype(np.float32) * np.geomspace(1, 100, 6, dtype="f")
    x = RNG.normal(0, 1, (4, 16)).astype(np.float32)
    model = product("MatMul", weight, opset=opset)
    stored_weights(model, axes=axes)
    onnx.checker.check_model(model)
    kinds = {i.name: i.data_type for i in model.graph.initializer}
    assert TensorProto.INT8 in kinds.values()
    assert "w" not in kinds
    gap = np.abs(answer(model, x) - x @ weight)
    steps = np.abs(weight).max(axis=0)
    assert (gap <= 16 * 4 * steps / 127).all()


def test_a_palette_is_the_same_every_time_and_no_worse_than_a_uniform_one():
    weight = RNG.laplace(0, 1, (64, 32)).astype(np.float16)
    entries, places = palette(weight)
    again, _ = palette(weight)
    assert np.array_equal(entries, again)
    assert len(entries) == ENTRIES
    assert places.max() < ENTRIES
    flat = weight.reshape(-1).astype(np.float64)
    uniform = np.linspace(flat.min(), flat.max(), ENTRIES)
    nearest = uniform[np.abs(flat[:, None] - uniform).argmin(axis=1)]
    error = np.square(flat - entries[places]).mean()
    assert error < np.square(flat - nearest).mean() / 1.5


def test_a_palette_of_few_values_is_exact():
    weight = np.array([-1.0, 0.0, 0.5, 0.5, -1.0], np.float32)
    entries, places = palette(weight)
    assert np.allclose(entries[places], weight, atol=1e-6)


@pytest.mark.parametrize(
    "change",
    [half_weights, four_bit_weights, lambda model: stored_weights(model, axes=True)],
)
def test_a_weight_that_two_layers_share_is_stored_once(change):
    weight = RNG.normal(0, 0.2, (32, 32)).astype(np.float32)
    x = RNG.normal(0, 1, (4, 32)).astype(np.float32)
    model = product("MatMul", weight)
    model.graph.node[0].output[0] = "between"
    model.graph.node.append(helper.make_node("MatMul", ["between", "w"], ["y"], name="again"))
    change(model)
    onnx.checker.check_model(model)
    names = [i.name for i in model.graph.initializer]
    assert "w" not in names
    assert len(names) == len(set(names)) <= 2
    found, expected = answer(model, x), x @ weight @ weight
    assert np.corrcoef(found.ravel(), expected.ravel())[0, 1] > 0.95


def test_what_half_precision_cannot_hold_stays_as_it_is():
    model = product("MatMul", np.full((4, 4), 1e6, np.float32))
    half_weights(model)
    assert [i.name for i in model.graph.initializer] == ["w"]

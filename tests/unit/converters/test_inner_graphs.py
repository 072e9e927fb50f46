"""ONNX weights inside branches, in any opset; operations in the order the format wants."""

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from converters.onnx_graph import put_in_order
from converters.targets.onnx_weights import half_weights, stored_weights

WEIGHT = np.random.default_rng(1).normal(size=(8, 6)).astype(np.float32)


def _branching(opset=17):
    """``yes`` chooses between a product with a weight of the branch's own and an outer sum."""
    value = helper.make_tensor_value_info
    answer = value("answer", TensorProto.FLOAT, [1, 6])
    product = helper.make_graph(
        [helper.make_node("MatMul", ["twice", "weight"], ["product"])],
        "product",
        [],
        [value("product", TensorProto.FLOAT, [1, 6])],
        [numpy_helper.from_array(WEIGHT, "weight")],
    )
    plain = helper.make_graph(
        [helper.make_node("Identity", ["nothing"], ["same"])],
        "plain",
        [],
        [value("same", TensorProto.FLOAT, [1, 6])],
    )
    graph = helper.make_graph(
        [
            helper.make_node("Add", ["x", "x"], ["twice"]),
            helper.make_node("If", ["yes"], ["answer"], then_branch=product, else_branch=plain),
        ],
        "branching",
        [value("x", TensorProto.FLOAT, [1, 8]), value("yes", TensorProto.BOOL, [])],
        [answer],
        [numpy_helper.from_array(np.zeros((1, 6), np.float32), "nothing")],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)


def _answer(proto):
    onnx.checker.check_model(proto, full_check=True)
    session = onnxruntime.InferenceSession(proto.SerializeToString())
    x = np.random.default_rng(2).normal(size=(1, 8)).astype(np.float32)
    return session.run(None, {"x": x, "yes": np.array(True)})[0]


def _inner(proto):
    branches = next(node for node in proto.graph.node if node.op_type == "If").attribute
    return next(branch.g for branch in branches if branch.name == "then_branch").initializer


def _types(proto):
    return sorted(i.data_type for i in _inner(proto))


def test_an_operation_stands_behind_what_its_branches_read():
    proto = _branching()
    add, branch = (type(n).FromString(n.SerializeToString()) for n in proto.graph.node)
    del proto.graph.node[:]
    proto.graph.node.extend([branch, add])
    with pytest.raises(onnx.checker.ValidationError, match="topologically sorted"):
        onnx.checker.check_model(proto)
    put_in_order(proto.graph)
    assert [node.op_type for node in proto.graph.node] == ["Add", "If"]
    onnx.checker.check_model(proto)


def test_weights_inside_a_branch_are_weights():
    proto = _branching()
    expected = _answer(proto)
    half_weights(proto)
    assert _types(proto) == [TensorProto.FLOAT16]
    np.testing.assert_allclose(_answer(proto), expected, atol=0.02)


@pytest.mark.parametrize("opset", [11, 17])
def test_eight_bits_have_a_scale_for_each_channel_in_every_opset(opset):
    proto = _branching(opset)
    expected = _answer(proto)
    stored_weights(proto, axes=opset >= 13)
    assert TensorProto.INT8 in _types(proto)
    scale = next(i for i in _inner(proto) if i.name.endswith("_scale"))
    assert np.prod(scale.dims) == 6
    np.testing.assert_allclose(_answer(proto), expected, atol=0.2)

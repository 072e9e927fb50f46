"""ONNX and .tflite files foretold for other formats: as the conversion then answers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import tiny_models
from onnx import TensorProto, helper, numpy_helper

from converters import convert, onnx_graph
from converters.preflight import Forecast, preflight
from converters.sources import open_source
from converters.toolchains import install, toolchain
from edge_sdk.errors import UsageError


@pytest.fixture(scope="module", autouse=True)
def onnx2tf() -> None:
    """The toolchain, installed once and for all runs."""
    install(toolchain("onnx2tf"))


def written(
    path: Path, nodes: list[Any], inputs: list[Any], outputs: list[Any], **weights: Any
) -> Path:
    graph = helper.make_graph(
        nodes, "g", inputs, outputs,
        [numpy_helper.from_array(np.asarray(array), name) for name, array in weights.items()],
    )  # fmt: skip
    opset = [helper.make_opsetid("", 18)]
    path.write_bytes(
        helper.make_model(graph, opset_imports=opset, ir_version=10).SerializeToString()
    )
    return path


def floats(name: str, *shape: int | str) -> Any:
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)


def branching(path: Path) -> Path:
    """Does one thing or another, by the sum of its input."""

    def branch(name: str, operation: str) -> Any:
        node = helper.make_node(operation, ["x", "x"], [name])
        return helper.make_graph([node], name, [], [floats(name, 1, 4)])

    nodes = [
        helper.make_node("ReduceSum", ["x"], ["sum"], keepdims=0),
        helper.make_node("Greater", ["sum", "limit"], ["large"]),
        helper.make_node(
            "If", ["large"], ["y"], name="which",
            then_branch=branch("a", "Add"), else_branch=branch("b", "Mul"),
        ),
    ]  # fmt: skip
    return written(path, nodes, [floats("x", 1, 4)], [floats("y", 1, 4)], limit=np.float32(2))


def recurrent(path: Path, *, width: int = 3) -> Path:
    """One step of an LSTM, whose state goes on and is an output as well: silero's "sequence"."""
    rng = np.random.default_rng(1)
    weights = {"W": (1, 8, width), "R": (1, 8, 2), "B": (1, 16)}
    nodes = [
        helper.make_node(
            "LSTM", ["x", "W", "R", "B", "", "h", "c"], ["every", "hn", "cn"], hidden_size=2
        ),
        helper.make_node("Relu", ["every"], ["y"]),
    ]
    return written(
        path, nodes,
        [floats("x", 1, 1, width), floats("h", 1, 1, 2), floats("c", 1, 1, 2)],
        [floats("y", 1, 1, 1, 2), floats("hn", 1, 1, 2), floats("cn", 1, 1, 2)],
        **{name: rng.normal(0, 0.6, shape).astype(np.float32) for name, shape in weights.items()},
    )  # fmt: skip


def foretold_and_done(path: Path, target: Any, tmp_path: Path) -> tuple[Forecast, bool]:
    (foretold,) = preflight(path, formats=[target]).targets
    try:
        done = convert(path, tmp_path / "m.edge", formats=[target], recipes=["fp32"]).passed
    except UsageError:
        done = False
    assert (foretold.verdict in ("converts", "falls back")) == done, foretold
    return foretold, done


def test_an_affine_model_to_everything_else(tmp_path):
    (tmp_path / "m.onnx").write_bytes(tiny_models.onnx_affine())
    (tmp_path / "m.tflite").write_bytes(tiny_models.tflite_affine())
    foretold, done = foretold_and_done(tmp_path / "m.onnx", "tflite", tmp_path)
    assert done
    assert foretold.checked_by.startswith("onnx2tf 2")
    assert foretold_and_done(tmp_path / "m.tflite", "onnx", tmp_path)[1]


def test_a_branch_is_named(tmp_path):
    foretold, done = foretold_and_done(branching(tmp_path / "if.onnx"), "tflite", tmp_path)
    assert not done
    (problem,) = foretold.problems
    assert problem.operation == "If"
    assert problem.where == ("which",)
    assert problem.remedy.startswith("Export the one branch")


def test_a_state_that_goes_on_and_is_an_output(tmp_path):
    """onnx2tf cuts the tie; what it made would load, and not run."""
    assert foretold_and_done(recurrent(tmp_path / "lstm.onnx"), "tflite", tmp_path)[1]


def test_an_output_in_no_layer_is_left_alone(tmp_path):
    proto = onnx.load(recurrent(tmp_path / "lstm.onnx"))
    onnx_graph.untie_states(proto)
    assert [node.op_type for node in proto.graph.node] == ["LSTM", "Relu", "Mul", "Mul"]
    assert [value.name for value in proto.graph.output] == ["y", "hn", "cn"]
    onnx.checker.check_model(proto, full_check=True)


def test_an_open_axis_and_the_option_that_fixes_it(tmp_path):
    node = helper.make_node("Add", ["x", "x"], ["y"])
    path = written(
        tmp_path / "open.onnx", [node], [floats("x", 1, 3, "h", "w")], [floats("y", 1, 3, "h", "w")]
    )
    (target,) = preflight(path, formats=["tflite"]).targets
    assert target.verdict == "does not"
    assert "--input x:1x3x320x320" in target.problems[0].remedy
    found = preflight(path, formats=["tflite"], shapes={"x": (1, 3, 320, 320)})
    assert found.passed


def test_integers_stay_integers(tmp_path):
    (tmp_path / "m.tflite").write_bytes(tiny_models.tflite_quantized())
    foretold, done = foretold_and_done(tmp_path / "m.tflite", "onnx", tmp_path)
    assert not done
    assert "quantized already" in foretold.problems[0].what


def test_a_toolchain_that_is_not_there(tmp_path, monkeypatch):
    monkeypatch.setenv("EDGELOOP_TOOLCHAINS", str(tmp_path / "none"))
    (tmp_path / "m.onnx").write_bytes(tiny_models.onnx_affine())
    (target,) = preflight(tmp_path / "m.onnx", formats=["tflite"]).targets
    assert target.verdict == "unforeseen"
    assert target.problems[0].remedy == "edge toolchain install onnx2tf"


def test_shapes_that_only_one_branch_can_have(tmp_path):
    """Silero for two rates: which branch runs is an input, and the other is of another length."""

    def layer(name: str, before: str) -> Any:
        made = helper.make_node(before, ["x"], [f"{name}_x"])
        lstm = helper.make_node("LSTM", [f"{name}_x", "W", "R"], ["", name], hidden_size=2)
        return helper.make_graph([made, lstm], name, [], [floats(name, 1, 1, 2)])

    # How many axes are left of one that is squeezed is known when its lengths are.
    branches = {"then_branch": layer("fast", "Identity"), "else_branch": layer("slow", "Squeeze")}
    node = helper.make_node("If", ["rate"], ["y"], name="which", **branches)
    rate = helper.make_tensor_value_info("rate", TensorProto.BOOL, ())
    weights = {"W": np.ones((1, 8, 6), np.float32), "R": np.ones((1, 8, 2), np.float32)}
    inputs = [floats("x", "steps", "batch", "width"), rate]
    path = written(tmp_path / "two.onnx", [node], inputs, [floats("y", 1, 1, 2)], **weights)
    with pytest.raises(UsageError, match=r"LSTM .*in If which: .*rank 3") as refused:
        open_source(path, shapes={"x": (1, 1, 6)}, wrap=False)
    assert "one branch that is needed" in refused.value.hint

"""What the engines complain of in their own words, said in ours: whose move it is, and which."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper
from tiny_models import TfLite, affine, onnx_affine, tfl, tflite_affine

import edge_sdk
from edge_sdk import EdgeError, UnavailableError, UsageError


def refusal(path: Path, data: bytes) -> EdgeError:
    path.write_bytes(data)
    with pytest.raises(EdgeError) as caught:
        edge_sdk.load(path)
    assert caught.value.hint
    return caught.value


def one_tflite(
    kind: str | int, *, custom: str = "", version: int = 1, dtype: str = "float32"
) -> bytes:
    model = TfLite()
    x, y = model.tensor("x", (1, 4), dtype), model.tensor("y", (1, 4), dtype)
    model.operator(kind, [x], [y], custom=custom, version=version)
    return model.build([x], [y])


def one_onnx(kind: str, *, opset: int = 18, output: onnx.ValueInfoProto | None = None) -> bytes:
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 4])
    y = output or helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 4])
    graph = helper.make_graph([helper.make_node(kind, ["x"], ["y"])], "tiny", [x], [y])
    opsets = [helper.make_opsetid("", opset)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=10).SerializeToString()


def test_litert_lacks_tensorflows_own_operations(tmp_path: Path) -> None:
    error = refusal(tmp_path / "m.tflite", one_tflite("CUSTOM", custom="FlexErf"))
    assert isinstance(error, UnavailableError)
    assert "FlexErf" in error.message


def test_litert_is_older_than_the_model(tmp_path: Path) -> None:
    error = refusal(tmp_path / "m.tflite", one_tflite("NEG", version=99))
    assert isinstance(error, UnavailableError)
    assert "NEG version 99" in error.message
    assert "--upgrade" in error.hint


def test_litert_does_not_know_the_number_of_an_operation(tmp_path: Path) -> None:
    error = refusal(tmp_path / "m.tflite", one_tflite(9999))
    assert isinstance(error, UnavailableError)
    assert "number 9999" in error.message


def test_litert_cannot_prepare_a_model_that_contradicts_itself(tmp_path: Path) -> None:
    model = TfLite()
    a, b = model.tensor("a", (1, 4)), model.tensor("b", (1, 3))
    y = model.tensor("y", (1, 4))
    model.operator("ADD", [a, b], [y], tfl.AddOptionsT())
    path = tmp_path / "m.tflite"
    path.write_bytes(model.build([a, b], [y]))
    with pytest.raises(UnavailableError, match="LiteRT cannot prepare the model"):
        edge_sdk.load(path)


def test_litert_has_no_kernel_for_a_type(tmp_path: Path) -> None:
    path = tmp_path / "m.tflite"
    path.write_bytes(one_tflite("EXP", dtype="int64"))
    with (
        edge_sdk.load(path) as session,
        pytest.raises(UsageError, match="cannot run the model"),
    ):
        session.run({"x": np.zeros((1, 4), np.int64)})


def test_onnxruntime_is_older_than_the_model(tmp_path: Path) -> None:
    error = refusal(tmp_path / "m.onnx", one_onnx("Neg", opset=99))
    assert isinstance(error, UnavailableError)
    assert "opset 99" in error.message


def test_onnx_has_no_such_operation(tmp_path: Path) -> None:
    error = refusal(tmp_path / "m.onnx", one_onnx("Frobnicate"))
    assert isinstance(error, UnavailableError)
    assert "operation Frobnicate" in error.message


def test_onnx_weights_in_another_file(tmp_path: Path) -> None:
    model = onnx.load_from_string(onnx_affine())
    onnx.external_data_helper.convert_model_to_external_data(
        model, location="weights.bin", size_threshold=0
    )
    onnx.save(model, tmp_path / "whole.onnx")
    x = np.float32([[1, -2, 3, 0.5]])
    with edge_sdk.load(tmp_path / "whole.onnx") as session:
        np.testing.assert_allclose(session.run({"x": x})["y"], affine(x), rtol=1e-6)
    (tmp_path / "weights.bin").unlink()
    error = refusal(tmp_path / "m.onnx", (tmp_path / "whole.onnx").read_bytes())
    assert isinstance(error, UsageError)
    assert "another file" in error.message


def test_onnx_outputs_that_are_no_tensors(tmp_path: Path) -> None:
    output = helper.make_tensor_sequence_value_info("y", TensorProto.FLOAT, None)
    error = refusal(tmp_path / "m.onnx", one_onnx("SequenceConstruct", output=output))
    assert isinstance(error, UnavailableError)
    assert "'y' of the model is a seq(tensor(float))" in error.message


@pytest.mark.parametrize(
    ("name", "data"),
    [("m.txt", b"x"), ("m", tflite_affine()), ("m.keras", b"x"), ("m.pt", b"x")],
)
def test_a_file_that_no_engine_reads_is_to_be_converted(
    tmp_path: Path, name: str, data: bytes
) -> None:
    error = refusal(tmp_path / name, data)
    assert isinstance(error, UsageError)
    assert "edge convert" in error.hint


def test_a_folder_is_no_model(tmp_path: Path) -> None:
    folder = tmp_path / "model.tflite"
    folder.mkdir()
    with pytest.raises(UsageError, match="cannot be read"):
        edge_sdk.load(folder)

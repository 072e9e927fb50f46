"""What is read of a TFLite file's tensors: the same as the engine itself tells of them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tiny_models import (
    tflite_adds,
    tflite_affine,
    tflite_counter,
    tflite_matrices,
    tflite_quantized,
    tflite_sum,
)

from edge_sdk.backends.tflite_tensors import read
from examples.assets import AssetError, asset

interpreter = pytest.importorskip("ai_edge_litert.interpreter")

MODELS = {
    "affine": tflite_affine,
    "affine of any number of rows": lambda: tflite_affine(-1),
    "quantized": tflite_quantized,
    "two inputs": tflite_sum,
    "several inputs": tflite_adds,
    "matrices": lambda: tflite_matrices(2),
}
REAL = {
    "wake word": ("wake-words", "okay_nabu.tflite"),
    "music": ("basic-pitch", "nmp.tflite"),
    "segmentation": ("selfie-segmentation", "*.tflite"),
}


def same(model: bytes | Path) -> None:
    """Hold what is read against an Interpreter that was not prepared."""
    from edge_sdk.backends.litert_model import tensor_spec

    given = {"model_content": model} if isinstance(model, bytes) else {"model_path": str(model)}
    engine = interpreter.Interpreter(**given)
    names: dict[int, str] = {}
    for name, tensors in engine._get_full_signature_list().items():
        if engine._interpreter.GetSubgraphIndexFromSignature(name) == 0:
            names = {int(i): n for side in ("inputs", "outputs") for n, i in tensors[side].items()}
            break
    found = read(model)
    assert found is not None
    details = (*engine.get_input_details(), *engine.get_output_details())
    told = [tensor_spec(detail, names) for detail in details]
    assert list(found.named.values()) == list({spec.name: spec for spec in told}.values())
    for detail, spec in zip(details, told, strict=True):
        assert found.shapes[spec.name] == tuple(detail["shape"])
    assert found.signature is any(engine._get_full_signature_list())


@pytest.mark.parametrize("make", MODELS.values(), ids=MODELS)
def test_it_is_what_the_engine_tells(make: Callable[[], bytes], tmp_path: Path) -> None:
    same(make())
    path = tmp_path / "model.tflite"
    path.write_bytes(make())
    same(path)


@pytest.mark.parametrize("name", REAL)
def test_so_it_is_of_real_models(name: str) -> None:
    source, pattern = REAL[name]
    try:
        path = asset(source)
    except AssetError as error:
        pytest.skip(str(error))
    same(path if path.is_file() else next(path.glob(pattern)))


def test_of_several_entry_points_the_engine_is_asked() -> None:
    assert read(tflite_counter()) is None


def test_what_is_no_model_is_none(tmp_path: Path) -> None:
    empty = tmp_path / "empty.tflite"
    empty.write_bytes(b"")
    assert read(empty) is None
    assert read(tmp_path / "missing.tflite") is None
    assert read(b"") is None
    assert read(b"\0\0\0\0TFL4") is None


@given(st.data())
def test_a_damaged_file_is_read_or_not_and_never_fails(data: st.DataObject) -> None:
    whole = bytearray(tflite_quantized())
    for at in data.draw(st.lists(st.integers(8, len(whole) - 1), max_size=6)):
        whole[at] = data.draw(st.integers(0, 255))
    read(bytes(whole[: data.draw(st.integers(0, len(whole)))]))

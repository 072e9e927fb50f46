from __future__ import annotations

import numpy as np
import pytest

from edge_sdk.errors import UsageError
from edge_sdk.pipeline import read_arrays
from edge_sdk.spec import Signature, TensorSpec

IMAGE = TensorSpec(name="image", dtype="float32", shape=(1, 4, 4))
STATE = TensorSpec(name="state", dtype="float32", shape=("batch", 2))
SCORES = TensorSpec(name="scores", dtype="float32", shape=(1, 3))
ONE = Signature(inputs=(IMAGE,), outputs=(SCORES,))
TWO = Signature(inputs=(IMAGE, STATE), outputs=(SCORES,))


@pytest.mark.parametrize(("shape", "runs"), [((1, 4, 4), 1), ((4, 4), 1), ((5, 4, 4), 5)])
def test_one_array_is_one_run_or_one_a_row(tmp_path, shape, runs):
    array = np.arange(np.prod(shape), dtype=np.float32).reshape(shape)
    np.save(tmp_path / "x.npy", array)
    found = list(read_arrays(tmp_path / "x.npy", ONE))
    assert len(found) == runs
    assert all(inputs["image"].shape == (1, 4, 4) for inputs in found)
    assert np.array_equal(np.concatenate([i["image"] for i in found]), array.reshape(-1, 4, 4))


def test_a_batch_of_any_length_is_one_run(tmp_path):
    signature = Signature(inputs=(STATE,), outputs=(SCORES,))
    np.save(tmp_path / "x.npy", np.zeros((7, 2), np.float32))
    assert [i["state"].shape for i in read_arrays(tmp_path / "x.npy", signature)] == [(7, 2)]


def test_many_inputs_go_by_name(tmp_path):
    np.savez(tmp_path / "x.npz", image=np.zeros((1, 4, 4)), state=np.ones((1, 2)))
    (inputs,) = read_arrays(tmp_path / "x.npz", TWO)
    assert inputs["state"].tolist() == [[1, 1]]


@pytest.mark.parametrize(
    ("signature", "arrays", "said", "hint"),
    [
        (ONE, np.zeros((1, 5, 4)), "1x5x4", "Reshape"),
        (ONE, np.zeros(()), "a single number", "Reshape"),
        (ONE, np.zeros((0, 4, 4)), "0x4x4", "Reshape"),
        (TWO, np.zeros((1, 4, 4)), "one array", "numpy.savez"),
        (ONE, {"imag": np.zeros((1, 4, 4))}, "'imag'", "'image'"),
        (TWO, {"image": np.zeros((1, 4, 4))}, "'state'", "numpy.savez"),
        (TWO, {"image": np.zeros((3, 4, 4)), "state": np.zeros((1, 2))}, "different", "rows"),
        (ONE, np.array([{}], object), "plain arrays", "numpy.save"),
        (ONE, b"", "x.np", "numpy.save"),
        (ONE, b"\x93NUMPY\x01\x00", "x.np", "numpy.save"),
        (ONE, b"PK\x03\x04 cut off", "x.np", "numpy.save"),
        (ONE, b"hello", "x.np", "numpy.save"),
    ],
)
def test_what_does_not_fit_is_refused(tmp_path, signature, arrays, said, hint):
    path = tmp_path / ("x.npz" if isinstance(arrays, dict) else "x.npy")
    if isinstance(arrays, bytes):
        path.write_bytes(arrays)
    elif isinstance(arrays, dict):
        np.savez(path, **arrays)
    else:
        np.save(path, arrays, allow_pickle=True)
    with pytest.raises(UsageError) as caught:
        list(read_arrays(path, signature))
    assert said in caught.value.message and hint in caught.value.hint


def test_a_missing_file(tmp_path):
    with pytest.raises(UsageError, match="cannot be read"):
        list(read_arrays(tmp_path / "none.npy", ONE))

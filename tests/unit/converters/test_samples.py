from __future__ import annotations

import dataclasses
import pickle
import zipfile

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from converters.samples import random_samples, read_samples
from edge_sdk.errors import UsageError
from edge_sdk.spec import Signature, TensorSpec


def tensor(name, shape, dtype="float32"):
    return TensorSpec(name=name, dtype=dtype, shape=shape)


PROBS = tensor("probs", ("batch", 3))
IMAGE = Signature(inputs=(tensor("image", ("batch", 2, 2)),), outputs=(PROBS,))
TWO = Signature(
    inputs=(tensor("a", ("batch", 4)), tensor("b", ("batch", 2), "int32")), outputs=(PROBS,)
)
WAVE = Signature(inputs=(tensor("wave", (5,)), tensor("gain", ())), outputs=(PROBS,))
X = np.arange(24, dtype=np.float32).reshape(6, 2, 2)


def refused(data, signature=IMAGE, **options):
    with pytest.raises(UsageError) as error:
        read_samples(data, signature, **options)
    assert error.value.hint
    return f"{error.value.message}\n{error.value.hint}"


def npz(tmp_path, **arrays):
    path = tmp_path / "set.npz"
    np.savez(path, **arrays)
    return path


# What is read


def test_an_npz(tmp_path):
    samples = read_samples(npz(tmp_path, x=X, y=np.array([0, 1, 2, 2, 1, 0])), IMAGE)
    assert len(samples) == 6
    assert samples.source.endswith("set.npz")
    np.testing.assert_array_equal(samples.read(2, 4)["image"], X[2:4])
    np.testing.assert_array_equal(samples.labels, [0, 1, 2, 2, 1, 0])
    assert samples.labels.dtype == np.int64


def test_the_input_s_own_name_serves_as_well_as_x(tmp_path):
    by_name = read_samples(npz(tmp_path, image=X), IMAGE)
    by_x = read_samples(npz(tmp_path, x=X), IMAGE)
    assert by_name.sha256 == by_x.sha256
    assert by_name.labels is None


def test_a_mapping_of_one_array_per_input():
    a, b = np.ones((3, 4), np.float32), np.zeros((3, 2), np.int32)
    samples = read_samples({"b": b, "a": a}, TWO)
    assert {name: array.shape for name, array in samples.read(0, 3).items()} == {
        "a": (3, 4),
        "b": (3, 2),
    }


def test_inputs_without_a_batch_axis_get_one_sample_a_row():
    waves, gains = np.ones((7, 5), np.float32), np.ones(7, np.float32)
    samples = read_samples({"wave": waves, "gain": gains}, WAVE)
    assert len(samples) == 7
    assert samples.at([6])["gain"].shape == (1,)


def test_an_input_called_y_is_an_input():
    signature = Signature(inputs=(tensor("y", ("batch", 2)),), outputs=(PROBS,))
    samples = read_samples({"y": np.ones((3, 2), np.float32)}, signature)
    assert samples.labels is None
    assert samples.read(0, 1)["y"].shape == (1, 2)


def test_float64_is_narrowed():
    samples = read_samples({"x": X.astype(np.float64)}, IMAGE)
    assert samples.read(0, 1)["image"].dtype == np.float32
    assert samples.sha256 == read_samples({"x": X}, IMAGE).sha256


def test_a_function(tmp_path, monkeypatch):
    (tmp_path / "own_samples.py").write_text(
        "import numpy as np\ndef ready():\n    return {'x': np.ones((4, 2, 2), np.float32)}\n"
    )
    monkeypatch.chdir(tmp_path)
    assert len(read_samples("own_samples:ready", IMAGE)) == 4


@given(arrays(np.float32, (5, 2, 2), elements=st.floats(-1, 1, width=32)), st.integers(1, 7))
def test_batches_are_all_samples_in_order(x, size):
    samples = read_samples({"x": x}, IMAGE)
    batches = list(samples.batches(size))
    assert [start for start, _ in batches] == list(range(0, 5, size))
    np.testing.assert_array_equal(np.concatenate([b["image"] for _, b in batches]), x)


@pytest.mark.parametrize(("side", "wanted"), [(2, 256), (64, 64), (224, 5), (4096, 1)])
def test_a_batch_of_big_inputs_is_small(side, wanted):
    picture = Signature(inputs=(tensor("image", ("batch", side, side)),), outputs=(PROBS,))
    one = np.zeros((1, side, side), np.float32)
    many = np.broadcast_to(one, (300, side, side))
    samples = dataclasses.replace(
        read_samples({"x": one}, picture),
        count=300,
        read=lambda start, stop: {"image": many[start:stop]},
    )
    sizes = [len(batch["image"]) for _, batch in samples.batches()]
    assert sizes[0] == wanted
    assert sum(sizes) == 300


@given(st.integers(1, 500), st.integers(2, 40))
def test_a_pick_is_spread_over_all(count, wanted):
    samples = read_samples({"x": np.zeros((count, 2, 2), np.float32)}, IMAGE)
    picked = samples.pick(wanted)
    assert picked == sorted(set(picked))
    assert len(picked) == min(count, wanted)
    assert picked[0] == 0
    assert picked[-1] == count - 1


def test_a_digest_is_of_everything_that_counts():
    y = np.array([0, 1, 2, 2, 1, 0])
    digests = {
        read_samples(data, IMAGE).sha256
        for data in ({"x": X}, {"x": X + 1}, {"x": X, "y": y}, {"x": X, "y": y % 2}, {"x": X[:5]})
    }
    assert len(digests) == 5
    assert all(len(digest) == 64 for digest in digests)


def test_random_samples_are_the_same_every_time():
    first, second = random_samples(TWO, 8), random_samples(TWO, 8)
    assert first.sha256 == second.sha256
    np.testing.assert_array_equal(first.read(0, 8)["a"], second.read(0, 8)["a"])
    assert first.read(0, 8)["a"].min() >= 0
    assert first.read(0, 8)["a"].max() <= 1
    assert set(np.unique(first.read(0, 8)["b"])) <= set(range(10))


def test_random_samples_of_open_axes_and_of_no_axes():
    open_axis = Signature(inputs=(tensor("x", ("batch", "dim1", 3)),), outputs=(PROBS,))
    assert random_samples(open_axis, 5).read(0, 5)["x"].shape == (5, 1, 3)
    shapes = {k: v.shape for k, v in random_samples(WAVE, 5).read(0, 5).items()}
    assert shapes == {"wave": (5, 5), "gain": (5,)}


# What is refused


@pytest.mark.parametrize(
    ("x", "said"),
    [
        (X.reshape(6, 4), "has shape 6x4; Nx2x2 is needed"),
        (X[0], "has shape 2x2; Nx2x2 is needed"),
        (np.float32(3), "has shape scalar; Nx2x2 is needed"),
        (X.astype(np.uint8), "has dtype uint8; the model takes float32.\nGive the numbers"),
        (X.astype(np.float16), "has dtype float16; the model takes float32.\nThey are of one kind"),
        (X[:0], "is empty"),
        (np.full_like(X, np.nan), "holds NaN or infinity"),
        (np.full_like(X, -np.inf), "holds NaN or infinity"),
        (np.array(["a"] * 6), "has dtype <U1"),
    ],
)
def test_arrays_that_do_not_fit(x, said):
    assert said in refused({"x": x})


def test_arrays_of_different_lengths():
    unequal = {"a": np.ones((3, 4), np.float32), "b": np.ones((2, 2), np.int32)}
    assert "differ in length ([2, 3])" in refused(unequal, TWO)


@pytest.mark.parametrize("arrays", [{}, {"z": X}, {"x": X, "image": X}, {"image": X, "more": X}])
def test_names_that_are_no_inputs(arrays):
    assert "the model's inputs are ['image']" in refused(arrays)


def test_x_says_nothing_where_there_are_two_inputs():
    assert "the model's inputs are ['a', 'b']" in refused({"x": X}, TWO)


def test_rows_that_are_no_array():
    assert "holds what is no array" in refused({"x": [[1.0], [1.0, 2.0]]})


@pytest.mark.parametrize(
    ("y", "said"),
    [
        ([0, 1, 2], "y is int64 of shape 3; there are 6 samples"),
        ([0, 1, 2, 3, 0, 0], "y goes from 0 to 3, but there are 3 classes"),
        ([0, 1, -1, 0, 0, 0], "y goes from -1 to 1, but there are 3 classes"),
        ([0.0, 1.0, 2.0, 0.0, 0.0, 0.0], "y.reshape(-1).astype(int)"),
        (np.eye(3)[[0, 1, 2, 0, 1, 2]], "y.argmax(axis=1)"),
        (np.zeros((6, 1), int), "y is int64 of shape 6x1"),
        (["a"] * 6, "y is <U1"),
        (3, "y is int64 of shape scalar"),
    ],
)
def test_labels_that_do_not_fit(y, said):
    assert said in refused({"x": X, "y": np.array(y)})


def test_the_labels_file_says_how_many_classes_there_are():
    samples = read_samples({"x": X, "y": np.full(6, 1)}, IMAGE, labels=("a", "b"))
    assert samples.labels is not None
    assert "there are 2 classes" in refused({"x": X, "y": np.full(6, 2)}, labels=("a", "b"))


def test_an_npz_that_is_not_there(tmp_path):
    assert "There is no" in refused(tmp_path / "set.npz")


def cut(data):
    return data[: len(data) // 2]


def flipped(data):
    middle = len(data) // 2
    return data[:middle] + bytes([data[middle] ^ 0xFF]) + data[middle + 1 :]


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
@pytest.mark.parametrize("damage", [cut, flipped, lambda data: b"", lambda data: b"hello"])
def test_a_damaged_npz(tmp_path, save, damage):
    path = tmp_path / "set.npz"
    save(path, x=X)
    path.write_bytes(damage(path.read_bytes()))
    assert "is not a readable .npz" in refused(path)


def test_a_single_array_called_npz(tmp_path):
    np.save(tmp_path / "set.npy", X)
    path = (tmp_path / "set.npy").rename(tmp_path / "set.npz")
    assert "is not a readable .npz: File is not a zip file" in refused(path)


def test_pickles_are_not_run(tmp_path):
    class Bomb:
        def __reduce__(self):
            return (tmp_path.joinpath("ran").touch, ())

    path = tmp_path / "set.npz"
    with zipfile.ZipFile(path, "w") as archive:
        header = b"\x93NUMPY\x01\x00\x46\x00{'descr': '|O', 'fortran_order': False, 'shape': (1,)}"
        archive.writestr("x.npy", header.ljust(79) + b"\n" + pickle.dumps(Bomb()))
    assert "allow_pickle=False" in refused(path)
    path.write_bytes(pickle.dumps(Bomb()))
    assert "is not a readable .npz" in refused(path)
    assert not (tmp_path / "ran").exists()


def test_an_array_that_promises_more_than_there_is(tmp_path):
    path = tmp_path / "set.npz"
    with zipfile.ZipFile(path, "w") as archive:
        header = b"\x93NUMPY\x01\x00\x76\x00{'descr': '<f4', 'fortran_order': False, "
        header += b"'shape': (999999999, 999999, 2)}"
        archive.writestr("x.npy", header.ljust(127) + b"\n")
    assert "is not a readable .npz" in refused(path)


FAILING = """
def raises(): return 1 / 0
def none(): return None
value = 3
"""


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("own_failing:raises", "failed: ZeroDivisionError: division by zero"),
        ("own_failing:none", "returned a NoneType, not a mapping"),
        ("own_failing:value", "failed: TypeError"),
        ("own_failing:nothing", "has no attribute 'nothing'"),
        ("own_nowhere:anything", "No module named 'own_nowhere'"),
        ("own_broken:anything", "failed: SyntaxError"),
        (":function", "failed: ValueError"),
    ],
)
def test_a_function_that_fails(tmp_path, monkeypatch, name, said):
    (tmp_path / "own_failing.py").write_text(FAILING)
    (tmp_path / "own_broken.py").write_text("def (:\n")
    monkeypatch.chdir(tmp_path)
    assert said in refused(name)


def test_what_is_no_kind_of_data(tmp_path):
    (tmp_path / "set.npy").write_bytes(b"")
    assert "is not data that edgeloop reads" in refused(tmp_path / "set.npy")
    assert "is not data that edgeloop reads" in refused("nowhere")
    assert "A ndarray is not data" in refused(X)

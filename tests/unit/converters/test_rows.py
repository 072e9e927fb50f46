"""Data on the disk: what rows of a large ``.npz`` hold, what they cost, and what is refused."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from converters import rows
from converters.rows import Rows, blocks, read_npz
from converters.samples import read_samples
from edge_sdk.errors import UsageError
from edge_sdk.spec import Signature, TensorSpec

SIGNATURE = Signature(
    inputs=(TensorSpec(name="x", dtype="float32", shape=("batch", 5, 7)),),
    outputs=(TensorSpec(name="y", dtype="float32", shape=("batch", 3)),),
)
X = np.random.default_rng(0).random((300, 5, 7), np.float32)
SAVERS = {"stored": np.savez, "packed": np.savez_compressed}


@pytest.fixture(autouse=True)
def nothing_is_small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rows, "SMALL_BYTES", 400)
    monkeypatch.setattr(rows, "BLOCK_BYTES", 4096)


@pytest.fixture(params=SAVERS)
def saver(request: pytest.FixtureRequest) -> Any:
    return SAVERS[request.param]


def test_rows_are_those_of_the_array(saver: Any, tmp_path: Path) -> None:
    square = np.arange(400.0).reshape(20, 20)
    saver(tmp_path / "set.npz", a=np.arange(3), x=X, b=square)
    found = read_npz(tmp_path / "set.npz")
    assert isinstance(found["a"], np.ndarray)  # small
    x = found["x"]
    assert isinstance(x, Rows)
    assert (x.shape, x.dtype, x.ndim, len(x)) == (X.shape, X.dtype, 3, 300)
    for start, stop in ((0, 1), (17, 40), (299, 300), (290, 310), (5, 5), (9, 3)):
        np.testing.assert_array_equal(x[start:stop], X[start:stop])
    np.testing.assert_array_equal(np.concatenate(list(blocks(x))), X)
    np.testing.assert_array_equal(found["b"][3:5], square[3:5])


@pytest.mark.parametrize("dtype", ["<f8", ">f8", ">f4"])
def test_other_numbers_become_the_model_s(tmp_path: Path, dtype: str) -> None:
    np.savez(tmp_path / "set.npz", x=X.astype(dtype))
    samples = read_samples(tmp_path / "set.npz", SIGNATURE)
    assert samples.read(2, 4)["x"].dtype == np.float32
    np.testing.assert_array_equal(samples.read(2, 4)["x"], X[2:4])


def test_columns_first_are_read_whole(tmp_path: Path) -> None:
    np.savez(tmp_path / "set.npz", x=np.asfortranarray(X))
    found = read_npz(tmp_path / "set.npz")["x"]
    assert isinstance(found, np.ndarray)
    np.testing.assert_array_equal(found, X)


def test_the_digest_does_not_depend_on_where_the_numbers_are(tmp_path: Path) -> None:
    arrays = {"x": X, "y": np.arange(300) % 3}
    np.savez(tmp_path / "set.npz", **arrays)
    on_disk = read_samples(tmp_path / "set.npz", SIGNATURE)
    assert on_disk.sha256 == read_samples(arrays, SIGNATURE).sha256
    assert on_disk.labels is not None
    assert on_disk.labels.tolist() == [n % 3 for n in range(300)]


def test_a_file_that_is_replaced_meanwhile_is_still_the_old_one(tmp_path: Path) -> None:
    np.savez(tmp_path / "set.npz", x=X)
    samples = read_samples(tmp_path / "set.npz", SIGNATURE)
    np.savez(tmp_path / "new.npz", x=X + 1)
    (tmp_path / "new.npz").replace(tmp_path / "set.npz")
    np.testing.assert_array_equal(samples.read(0, 300)["x"], X)


@pytest.mark.parametrize("where", [0.2, 0.5, 0.8])
def test_a_damaged_row_is_found_before_the_work(saver: Any, tmp_path: Path, where: float) -> None:
    path = tmp_path / "set.npz"
    saver(path, x=X)
    data = bytearray(path.read_bytes())
    data[int(len(data) * where)] ^= 0xFF
    path.write_bytes(data)
    with pytest.raises(UsageError, match="not a readable"):
        read_samples(path, SIGNATURE)


def test_a_nan_far_down_is_found(tmp_path: Path) -> None:
    x = X.copy()
    x[250, 3, 3] = np.nan
    np.savez(tmp_path / "set.npz", x=x)
    with pytest.raises(UsageError, match="NaN or infinity"):
        read_samples(tmp_path / "set.npz", SIGNATURE)


READING = """
import json, re, sys
from pathlib import Path
from converters.samples import read_samples
from edge_sdk.spec import Signature, TensorSpec
signature = Signature(
    inputs=(TensorSpec(name="x", dtype="float32", shape=("batch", 64, 64)),),
    outputs=(TensorSpec(name="y", dtype="float32", shape=("batch", 3)),),
)
def peak():  # not getrusage's, which a process inherits from the one that started it
    return 1024 * int(re.search(r"VmHWM:\\s*(\\d+)", Path("/proc/self/status").read_text())[1])
before = peak()
samples = read_samples(sys.argv[1], signature)
total = sum(float(inputs["x"].sum()) for _, inputs in samples.batches())
total += float(samples.at(samples.pick(16))["x"].sum())
print(json.dumps({"grown": peak() - before, "count": len(samples), "total": total}))
"""


@pytest.mark.parametrize(
    ("saver", "count"), [("stored", 6_000), ("packed", 2_000)], indirect=["saver"]
)
def test_memory_does_not_grow_with_the_file(tmp_path: Path, saver: Any, count: int) -> None:
    """98 and 33 MB of numbers, read through a window of a few."""
    one = np.random.default_rng(1).integers(0, 9, (100, 64, 64)).astype(np.float32)
    x = np.broadcast_to(one, (count // 100, 100, 64, 64)).reshape(count, 64, 64)
    saver(tmp_path / "set.npz", x=x)
    here = subprocess.run(
        [sys.executable, "-c", READING, tmp_path / "set.npz"], stdout=subprocess.PIPE, check=True
    )
    told = json.loads(here.stdout)
    assert told["count"] == count
    assert told["total"] > 0
    assert 0 <= told["grown"] < 15_000_000

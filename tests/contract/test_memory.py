"""Memory: models are mapped, not copied, and closing a session gives back what it held."""

from __future__ import annotations

import gc
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from engines import HERE, Engine
from tiny_models import REAL, TfLite, affine, artifact, tflite_affine
from tiny_models import tfl as schema

import edge_sdk
from edge_sdk.artifact.artifact import Artifact
from edge_sdk.spec import Signature, TensorSpec

X = np.array([[1, -2, 3, 0.5]], np.float32)
LENGTH = 2048
WEIGHT_BYTES = LENGTH * LENGTH * 4
LARGE = Signature(
    inputs=(TensorSpec(name="x", dtype="float32", shape=(1, LENGTH)),),
    outputs=(TensorSpec(name="y", dtype="float32", shape=(1, LENGTH)),),
)


def own_bytes() -> int:
    """Memory of this process alone: what is mapped from files does not count."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    found = re.search(r"^RssAnon:\s*(\d+) kB", status, re.MULTILINE)
    assert found is not None
    return int(found[1]) * 1024


@pytest.fixture(scope="module")
def large() -> bytes:
    """A dense layer with 16 MB of weights."""
    model = TfLite()
    weights = np.random.default_rng(0).standard_normal((LENGTH, LENGTH)).astype(np.float32)
    x, y = model.tensor("x", (1, LENGTH)), model.tensor("y", (1, LENGTH))
    w = model.tensor("w", weights.shape, value=weights)
    model.operator("FULLY_CONNECTED", [x, w, -1], [y], schema.FullyConnectedOptionsT())
    return model.build([x], [y])


def grown_by(load: Callable[[], edge_sdk.Session]) -> int:
    """How much memory of its own a session takes that runs once, on kernels that copy nothing."""
    x = np.ones((1, LENGTH), np.float32)
    with load() as session:
        session.run({"x": x})
    gc.collect()
    before = own_bytes()
    with load() as session:
        session.run({"x": x})
        return own_bytes() - before


def test_a_file_is_mapped(large: bytes, tmp_path: Path) -> None:
    path = tmp_path / "large.tflite"
    path.write_bytes(large)
    assert grown_by(lambda: edge_sdk.load(path, delegates=["cpu"])) < WEIGHT_BYTES / 4


def test_an_artifact_is_mapped_where_there_is_a_cache(large: bytes, tmp_path: Path) -> None:
    """Without one it is read, which takes what is measured here."""
    path = artifact(tmp_path / "large.edge", {"tflite-fp32": large}, LARGE)
    cache = tmp_path / "cache"
    assert grown_by(lambda: edge_sdk.load(path, delegates=["cpu"])) > WEIGHT_BYTES * 3 / 4
    mapped = grown_by(lambda: edge_sdk.load(path, delegates=["cpu"], cache=cache))
    assert mapped < WEIGHT_BYTES / 4
    assert len(list((cache / "models").glob("*.tflite"))) == 1


def test_an_unpacked_artifact_is_mapped(large: bytes, tmp_path: Path) -> None:
    path, folder = tmp_path / "large.edge", tmp_path / "slot"
    with Artifact(artifact(path, {"tflite-fp32": large}, LARGE)) as made:
        made.extract(made.manifest.variants[0], folder)
        (folder / "manifest.json").write_bytes(made.manifest_bytes)
    assert grown_by(lambda: edge_sdk.load(folder, delegates=["cpu"])) < WEIGHT_BYTES / 4


def test_an_unpacked_model_that_was_damaged_is_written_anew(tmp_path: Path) -> None:
    path, cache = tmp_path / "a.edge", tmp_path / "cache"
    artifact(path, {"tflite-fp32": tflite_affine()}, REAL)
    for damage in (None, b"", b"\0" * len(tflite_affine()), tflite_affine(2)):
        for found in (cache / "models").glob("*.tflite"):
            assert damage is not None
            found.write_bytes(damage)
        with edge_sdk.load(path, cache=cache) as session:
            np.testing.assert_allclose(session.run({"x": X})["y"], affine(X), rtol=1e-6)


def test_closing_gives_back_what_was_held(large: bytes, tmp_path: Path) -> None:
    path = tmp_path / "large.tflite"
    path.write_bytes(large)
    session = edge_sdk.load(path)  # XNNPACK keeps a copy of the weights in an order of its own
    before = own_bytes()
    session.close()
    gc.collect()
    assert before - own_bytes() > WEIGHT_BYTES * 3 / 4


@pytest.mark.parametrize("engine", HERE.values(), ids=HERE.keys())
def test_loading_again_and_again_leaves_nothing(engine: Engine, tmp_path: Path) -> None:
    """As in ``benchmarks/memory.py``, which does it 500 times."""
    path = tmp_path / f"model{engine.suffix}"
    path.write_bytes(engine.affine(1))

    def cycle() -> None:
        with edge_sdk.load(path, backend=engine.name, threads=1) as session:
            session.run({"x": X})

    for _ in range(20):
        cycle()
    before = own_bytes()
    for _ in range(40):
        cycle()
    assert own_bytes() - before < 1 << 20

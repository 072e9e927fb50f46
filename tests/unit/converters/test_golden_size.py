"""How many golden vectors ship: as many as fit, never fewer than two."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tiny_models

from converters.evidence import GOLDEN_BYTES, golden_vectors, read_evidence
from converters.identity import Identity
from converters.sources import open_source

IDENTITY = Identity(name="m", version="1.0.0")


@pytest.mark.parametrize(("size", "shipped"), [(16, 16), (96, 3), (256, 2)])
def test_they_take_their_share_of_bytes_and_no_less_than_two(
    tmp_path: Path, size: int, shipped: int
) -> None:
    path = tmp_path / "m.onnx"
    path.write_bytes(tiny_models.onnx_matrices(1, size))
    source = open_source(path, wrap=True)
    data = {"x": np.random.default_rng(0).random((20, size, size), np.float32)}
    judged = read_evidence(source, IDENTITY, None, data).judged
    vectors = golden_vectors(None, judged, source, IDENTITY)
    assert vectors is not None
    assert len(vectors) == shipped
    taken = sum(a.nbytes for a in (*vectors.inputs.values(), *vectors.outputs.values()))
    assert taken <= GOLDEN_BYTES or shipped == 2
    np.savez(tmp_path / "chosen.npz", **data)
    chosen = golden_vectors(tmp_path / "chosen.npz", judged, source, IDENTITY)
    assert chosen is not None
    assert len(chosen) == 16

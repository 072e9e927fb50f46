"""Every awkward model gets a refusal that names what is wrong, in seconds, from both commands.

No traceback, no code of the model's executed, nothing left behind, and little memory taken.
"""

from __future__ import annotations

import resource
import tempfile
import time
from pathlib import Path
from typing import Any

import awkward_models
import pytest

SECONDS = 8
"""For one refusal, engines being imported already; most take milliseconds."""
MEGABYTES = 600
"""What a refusal may add to the greatest memory this process ever had."""

REFUSED: dict[str, tuple[int, str]] = {
    "a keras file cut short": (2, "is not a .keras file, or it was cut short"),
    "an h5 file cut short": (2, "truncated file"),
    "a tflite file cut short": (2, "not a TFLite model, or it was cut short"),
    "an onnx file cut short": (2, "not an ONNX model"),
    "a saved model cut short": (2, "Cannot parse file"),
    "a tflite file that points beyond its end": (2, "not a TFLite model, or it was cut short"),
    "a tflite file with noise inside": (2, "not a TFLite model, or it was cut short"),
    "a pickle called keras": (2, "is not a .keras file"),
    "a pickle called h5": (2, "is not an HDF5 file"),
    "a pickle": (2, "is not a model that edgeloop reads"),
    "a lambda layer": (2, "holds Python code (a Lambda layer)"),
    "a saved model that reads files": (2, "ReadFile"),
    "a saved model that calls python": (2, "EagerPyFunc"),
    "weights in a file elsewhere": (2, "keeps its weights in another file"),
    "weights in a file that is missing": (2, "keeps its weights in another file"),
    "an archive bomb of weights": (2, "claims to unpack 3.9 GB, most of it model.weights.h5"),
    "an archive bomb of a config": (2, "claims to unpack 3.9 GB, most of it config.json"),
    "a huge constant made when run": (3, "asks for 80.0 GB at once"),
    "nan among the weights of keras": (1, "samples with NaN or infinity"),
    "nan among the weights of onnx": (1, "samples with NaN or infinity"),
    "an input of no numbers": (2, "x: float32 1x0 holds no numbers"),
    "a keras input of no numbers": (2, "one of its axes has the length 0"),
    "an input of text": (2, "x: string 1x4 holds no numbers"),
    "an input of bfloat16": (3, "tensor(bfloat16), which edgeloop cannot pass on"),
    "weights of another type than they meet": (2, "MatMul) bound to different types"),
    "open axes": (2, "Fix it: --input x:1x320x320x3"),
    "a graph that goes round": (2, "the graph is not acyclic"),
    "a function that calls itself": (2, "not an ONNX model"),
    "an operation no engine has": (3, "needs the operation tests:Frobnicate"),
    "a custom operation of tflite": (3, "needs the custom operation Frobnicate"),
    "an opset of the future": (3, "is of opset 99"),
    "an output nobody makes": (2, "Graph output (y) does not exist"),
    "two signatures": (2, "has the signatures a, b"),
    "dice": (1, "does not answer the same twice"),
    "a class of its own": (2, "is of a class of its own"),
    "a config that imports": (2, "is of a class of its own"),
    "a folder that contains itself": (2, "has no saved_model.pb"),
}
"""Exit code and words, by the model's name in ``awkward_models``."""


def test_every_model_is_listed():
    assert set(REFUSED) == set(awkward_models.MODELS)
    assert len(REFUSED) >= 30


@pytest.mark.parametrize("name", REFUSED)
def test_a_refusal_that_names_it(edge: Any, name, tmp_path, monkeypatch):
    place, temporary = tmp_path / "place", tmp_path / "temporary"
    place.mkdir()
    monkeypatch.chdir(place)
    model = awkward_models.MODELS[name](place)
    temporary.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    before = sorted(place.iterdir())
    code, words = REFUSED[name]
    for command in (["convert", model.name, "-o", "out.edge"], ["preflight", model.name]):
        since, memory = time.perf_counter(), _peak_mb()
        done = edge(*command)
        assert done.code == code, done.err
        said = done.err[done.err.index("edge: ") :]
        assert words in said
        assert len(said.splitlines()) >= 2, f"no next step: {said}"
        assert "Traceback" not in done.err
        assert done.out == ""
        assert time.perf_counter() - since < SECONDS
        assert _peak_mb() - memory < MEGABYTES
        assert sorted(place.iterdir()) == before
        assert list(temporary.iterdir()) == []
    assert not Path(awkward_models.MARK).exists()


def _peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000

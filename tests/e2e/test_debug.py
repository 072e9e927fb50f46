"""``edge debug`` on real builds: it finds the planted layer."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import planted
import pytest

from converters import convert
from converters.engines import quiet


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The classifier, an artifact with float builds beside the broken ones, and data."""
    folder = tmp_path_factory.mktemp("debug")
    model = planted.classifier()
    with quiet():
        model.save(folder / "planted.keras")
    np.savez(folder / "data.npz", **planted.blobs(40, 5))
    made = convert(
        folder / "planted.keras",
        folder / "planted-1.0.0.edge",
        formats=["tflite", "onnx"],
        recipes=["fp32", "mixed"],
        calibrate=planted.blobs(60, 2),
        evaluate=planted.blobs(200, 3),
    )
    assert made.passed
    made = convert(
        folder / "planted.keras",
        folder / "alone-1.0.0.edge",
        recipes=["mixed"],
        calibrate=planted.blobs(60, 2),
        evaluate=planted.blobs(200, 3),
    )
    assert made.passed
    return folder


@pytest.mark.parametrize("variant", ["tflite-mixed", "onnx-mixed"])
def test_layers_left_in_float_add_less_than_the_others(folder, edge, variant):
    done = edge("debug", folder / "planted-1.0.0.edge", "--variant", variant, "--json")
    assert done.code == 0, done.err
    found = json.loads(done.out)
    assert found["against"] == variant.replace("mixed", "fp32")
    assert found["inputs"] == "golden vectors"
    assert found["samples"] == 16
    worst = [layer["sqnr_db"] for layer in found["layers"]]
    assert worst == sorted(worst)
    assert 10 < worst[0] < 60
    by_name = {layer["name"]: layer for layer in found["layers"]}
    first = min((n for n in by_name if "first" in n and "Relu" in n), key=len)
    dense = next(n for n in by_name if "fourth" in n)
    assert by_name[first]["typical_db"] > 30  # left in float; int8 brings it to less than 3
    assert by_name[first]["added"] <= by_name[dense]["added"]


def test_the_table_and_the_plots(folder, edge, tmp_path):
    artifact = folder / "planted-1.0.0.edge"
    page, drawing = tmp_path / "layers.html", tmp_path / "layers.svg"
    done = edge("debug", artifact, "--inputs", folder / "data.npz", "--plot", page)
    assert done.code == 0, done.err
    assert "SQNR" in done.out
    assert "on 40 samples of" in done.out
    assert edge("debug", artifact, "--plot", drawing).code == 0
    for text in (page.read_text(), drawing.read_text()):
        assert text.count("<circle") == len(
            json.loads(edge("debug", artifact, "--json").out)["layers"]
        )
        assert "http://" not in text.replace("http://www.w3.org/2000/svg", "")
        assert "https://" not in text


@pytest.mark.parametrize(
    ("words", "said", "hint"),
    [
        (["planted-1.0.0.edge", "--variant", "tflite-int9"], "no variant", "tflite"),
        (["planted-1.0.0.edge", "--against", "nothing"], "neither a variant nor", "tflite-fp32"),
        (["planted-1.0.0.edge", "--plot", "layers.png"], "neither .html", "--plot"),
        (["planted-1.0.0.edge", "--inputs", "nothing.npz"], "no nothing.npz", "path"),
        (["nothing.edge"], "nothing.edge", "path"),
    ],
)
def test_bad_input(folder, edge, monkeypatch, words, said, hint):
    monkeypatch.chdir(folder)
    done = edge("debug", *words)
    assert done.code == 2
    assert said in done.err
    assert hint in done.err


def test_the_source_serves_where_the_artifact_has_no_float_build(
    folder: Path, edge: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    done = edge("debug", "alone-1.0.0.edge")
    assert done.code == 2
    assert "--against SOURCE" in done.err
    done = edge("debug", "alone-1.0.0.edge", "--against", "planted.keras", "--json")
    assert done.code == 0, done.err
    found = json.loads(done.out)
    assert found["against"] == "planted.keras"
    assert found["layers"][0]["sqnr_db"] > 10

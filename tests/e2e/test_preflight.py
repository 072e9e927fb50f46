"""Preflight holds what it says: what it promises converts, what it denies is refused."""

from __future__ import annotations

import json
from collections import Counter

import preflight_models
import pytest
import tiny_keras
import tiny_models

from converters import convert
from converters.engines import engine, quiet
from converters.preflight import preflight

TARGETS = ("tflite", "coreml", "onnx")
CORPUS = [(name, TARGETS[at % 3]) for at, name in enumerate(preflight_models.OPERATIONS)]
"""Every model with one target, in turns: all with all takes minutes and finds no more."""

told: Counter[bool] = Counter()


@pytest.mark.parametrize(("name", "target"), CORPUS)
def test_foretold_is_done(name, target, tmp_path):
    with quiet():
        model = preflight_models.model(name)
    (foretold,) = preflight(model, formats=[target]).targets
    conversion = convert(model, tmp_path / "m.edge", formats=[target], recipes=["fp32"])
    (done,) = conversion.report.variants
    said = [problem.what for problem in foretold.problems]
    assert (foretold.verdict != "does not") == (done.status == "converted"), (said, done.reason)
    told[conversion.passed] += 1
    if not conversion.passed:
        (problem, *_) = foretold.problems
        assert problem.operation
        assert problem.where
        assert problem.where[0].startswith("m_1/y_1/")
        assert problem.remedy


def test_the_corpus_has_both_kinds():
    if sum(told.values()) == len(CORPUS):
        assert min(told[True], told[False]) >= 8


def test_the_command(edge, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with quiet():
        preflight_models.model("cubic resize").export("resize", verbose=False)
    done = edge("preflight", "resize", "--formats", "tflite,onnx")
    assert done.code == 1
    assert "tflite  does not" in done.out
    assert "onnx    converts" in done.out
    assert "tflite: ResizeBicubic" in done.out
    assert "in     " in done.out
    assert "bilinear" in done.out
    assert done.out.splitlines()[-1].endswith("--formats onnx")
    assert edge("preflight", "resize", "--formats", "onnx").code == 0
    told = json.loads(edge("preflight", "resize", "--json").out)
    assert told["passed"]
    assert [target["verdict"] for target in told["targets"]] == ["does not", "does not", "converts"]
    assert "There is no format 'tflight'" in edge("preflight", "resize", "--formats", "tflight").err
    assert not list(tmp_path.glob("*.edge"))


def test_what_is_left_open_is_fixed_by_an_option(edge, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    keras = engine("keras")
    x = keras.Input((None, None, 3), name="x")
    with quiet():
        keras.Model(x, keras.layers.Conv2D(2, 3, name="y")(x)).save("open.keras")
    assert "--input x:1x320x320x3" in edge("preflight", "open.keras", "--formats", "onnx").err
    fixed = edge("preflight", "open.keras", "--formats", "onnx", "--input", "x:1x320x320x3")
    assert fixed.code == 0


@pytest.mark.parametrize(
    ("name", "model"),
    [("m.tflite", tiny_models.tflite_affine()), ("m.onnx", tiny_models.onnx_affine())],
)
def test_a_file_that_is_wrapped(name, model, tmp_path):
    (tmp_path / name).write_bytes(model)
    found = preflight(tmp_path / name)
    own = name.partition(".")[2]
    assert {t.format: t.verdict for t in found.targets}[own] == "converts"
    assert found.passed


def test_weights_are_not_converted(tmp_path, monkeypatch):
    """What the engines get to see is hollow: none of the model's own large weights is in it."""
    made = []
    from converters.preflight import builds

    loaded = builds.loaded

    def noting(model, *arguments):
        made.append(model)
        return loaded(model, *arguments)

    monkeypatch.setattr(builds, "loaded", noting)
    model = tiny_keras.classifier()
    assert preflight(model, formats=["tflite"]).passed
    weights = model.get_layer("second").get_weights()[0].astype("float32")
    assert weights.size > 64
    assert weights.ravel()[:4].tobytes() not in made[0]

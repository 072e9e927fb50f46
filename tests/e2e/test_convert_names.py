"""Names of inputs and outputs are the source's, whatever an engine would rather have."""

from __future__ import annotations

import numpy as np
import pytest
import tiny_keras

import edge_sdk
from converters import convert
from edge_sdk.artifact import Artifact


@pytest.fixture
def odd():
    layers, keras = tiny_keras.keras().layers, tiny_keras.keras()
    left = keras.Input((8, 8, 1), name="b img")
    right = keras.Input((4,), name="a é-1")
    both = layers.Concatenate(name="both")([layers.Flatten(name="flat")(left), right])
    return tiny_keras.filled(keras.Model([left, right], layers.Dense(3, name="c.l-s")(both)))


def test_names_that_are_no_identifiers(odd, tmp_path):
    inputs = tiny_keras.inputs_of(odd, 40)
    out = tmp_path / "odd.edge"
    found = convert(odd, out, formats=["tflite", "onnx"], calibrate=inputs)
    assert found.passed, [v.reason for v in found.report.variants]
    (wanted,) = tiny_keras.answers_of(odd, inputs).values()
    with Artifact(out) as artifact:
        variants = artifact.manifest.variants
        assert {v.recipe for v in variants} == {"fp32", "fp16", "int8"}
    for variant in variants:
        assert sorted(t.name for t in variant.signature.inputs) == ["a é-1", "b img"]
        with edge_sdk.load(out, variant=variant.id) as session:
            answer = session.run({name: array[:1] for name, array in inputs.items()})["c.l-s"]
        np.testing.assert_allclose(answer, wanted[:1], atol=0.2 * np.abs(wanted).max())

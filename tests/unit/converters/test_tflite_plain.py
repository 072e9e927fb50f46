"""MediaPipe's sparse weights and its own transposed convolution, in operations that all read."""

import numpy as np
import pytest

from converters import tflite_graph
from converters.tflite.plain import spell_out_transposed, unfold_sparse
from edge_sdk.backends import backend_for
from examples.assets import asset


@pytest.mark.parametrize(
    ("name", "mend"),
    [
        ("face-detection-full-range-sparse", unfold_sparse),
        ("selfie-segmentation", spell_out_transposed),
    ],
)
def test_the_model_answers_as_before(name, mend):
    before = asset(name).read_bytes()
    tree = tflite_graph.read_tflite(before)
    tflite_graph.settle_codes(tree)
    assert mend(tree) > 0
    after = tflite_graph.written(tree)
    assert mend(tree) == 0
    litert = backend_for("tflite")
    models = [litert.open(model, delegates=(), threads=1) for model in (before, after)]
    shape = models[0].signature.inputs[0].shape
    x = np.random.default_rng(3).random(shape, np.float32)
    for one, other in zip(*(model.run([x]) for model in models), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-3)

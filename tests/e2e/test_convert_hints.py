"""What is said when a model is not at fault, or has another way out."""

from __future__ import annotations

import numpy as np
import pytest
import tiny_keras

from converters import convert
from converters.engines import quiet
from converters.samples import random_samples
from edge_sdk.errors import ConversionError
from edge_sdk.spec import Signature, TensorSpec


def test_noise_beyond_a_table_asks_for_real_inputs(tmp_path):
    layers, keras = tiny_keras.keras().layers, tiny_keras.keras()
    ids = keras.Input((6,), dtype="int32", name="ids")
    x = layers.GlobalAveragePooling1D()(layers.Embedding(3, 4)(ids))
    model = keras.Model(ids, layers.Dense(2, name="scores")(x))
    with pytest.raises(ConversionError, match="not in") as caught:
        convert(model, tmp_path / "m.edge")
    assert "--evaluate" in caught.value.hint
    real = np.random.default_rng(0).integers(0, 3, (20, 6)).astype(np.int32)
    assert convert(model, tmp_path / "m.edge", evaluate={"x": real}).passed


def test_noise_for_bytes_is_of_all_bytes():
    picture = TensorSpec(name="p", dtype="uint8", shape=("batch", 8, 8, 3))
    (noise,) = random_samples(Signature(inputs=(picture,), outputs=())).read(0, 64).values()
    assert noise.min() == 0
    assert noise.max() == 255


def test_a_loop_that_cannot_be_calibrated(tmp_path):
    layers, keras = tiny_keras.keras().layers, tiny_keras.keras()
    series = keras.Input((6, 3), name="series")
    model = keras.Model(series, layers.Dense(2, name="y")(layers.LSTM(4)(series)))
    x = np.random.default_rng(0).random((20, 6, 3), np.float32)
    found = convert(model, tmp_path / "m.edge", recipes=["int8"], calibrate={"x": x})
    (variant,) = found.report.variants
    assert "control flow" in variant.reason
    assert "int8-dynamic" in variant.reason


def test_a_class_of_ones_own(edge, tmp_path):
    keras = tiny_keras.keras()

    class Own(keras.Model):
        def __init__(self, **options):
            super().__init__(**options)
            self.dense = keras.layers.Dense(2)

        def call(self, x):
            return self.dense(x)

    model = Own()
    path = tmp_path / "own.keras"
    with quiet():
        model(np.zeros((1, 4), np.float32))
        model.save(path)
    done = edge("convert", path, "-o", tmp_path / "m.edge")
    assert done.code == 2
    assert "model.export('folder')" in done.err

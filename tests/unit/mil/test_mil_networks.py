"""Whole networks: Keras models, converted and compressed by coremltools, against Keras' answers."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import coremltools as ct
import coremltools.optimize.coreml as optimize
import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers
from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

from converters.mil import MilProgram
from converters.mil.execute import Execution, fold
from converters.mil.ops import EVALUATORS
from converters.mil.reader import graph_of

# coremltools leaves its temporary folders to the garbage collector, which complains.
pytestmark = pytest.mark.filterwarnings("ignore:Implicitly cleaning up:ResourceWarning")


def converted(model: keras.Model, precision: str = "FLOAT32") -> Any:
    (start,) = model.inputs
    spec = tf.TensorSpec((1, *start.shape[1:]), start.dtype, name="x")
    function = tf.function(lambda x: model(x, training=False)).get_concrete_function(spec)
    return ct.convert(
        [convert_variables_to_constants_v2(function)],
        source="tensorflow",
        convert_to="mlprogram",
        minimum_deployment_target=ct.target.iOS17,
        compute_precision=getattr(ct.precision, precision),
        inputs=[ct.TensorType("x", tuple(spec.shape), np.dtype(start.dtype).type)],
        outputs=[ct.TensorType(dtype=np.float32)],
        skip_model_load=True,
    )


def loaded(model: Any, folder: Path) -> MilProgram:
    package = folder / "model.mlpackage"
    model.save(str(package))
    return MilProgram.load(package)


def only(outputs: dict[str, np.ndarray]) -> np.ndarray:
    (array,) = outputs.values()
    return array


@pytest.fixture(scope="module")
def mobilenet() -> keras.Model:
    keras.utils.set_random_seed(7)
    model = keras.applications.MobileNetV2(
        (96, 96, 3), alpha=0.35, weights=None, classes=20, classifier_activation=None
    )
    # Batch statistics as a trained network has them, so that every layer's output has some spread.
    x = np.random.default_rng(1).normal(size=(8, 96, 96, 3)).astype(np.float32)
    for layer in model.layers:
        if isinstance(layer, layers.BatchNormalization):
            layer.momentum = 0.0
    model(x, training=True)
    return model


@pytest.fixture(scope="module")
def images() -> np.ndarray:
    return np.random.default_rng(2).normal(size=(4, 96, 96, 3)).astype(np.float32)


@pytest.fixture(scope="module")
def answers(mobilenet, images) -> np.ndarray:
    return np.asarray(mobilenet(images, training=False))


@pytest.fixture(scope="module")
def singles(mobilenet) -> Any:
    return converted(mobilenet)


@pytest.fixture(scope="module")
def halves(mobilenet) -> Any:
    return converted(mobilenet, "FLOAT16")


def test_mobilenet_in_single_precision(singles, images, answers, tmp_path):
    program = loaded(singles, tmp_path)
    assert program.unchecked == ()
    assert program.batched
    (spec,) = program.signature.inputs
    assert (spec.name, spec.dtype, spec.shape) == ("x", "float32", (1, 96, 96, 3))
    assert program.signature.outputs[0].shape == (1, 20)
    assert program.operations["conv"] == 52
    np.testing.assert_allclose(only(program.run_many({"x": images})), answers, atol=2e-4)
    np.testing.assert_allclose(only(program.run({"x": images[:1]})), answers[:1], atol=2e-4)


def likeness(program: MilProgram, images: np.ndarray, answers: np.ndarray) -> float:
    got = only(program.run_many({"x": images}))
    assert got.dtype == np.float32
    return float(np.corrcoef(got.ravel(), answers.ravel())[0, 1])


def test_mobilenet_in_half_precision(singles, halves, images, answers, tmp_path):
    """Half precision is its weights rounded and nothing else: single arithmetic in between."""
    program = loaded(halves, tmp_path)
    assert likeness(program, images, answers) > 0.999
    graph = graph_of(singles._mil_program)
    rounded = {
        number: value.astype(np.float16).astype(np.float32) if is_float(value) else value
        for number, value in graph.constants.items()
    }
    graph = fold(dataclasses.replace(graph, constants=rounded), EVALUATORS)
    (expected,) = Execution(graph, EVALUATORS)([images[:1]])
    np.testing.assert_allclose(only(program.run({"x": images[:1]})), expected, atol=2e-4)


def is_float(value: Any) -> bool:
    return isinstance(value, np.ndarray) and value.dtype == np.float32


def test_mobilenet_with_weights_in_eight_bits(halves, images, answers, tmp_path):
    config = optimize.OptimizationConfig(optimize.OpLinearQuantizerConfig(mode="linear_symmetric"))
    program = loaded(optimize.linear_quantize_weights(halves, config), tmp_path)
    assert program.operations["constexpr_affine_dequantize"] > 20
    like = likeness(program, images, answers)
    assert 0.99 < like < 0.99999


def test_mobilenet_with_a_palette_of_sixteen(halves, images, answers, tmp_path):
    config = optimize.OptimizationConfig(optimize.OpPalettizerConfig(mode="uniform", nbits=4))
    program = loaded(optimize.palettize_weights(halves, config), tmp_path)
    assert program.operations["constexpr_lut_to_dense"] > 20
    assert 0.8 < likeness(program, images, answers) < 0.9999


def picture_network() -> keras.Model:
    x = start = layers.Input((12, 12, 3))
    x = layers.ZeroPadding2D(((0, 1), (1, 0)))(x)
    x = layers.Conv2D(8, 3, strides=2, padding="same", activation="swish")(x)
    x = layers.SeparableConv2D(8, 3, padding="same", depth_multiplier=2)(x)
    x = layers.BatchNormalization()(x)
    x = layers.PReLU(shared_axes=[1, 2])(x)
    x = layers.DepthwiseConv2D(3, dilation_rate=2, padding="same")(x)
    # The exact gelu of Keras is an Erfc, for which coremltools has no conversion.
    x = layers.Activation(lambda x: keras.activations.gelu(x, approximate=True))(x)
    up = layers.UpSampling2D(2, interpolation="bilinear")(x)
    near = layers.UpSampling2D((2, 2))(x)
    x = layers.Concatenate()([up, near, layers.Conv2DTranspose(4, 3, 2, padding="same")(x)])
    x = layers.Cropping2D(1)(x)
    x = layers.AveragePooling2D(3, 2, padding="same")(x)
    gate = layers.GlobalAveragePooling2D(keepdims=True)(x)
    x = layers.Multiply()([x, layers.Conv2D(20, 1, activation="hard_sigmoid")(gate)])
    x = layers.LayerNormalization()(x)
    x = layers.Conv2D(16, 2, activation="elu")(x)
    x = layers.MaxPooling2D(2, padding="same")(x)
    x = layers.Add()([x, layers.LeakyReLU()(x)])
    x = layers.GroupNormalization(4)(x)
    x = layers.Flatten()(layers.Permute((3, 1, 2))(x))
    x = layers.Dense(12, activation="softplus")(layers.Dropout(0.5)(x))
    return keras.Model(start, layers.Dense(5, activation="softmax")(x))


def sequence_network() -> keras.Model:
    start = layers.Input((10,), dtype="int32")
    x = layers.Embedding(30, 16)(start)
    x = layers.Conv1D(16, 3, padding="causal", activation="relu6")(x)
    x = layers.Add()([x, layers.MultiHeadAttention(2, 8)(x, x)])
    x = layers.LayerNormalization()(x)
    x = layers.MaxPooling1D(2)(x)
    x = layers.Dense(8, activation="tanh")(x)
    x = layers.Reshape((20, 2))(x)
    x = layers.GlobalMaxPooling1D()(x)
    return keras.Model(start, layers.Dense(3)(x))


@pytest.mark.parametrize(
    # A dense layer on sequences folds samples into rows, which no batch rule follows.
    ("network", "batched"),
    [(picture_network, True), (sequence_network, False)],
)
def test_layers_of_many_kinds(network, batched, rng, tmp_path):
    keras.utils.set_random_seed(3)
    model = network()
    (start,) = model.inputs
    shape = (4, *start.shape[1:])
    x = (rng.integers(0, 30, shape) if start.dtype == "int32" else rng.normal(size=shape)).astype(
        start.dtype
    )
    program = loaded(converted(model), tmp_path)
    assert program.unchecked == ()
    assert program.batched is batched
    got = only(program.run_many({"x": x}))
    np.testing.assert_allclose(got, np.asarray(model(x)), atol=1e-5)

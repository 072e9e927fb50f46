"""Elementwise operations and activations against TensorFlow's."""

from __future__ import annotations

import math

import numpy as np
import pytest
import tensorflow as tf
from coremltools.converters.mil import Builder as mb

from converters.mil.ops.special import erf

UNARY = {
    "abs": tf.abs,
    "acos": tf.acos,
    "asin": tf.asin,
    "atan": tf.atan,
    "atanh": tf.atanh,
    "ceil": tf.math.ceil,
    "cos": tf.cos,
    "cosh": tf.cosh,
    "erf": tf.math.erf,
    "exp": tf.exp,
    "exp2": lambda x: tf.pow(2.0, x),
    "floor": tf.floor,
    "identity": tf.identity,
    "relu": tf.nn.relu,
    "relu6": tf.nn.relu6,
    "round": tf.round,
    "sigmoid": tf.sigmoid,
    "sign": tf.sign,
    "silu": tf.nn.silu,
    "sin": tf.sin,
    "sinh": tf.sinh,
    "softplus": tf.nn.softplus,
    "softsign": tf.nn.softsign,
    "square": tf.square,
    "tan": tf.tan,
    "tanh": tf.tanh,
}


@pytest.mark.parametrize("name", UNARY)
def test_unary(evaluate, name):
    # Within the domain of acos and atanh, halves included, for round.
    x = np.array([[-0.99, -0.5, -0.25, 0.0, 0.25, 0.5, 0.99]], np.float32)
    if name in ("relu6", "round", "ceil", "floor", "sigmoid", "softplus", "silu"):
        x = np.array([[-90.0, -2.5, -1.5, -0.5, 0.0, 0.5, 1.5, 2.5, 5.9, 6.1, 90.0]], np.float32)

    def build(x):
        return getattr(mb, name)(x=x)

    expected = UNARY[name](x).numpy()
    np.testing.assert_allclose(evaluate(build, x=x), expected, rtol=2e-6, atol=1e-7)


@pytest.mark.parametrize("name", ["sqrt", "log", "rsqrt", "inverse"])
def test_unary_of_positive_numbers(evaluate, rng, name):
    x = rng.uniform(0.1, 9, (2, 5)).astype(np.float32)
    references = {
        "sqrt": tf.sqrt,
        "log": tf.math.log,
        "rsqrt": tf.math.rsqrt,
        "inverse": lambda x: tf.math.reciprocal(x + 1e-4),
    }

    def build(x):
        return getattr(mb, name)(x=x)

    np.testing.assert_allclose(evaluate(build, x=x), references[name](x), rtol=2e-6)


def test_epsilon_is_added_before_log_rsqrt_and_inverse(evaluate):
    x = np.zeros((1, 2), np.float32)

    def build(x):
        return mb.log(x=x, epsilon=0.5), mb.rsqrt(x=x, epsilon=0.25), mb.inverse(x=x, epsilon=0.1)

    log, rsqrt, inverse = evaluate(build, x=x)
    np.testing.assert_allclose(log, math.log(0.5), rtol=1e-6)
    np.testing.assert_allclose(rsqrt, 2, rtol=1e-6)
    np.testing.assert_allclose(inverse, 10, rtol=1e-6)


def test_log_of_nothing_is_infinite_without_epsilon_and_makes_no_warning(evaluate):
    def build(x):
        return mb.log(x=x, epsilon=0.0)

    assert np.isneginf(evaluate(build, x=np.zeros((1, 1), np.float32))).all()


BINARY = {
    "add": tf.add,
    "sub": tf.subtract,
    "mul": tf.multiply,
    "real_div": tf.divide,
    "floor_div": tf.math.floordiv,
    "mod": tf.math.floormod,
    "maximum": tf.maximum,
    "minimum": tf.minimum,
    "pow": tf.pow,
    "equal": tf.equal,
    "not_equal": tf.not_equal,
    "greater": tf.greater,
    "greater_equal": tf.greater_equal,
    "less": tf.less,
    "less_equal": tf.less_equal,
}


@pytest.mark.parametrize("name", BINARY)
@pytest.mark.parametrize("shape", [(2, 3, 4), (4,), (3, 1)])
def test_binary_broadcasts(evaluate, rng, name, shape):
    x = rng.integers(1, 5, (2, 3, 4)).astype(np.float32)
    y = rng.integers(1, 5, shape).astype(np.float32) * (1 if name == "pow" else -1)

    def build(x, y):
        return getattr(mb, name)(x=x, y=y)

    got = evaluate(build, x=x, y=y)
    expected = BINARY[name](x, y).numpy()
    assert got.dtype == expected.dtype
    np.testing.assert_allclose(got, expected, rtol=1e-6)


@pytest.mark.parametrize("name", ["floor_div", "mod", "mul"])
def test_binary_of_integers(evaluate, name):
    x = np.array([-7, -6, 6, 7], np.int32)
    y = np.array([2, 4, -4, -2], np.int32)

    def build(x, y):
        return getattr(mb, name)(x=x, y=y)

    np.testing.assert_array_equal(evaluate(build, x=x, y=y), BINARY[name](x, y))


def test_logic_and_select(evaluate, rng):
    x, y = rng.normal(size=(2, 2, 6)).astype(np.float32)

    def build(x, y):
        a, b = mb.greater(x=x, y=0.0), mb.less(x=y, y=0.3)
        both, either = mb.logical_and(x=a, y=b), mb.logical_or(x=a, y=b)
        one = mb.logical_xor(x=a, y=b)
        return both, either, one, mb.logical_not(x=a), mb.select(cond=one, a=x, b=y)

    both, either, one, inverted, chosen = evaluate(build, x=x, y=y)
    a, b = x > 0, y < 0.3
    np.testing.assert_array_equal(both, tf.logical_and(a, b))
    np.testing.assert_array_equal(either, tf.logical_or(a, b))
    np.testing.assert_array_equal(one, tf.math.logical_xor(a, b))
    np.testing.assert_array_equal(inverted, tf.logical_not(a))
    np.testing.assert_array_equal(chosen, tf.where(a ^ b, x, y))


@pytest.mark.parametrize("dtype", ["int32", "bool", "fp32", "int8", "uint8"])
def test_cast(evaluate, dtype):
    x = np.array([-1.9, -0.4, 0.0, 0.6, 1.5, 100.7], np.float32)
    x = np.abs(x) if dtype == "uint8" else x
    target = {"fp32": tf.float32}.get(dtype, dtype)

    def build(x):
        return mb.cast(x=x, dtype=dtype)

    np.testing.assert_array_equal(evaluate(build, x=x), tf.cast(x, target))


def test_half_precision_lives_in_the_weights_and_at_the_ends_only(evaluate):
    x = np.array([1.0, 2048.0], np.float32)

    def build(x):
        half = mb.cast(x=x, dtype="fp16")
        # 2049 has no half; the sum would be 2048 in half precision.
        return mb.cast(x=mb.add(x=half, y=np.float16(1)), dtype="fp32")

    np.testing.assert_array_equal(evaluate(build, x=x), [2.0, 2049.0])

    def constants(x):
        total = mb.add(x=np.float16(2048), y=np.float16(1))
        return mb.mul(x=x, y=mb.cast(x=total, dtype="fp32"))

    np.testing.assert_array_equal(evaluate(constants, x=x[:1]), [2049.0])


PARAMETRIC = {
    "clip": (dict(alpha=-0.5, beta=1.5), lambda x: tf.clip_by_value(x, -0.5, 1.5)),
    "threshold": (dict(alpha=0.25), lambda x: tf.maximum(x, 0.25)),
    "leaky_relu": (dict(alpha=0.2), lambda x: tf.nn.leaky_relu(x, 0.2)),
    "elu": (dict(alpha=1.0), tf.nn.elu),
    "clamped_relu": (
        dict(alpha=0.3, beta=1.0),
        lambda x: tf.minimum(tf.nn.leaky_relu(x, 0.3), 1.0),
    ),
    "thresholded_relu": (dict(alpha=0.7), lambda x: tf.where(x >= 0.7, x, 0.0)),
    "sigmoid_hard": (
        dict(alpha=0.2, beta=0.5),
        lambda x: tf.clip_by_value(0.2 * x + 0.5, 0.0, 1.0),
    ),
    "scaled_tanh": (dict(alpha=1.7, beta=0.6), lambda x: 1.7 * tf.tanh(0.6 * x)),
    "linear_activation": (dict(alpha=2.0, beta=-1.0), lambda x: 2.0 * x - 1.0),
}


@pytest.mark.parametrize("name", PARAMETRIC)
def test_parametric_activations(evaluate, name):
    x = np.linspace(-4, 4, 33, dtype=np.float32).reshape(1, 33)
    parameters, reference = PARAMETRIC[name]

    def build(x):
        return getattr(mb, name)(x=x, **parameters)

    np.testing.assert_allclose(evaluate(build, x=x), reference(x), rtol=2e-6, atol=1e-7)


def test_activations_by_channel(evaluate, rng):
    x = rng.normal(size=(2, 3, 4, 5)).astype(np.float32)
    alpha = np.array([0.1, 0.5, 2.0], np.float32)
    beta = np.array([1.0, -1.0, 0.5], np.float32)

    def build(x):
        return mb.prelu(x=x, alpha=alpha), mb.softplus_parametric(x=x, alpha=alpha, beta=beta)

    prelu, softplus = evaluate(build, x=x)
    a, b = alpha.reshape(3, 1, 1), beta.reshape(3, 1, 1)
    np.testing.assert_allclose(prelu, tf.where(x > 0, x, a * x))
    np.testing.assert_allclose(softplus, a * tf.nn.softplus(b * x), rtol=2e-6)


@pytest.mark.parametrize(
    ("mode", "reference"),
    [
        ("EXACT", lambda x: tf.nn.gelu(x, approximate=False)),
        ("TANH_APPROXIMATION", lambda x: tf.nn.gelu(x, approximate=True)),
        ("SIGMOID_APPROXIMATION", lambda x: x * tf.sigmoid(1.702 * x)),
    ],
)
def test_gelu(evaluate, mode, reference):
    x = np.linspace(-6, 6, 97, dtype=np.float32).reshape(1, 97)

    def build(x):
        return mb.gelu(x=x, mode=mode)

    np.testing.assert_allclose(evaluate(build, x=x), reference(x), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("axis", [-1, 0, 1])
def test_softmax(evaluate, rng, axis):
    x = rng.normal(scale=40, size=(3, 4, 5)).astype(np.float32)

    def build(x):
        return mb.softmax(x=x, axis=axis)

    np.testing.assert_allclose(
        evaluate(build, x=x), tf.nn.softmax(x, axis=axis), rtol=1e-5, atol=1e-9
    )


def test_erf_is_exact_to_float32():
    x = np.concatenate([np.linspace(-6, 6, 4001), [-np.inf, np.inf, 1e-20]]).astype(np.float32)
    expected = np.array([math.erf(v) for v in x])
    np.testing.assert_allclose(erf(x), expected, rtol=1.2e-7, atol=1e-30)
    assert np.isnan(erf(np.array([np.nan], np.float32)))

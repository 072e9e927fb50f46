"""Convolutions and pools: against TensorFlow where it has them, else against their definition."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from coremltools.converters.mil import Builder as mb


def last(x: np.ndarray) -> Any:
    """Channels last, as TensorFlow wants them."""
    return np.moveaxis(x, 1, -1)


def first(x: Any) -> np.ndarray:
    return np.moveaxis(np.asarray(x), -1, 1)


def convolution(
    x: np.ndarray,
    weight: np.ndarray,
    *,
    pads: list,
    strides: tuple,
    dilations: tuple | None = None,
    groups: int = 1,
) -> np.ndarray:
    """Convolution by its definition, one output element at a time, in float64."""
    x = np.pad(x.astype(np.float64), [(0, 0), (0, 0), *pads])
    kernel = weight.shape[2:]
    dilations = dilations or (1,) * len(kernel)
    out = [
        (n - (k - 1) * d - 1) // s + 1
        for n, k, d, s in zip(x.shape[2:], kernel, dilations, strides, strict=True)
    ]
    result = np.zeros((len(x), len(weight), *out))
    inputs, outputs = weight.shape[1], len(weight) // groups
    for channel, place in product(range(len(weight)), product(*map(range, out))):
        group = channel // outputs
        seen = [
            slice(p * s, p * s + (k - 1) * d + 1, d)
            for p, s, k, d in zip(place, strides, kernel, dilations, strict=True)
        ]
        part = x[(slice(None), slice(group * inputs, (group + 1) * inputs), *seen)]
        axes = tuple(range(1, part.ndim))
        result[(slice(None), channel, *place)] = (part * weight[channel]).sum(axis=axes)
    return result


@pytest.mark.parametrize("pad_type", ["valid", "same"])
@pytest.mark.parametrize(
    ("kernel", "strides", "dilations"),
    [
        ((3, 3), (1, 1), (1, 1)),
        ((3, 3), (2, 2), (1, 1)),
        ((2, 4), (1, 3), (1, 1)),
        ((3, 2), (1, 1), (2, 3)),
        ((1, 1), (1, 1), (1, 1)),
        ((1, 1), (2, 2), (1, 1)),
        ((5, 5), (3, 2), (1, 1)),
    ],
)
@pytest.mark.parametrize("size", [(9, 10), (12, 7)])
def test_conv_as_tensorflow_pads(evaluate, rng, *, pad_type, kernel, strides, dilations, size):
    x = rng.normal(size=(2, 3, *size)).astype(np.float32)
    weight = rng.normal(size=(4, 3, *kernel)).astype(np.float32)
    bias = rng.normal(size=4).astype(np.float32)

    def build(x):
        return mb.conv(
            x=x, weight=weight, bias=bias, pad_type=pad_type, strides=strides, dilations=dilations
        )

    expected = tf.nn.conv2d(
        last(x), weight.transpose(2, 3, 1, 0), strides, pad_type.upper(), dilations=dilations
    )
    np.testing.assert_allclose(evaluate(build, x=x), first(expected + bias), atol=2e-5)


@pytest.mark.parametrize("groups", [1, 2, 6])
@pytest.mark.parametrize("multiplier", [1, 2])
def test_conv_in_groups(evaluate, rng, groups, multiplier):
    x = rng.normal(size=(2, 6, 7, 5)).astype(np.float32)
    weight = rng.normal(size=(6 * multiplier, 6 // groups, 3, 3)).astype(np.float32)

    def build(x):
        return mb.conv(
            x=x,
            weight=weight,
            pad_type="custom",
            pad=[1, 0, 2, 1],
            strides=[2, 1],
            groups=groups,
        )

    expected = convolution(x, weight, pads=[(1, 0), (2, 1)], strides=(2, 1), groups=groups)
    np.testing.assert_allclose(evaluate(build, x=x), expected, atol=2e-5)


@pytest.mark.parametrize("size", [(8,), (4, 5, 6)])
def test_conv_of_sequences_and_volumes(evaluate, rng, size):
    x = rng.normal(size=(1, 2, *size)).astype(np.float32)
    weight = rng.normal(size=(3, 2, *(2,) * len(size))).astype(np.float32)

    def build(x):
        return mb.conv(x=x, weight=weight, pad_type="valid", strides=[2] * len(size))

    rank = len(size)
    expected = convolution(x, weight, pads=[(0, 0)] * rank, strides=(2,) * rank)
    np.testing.assert_allclose(evaluate(build, x=x), expected, atol=1e-5)


def test_same_lower_puts_the_odd_padding_in_front(evaluate, rng):
    x = rng.normal(size=(1, 1, 6, 7)).astype(np.float32)
    weight = rng.normal(size=(1, 1, 2, 4)).astype(np.float32)

    def build(x):
        return mb.conv(x=x, weight=weight, pad_type="same_lower")

    expected = convolution(x, weight, pads=[(1, 0), (2, 1)], strides=(1, 1))
    np.testing.assert_allclose(evaluate(build, x=x), expected, atol=1e-5)


def test_conv_with_a_weight_that_flows(evaluate, rng):
    x = rng.normal(size=(1, 2, 5, 5)).astype(np.float32)
    w = rng.normal(size=(3, 2, 3, 3)).astype(np.float32)

    def build(x, w):
        return mb.conv(x=x, weight=mb.relu(x=w), pad_type="valid")

    expected = convolution(x, np.maximum(w, 0), pads=[(0, 0)] * 2, strides=(1, 1))
    np.testing.assert_allclose(evaluate(build, x=x, w=w), expected, atol=1e-5)


@pytest.mark.parametrize("padding", ["valid", "same"])
@pytest.mark.parametrize(
    ("kernel", "stride"), [((3, 3), 1), ((3, 3), 2), ((2, 2), 2), ((4, 3), 2), ((2, 2), 3)]
)
@pytest.mark.parametrize("told", [True, False])
def test_conv_transpose_as_tensorflow(evaluate, rng, *, padding, kernel, stride, told):
    x = rng.normal(size=(2, 3, 5, 4)).astype(np.float32)
    weight = rng.normal(size=(3, 2, *kernel)).astype(np.float32)
    bias = rng.normal(size=2).astype(np.float32)
    # Several sizes fit a valid convolution; MIL takes the least unless told.
    reach = [0 if padding == "same" else max(k - stride, 0) if told else k - stride for k in kernel]
    spread = [n * stride + r for n, r in zip((5, 4), reach, strict=True)]
    expected = first(
        tf.nn.conv2d_transpose(
            last(x), weight.transpose(2, 3, 1, 0), [2, *spread, 2], stride, padding.upper()
        )
        + bias
    )

    def build(x):
        return mb.conv_transpose(
            x=x,
            weight=weight,
            bias=bias,
            pad_type=padding,
            strides=[stride, stride],
            output_shape=expected.shape if told else None,
        )

    np.testing.assert_allclose(evaluate(build, x=x), expected, atol=2e-5)


@pytest.mark.parametrize("groups", [1, 2])
def test_conv_transpose_is_the_transpose_of_conv(evaluate, rng, groups):
    """By definition: <conv(u), x> = <u, conv_transpose(x)>, padding, dilation and groups alike."""
    shared = dict(strides=[2, 1], dilations=[1, 2], pad_type="custom", pad=[1, 0, 2, 1])
    x = rng.normal(size=(1, 4, 4, 5)).astype(np.float32)
    weight = rng.normal(size=(4, 6 // groups, 3, 2)).astype(np.float32)

    def transposed(x):
        return mb.conv_transpose(x=x, weight=weight, groups=groups, **shared)

    got = evaluate(transposed, x=x)
    u = rng.normal(size=got.shape).astype(np.float32)
    forward = convolution(
        u, weight, pads=[(1, 0), (2, 1)], strides=(2, 1), dilations=(1, 2), groups=groups
    )
    assert forward.shape == x.shape
    np.testing.assert_allclose((forward * x).sum(), (u.astype(float) * got).sum(), rtol=1e-5)


@pytest.mark.parametrize("pad_type", ["valid", "same"])
@pytest.mark.parametrize(
    ("kernel", "strides"), [((2, 2), (2, 2)), ((3, 3), (2, 2)), ((3, 2), (1, 3)), ((4, 4), (1, 2))]
)
@pytest.mark.parametrize("kind", ["max", "avg"])
def test_pools_as_tensorflow(evaluate, rng, *, kind, kernel, strides, pad_type):
    x = rng.normal(loc=-3, size=(2, 3, 8, 11)).astype(np.float32)
    shared = dict(kernel_sizes=kernel, strides=strides, pad_type=pad_type)

    def build(x):
        if kind == "max":
            return mb.max_pool(x=x, **shared)
        return mb.avg_pool(x=x, exclude_padding_from_average=True, **shared)

    pool = tf.nn.max_pool2d if kind == "max" else tf.nn.avg_pool2d
    expected = first(pool(last(x), kernel, strides, pad_type.upper()))
    np.testing.assert_allclose(evaluate(build, x=x), expected, atol=1e-6)


@pytest.mark.parametrize("rank", [1, 3])
def test_pools_of_sequences_and_volumes(evaluate, rng, rank):
    x = rng.normal(size=(1, 2, *(6,) * rank)).astype(np.float32)

    def build(x):
        return mb.max_pool(x=x, kernel_sizes=[2] * rank, strides=[2] * rank, pad_type="valid")

    pool = tf.nn.max_pool1d if rank == 1 else tf.nn.max_pool3d
    np.testing.assert_allclose(evaluate(build, x=x), first(pool(last(x), 2, 2, "VALID")))


def pooled(x: np.ndarray, start: int, kernel: int, count: str) -> float:
    """One mean of a padded 1-D pool by definition; ``x`` holds NaN for padding."""
    seen = x[start : start + kernel]
    real = seen[~np.isnan(seen)]
    return float(real.sum() / (len(real) if count == "real" else len(seen)))


@pytest.mark.parametrize("excluding", [True, False])
@pytest.mark.parametrize("ceil_mode", [True, False])
@pytest.mark.parametrize(("size", "kernel", "stride"), [(7, 3, 2), (8, 3, 2), (4, 2, 3)])
def test_average_counts_padding_as_told_and_overhang_never(
    evaluate, rng, *, excluding, ceil_mode, size, kernel, stride
):
    x = rng.normal(size=(1, 1, size)).astype(np.float32)

    def build(x):
        return mb.avg_pool(
            x=x,
            kernel_sizes=[kernel],
            strides=[stride],
            pad_type="custom",
            pad=[1, 1],
            exclude_padding_from_average=excluding,
            ceil_mode=ceil_mode,
        )

    padded = np.pad(x[0, 0], 1, constant_values=np.nan)
    windows = (len(padded) - kernel) // stride + 1
    if ceil_mode:
        windows = -(-(len(padded) - kernel) // stride) + 1
        # One that would begin in the padding after is left out.
        windows -= (windows - 1) * stride >= size + 1
    starts = range(0, stride * windows, stride)
    expected = [pooled(padded, s, kernel, "real" if excluding else "all") for s in starts]
    np.testing.assert_allclose(evaluate(build, x=x)[0, 0], expected, rtol=1e-5)


def test_the_greatest_of_a_padded_window_is_never_padding(evaluate):
    x = np.full((1, 1, 4, 4), -5, np.float32)

    def build(x):
        return mb.max_pool(
            x=x, kernel_sizes=[3, 3], strides=[2, 2], pad_type="custom", pad=[1, 1, 1, 1]
        )

    np.testing.assert_array_equal(evaluate(build, x=x), np.full((1, 1, 2, 2), -5))

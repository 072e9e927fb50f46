"""Products, reductions, normalisations, resizing and quantization against TensorFlow."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
from coremltools.converters.mil import Builder as mb


def test_linear(evaluate, rng):
    x = rng.normal(size=(2, 3, 5)).astype(np.float32)
    weight = rng.normal(size=(4, 5)).astype(np.float32)
    bias = rng.normal(size=4).astype(np.float32)

    def build(x):
        return mb.linear(x=x, weight=weight, bias=bias), mb.linear(x=x, weight=weight)

    biased, plain = evaluate(build, x=x)
    np.testing.assert_allclose(plain, tf.matmul(x, weight[None].repeat(2, 0), transpose_b=True),
                               atol=1e-5)  # fmt: skip
    np.testing.assert_allclose(biased, plain + bias, atol=1e-6)


@pytest.mark.parametrize("turned_x", [False, True])
@pytest.mark.parametrize("turned_y", [False, True])
def test_matmul(evaluate, rng, turned_x, turned_y):
    x = rng.normal(size=(2, 1, 5, 4) if turned_x else (2, 1, 4, 5)).astype(np.float32)
    y = rng.normal(size=(3, 6, 5) if turned_y else (3, 5, 6)).astype(np.float32)

    def build(x, y):
        return mb.matmul(x=x, y=y, transpose_x=turned_x, transpose_y=turned_y)

    expected = tf.matmul(x, y, transpose_a=turned_x, transpose_b=turned_y)
    np.testing.assert_allclose(evaluate(build, x=x, y=y), expected, atol=1e-5)


@pytest.mark.parametrize("heads", [3, 1])
def test_einsum(evaluate, rng, heads):
    x = rng.normal(size=(2, 4, 3, 5)).astype(np.float32)
    y = rng.normal(size=(2, 5, heads, 6)).astype(np.float32)

    def build(x, y):
        return mb.einsum(values=(x, y), equation="bqhk,bkhd->bqhd")

    expected = tf.einsum("bqhk,bkhd->bqhd", x, tf.broadcast_to(y, (2, 5, 3, 6)))
    np.testing.assert_allclose(evaluate(build, x=x, y=y), expected, atol=1e-5)

    def without_batch(x, y):
        return mb.einsum(values=(x, y), equation="qhk,khd->qhd")

    got = evaluate(without_batch, x=x[0], y=y[0])
    np.testing.assert_allclose(got, expected[0], atol=1e-5)


REDUCTIONS = {
    "reduce_sum": tf.reduce_sum,
    "reduce_mean": tf.reduce_mean,
    "reduce_max": tf.reduce_max,
    "reduce_min": tf.reduce_min,
    "reduce_prod": tf.reduce_prod,
    "reduce_l1_norm": lambda x, **k: tf.reduce_sum(tf.abs(x), **k),
    "reduce_l2_norm": lambda x, **k: tf.sqrt(tf.reduce_sum(x * x, **k)),
    "reduce_sum_square": lambda x, **k: tf.reduce_sum(x * x, **k),
    "reduce_log_sum": lambda x, **k: tf.math.log(tf.reduce_sum(x, **k)),
    "reduce_log_sum_exp": tf.reduce_logsumexp,
}


@pytest.mark.parametrize("name", REDUCTIONS)
@pytest.mark.parametrize("axes", [[1], [-1, 0], None])
@pytest.mark.parametrize("keep", [True, False])
def test_reductions(evaluate, rng, name, axes, keep):
    x = rng.uniform(0.5, 2, (2, 3, 4)).astype(np.float32)

    def build(x):
        return getattr(mb, name)(x=x, axes=axes, keep_dims=keep)

    expected = REDUCTIONS[name](x, axis=axes, keepdims=keep)
    got = evaluate(build, x=x)
    assert got.shape == expected.shape
    np.testing.assert_allclose(got, expected, rtol=1e-5)


def test_positions_and_order(evaluate, rng):
    x = rng.permutation(24).reshape(2, 3, 4).astype(np.float32)

    def build(x):
        values, places = mb.topk(x=x, k=2, axis=-1)
        lowest, where = mb.topk(x=x, k=2, axis=1, ascending=True)
        return (
            mb.reduce_argmax(x=x, axis=-1),
            mb.reduce_argmin(x=x, axis=0, keep_dims=True, output_dtype="uint16"),
            mb.argsort(x=x, axis=2),
            mb.argsort(x=x, axis=1, ascending=True),
            values,
            places,
            lowest,
            where,
        )

    greatest, least, down, up, values, places, lowest, where = evaluate(build, x=x)
    np.testing.assert_array_equal(greatest, tf.argmax(x, -1))
    np.testing.assert_array_equal(least, tf.argmin(x, 0)[None])
    assert (greatest.dtype, least.dtype) == (np.int32, np.uint16)
    np.testing.assert_array_equal(down, tf.argsort(x, 2, "DESCENDING"))
    np.testing.assert_array_equal(up, tf.argsort(x, 1))
    best = tf.math.top_k(x, 2)
    np.testing.assert_array_equal(values, best.values)
    np.testing.assert_array_equal(places, best.indices)
    np.testing.assert_array_equal(lowest, np.sort(x, 1)[:, :2])
    np.testing.assert_array_equal(where, np.argsort(x, 1)[:, :2])


@pytest.mark.parametrize("exclusive", [False, True])
@pytest.mark.parametrize("reverse", [False, True])
def test_cumsum(evaluate, rng, exclusive, reverse):
    x = rng.integers(-5, 5, (2, 3, 4)).astype(np.float32)

    def build(x):
        return mb.cumsum(x=x, axis=1, exclusive=exclusive, reverse=reverse)

    expected = tf.cumsum(x, 1, exclusive=exclusive, reverse=reverse)
    np.testing.assert_array_equal(evaluate(build, x=x), expected)


def test_batch_and_instance_norm(evaluate, rng):
    x = rng.normal(2, 3, (2, 4, 5, 6)).astype(np.float32)
    mean, gamma, beta = rng.normal(size=(3, 4)).astype(np.float32)
    variance = rng.uniform(0.5, 2, 4).astype(np.float32)

    def build(x):
        return (
            mb.batch_norm(x=x, mean=mean, variance=variance, gamma=gamma, beta=beta, epsilon=1e-3),
            mb.batch_norm(x=x, mean=mean, variance=variance),
            mb.instance_norm(x=x, gamma=gamma, beta=beta, epsilon=1e-3),
            mb.instance_norm(x=x),
        )

    full, plain, instance, bare = evaluate(build, x=x)
    c = (slice(None), None, None)
    expected = tf.nn.batch_normalization(x, mean[c], variance[c], beta[c], gamma[c], 1e-3)
    np.testing.assert_allclose(full, expected, atol=1e-5)
    expected = tf.nn.batch_normalization(x, mean[c], variance[c], None, None, 1e-5)
    np.testing.assert_allclose(plain, expected, atol=1e-5)
    means, variances = tf.nn.moments(x, [2, 3], keepdims=True)
    expected = tf.nn.batch_normalization(x, means, variances, beta[c], gamma[c], 1e-3)
    np.testing.assert_allclose(instance, expected, atol=1e-5)
    expected = tf.nn.batch_normalization(x, means, variances, None, None, 1e-5)
    np.testing.assert_allclose(bare, expected, atol=1e-5)


@pytest.mark.parametrize("axes", [[-1], [2, 1], [0, 1, 2]])
def test_layer_norm(evaluate, rng, axes):
    x = rng.normal(2, 3, (2, 3, 4)).astype(np.float32)
    over = sorted(axis % 3 for axis in axes)
    shape = [x.shape[a] for a in over]
    gamma, beta = rng.normal(size=(2, *shape)).astype(np.float32)

    def build(x):
        return mb.layer_norm(x=x, axes=axes, gamma=gamma, beta=beta, epsilon=1e-3)

    means, variances = tf.nn.moments(x, over, keepdims=True)
    expected = tf.nn.batch_normalization(x, means, variances, beta, gamma, 1e-3)
    np.testing.assert_allclose(evaluate(build, x=x), expected, atol=1e-5)


def test_l2_norm(evaluate, rng):
    x = rng.normal(size=(2, 3, 4, 5)).astype(np.float32)

    def build(x):
        return mb.l2_norm(x=x, epsilon=1e-8)

    expected = tf.nn.l2_normalize(x, [1, 2, 3], epsilon=0)
    np.testing.assert_allclose(evaluate(build, x=x), expected, atol=1e-6)


def resized(x, size, **how):
    images = tf.transpose(x, [0, 2, 3, 1])
    return tf.transpose(tf.raw_ops.ResizeBilinear(images=images, size=size, **how), [0, 3, 1, 2])


ASYMMETRIC = dict(align_corners=False, half_pixel_centers=False)
ALIGNED = dict(align_corners=True, half_pixel_centers=False)
HALF_PIXEL = dict(align_corners=False, half_pixel_centers=True)


@pytest.mark.parametrize("size", [(5, 9), (3, 4), (12, 8), (2, 1)])
@pytest.mark.parametrize(
    ("mode", "how"),
    [
        ("DEFAULT", ASYMMETRIC),
        ("STRICT_ALIGN_CORNERS", ALIGNED),
        ("UNALIGN_CORNERS", HALF_PIXEL),
    ],
)
def test_resize_bilinear(evaluate, rng, size, mode, how):
    x = rng.normal(size=(2, 3, 3, 4)).astype(np.float32)

    def build(x):
        return (
            mb.resize_bilinear(
                x=x, target_size_height=size[0], target_size_width=size[1], sampling_mode=mode
            ),
            mb.resize(x=x, shape=size, resized_dims=np.uint32(2), sampling_mode=mode),
        )

    expected = resized(x, size, **how)
    for got in evaluate(build, x=x):
        np.testing.assert_allclose(got, expected, atol=1e-5)


@pytest.mark.parametrize(
    ("mode", "grid"),
    [
        # The examples of resize_bilinear's documentation.
        ("UNALIGN_CORNERS", [0.0, 0.1, 0.5, 0.9, 1.0]),
        ("ALIGN_CORNERS", [0.0, 0.25, 0.5, 0.75, 1.0]),
        ("DEFAULT", [0.0, 0.4, 0.8, 1.0, 1.0]),
        ("OFFSET_CORNERS", [0.1, 0.3, 0.5, 0.7, 0.9]),
        ("STRICT_ALIGN_CORNERS", [0.0]),
        ("ALIGN_CORNERS", [0.5]),
    ],
)
def test_resize_bilinear_as_documented(evaluate, mode, grid):
    def build(x):
        return mb.resize_bilinear(
            x=x, target_size_height=1, target_size_width=len(grid), sampling_mode=mode
        )

    got = evaluate(build, x=np.array([[[0.0, 1.0]]], np.float32))
    np.testing.assert_allclose(got[0, 0], grid, atol=1e-6)


@pytest.mark.parametrize("aligned", [True, False])
@pytest.mark.parametrize("factors", [(2, 3), (1.5, 1.25)])
def test_upsample_bilinear(evaluate, rng, aligned, factors):
    x = rng.normal(size=(2, 3, 4, 4)).astype(np.float32)

    def build(x):
        return mb.upsample_bilinear(
            x=x,
            scale_factor_height=factors[0],
            scale_factor_width=factors[1],
            align_corners=aligned,
        )

    size = [int(4 * factor) for factor in factors]
    expected = resized(x, size, **(ALIGNED if aligned else HALF_PIXEL))
    np.testing.assert_allclose(evaluate(build, x=x), expected, atol=1e-5)


@pytest.mark.parametrize("half_pixel", [True, False])
def test_nearest_neighbours_by_whole_factors(evaluate, rng, half_pixel):
    x = rng.normal(size=(2, 3, 4, 5)).astype(np.float32)

    def build(x):
        return (
            mb.upsample_nearest_neighbor(x=x, scale_factor_height=2, scale_factor_width=3),
            mb.resize_nearest_neighbor(x=x, target_size_height=8, target_size_width=15),
        )

    expected = tf.raw_ops.ResizeNearestNeighbor(
        images=tf.transpose(x, [0, 2, 3, 1]), size=[8, 15], half_pixel_centers=half_pixel
    )
    for got in evaluate(build, x=x):
        np.testing.assert_array_equal(got, tf.transpose(expected, [0, 3, 1, 2]))


@pytest.mark.parametrize("dtype", ["int8", "uint8"])
def test_quantize_and_back(evaluate, rng, dtype):
    x = rng.normal(0, 3, (2, 3, 4)).astype(np.float32)
    zero = np.array(7, dtype)

    def build(x):
        steps = mb.quantize(input=x, scale=np.float32(0.05), zero_point=zero, output_dtype=dtype)
        return steps, mb.dequantize(input=steps, scale=np.float32(0.05), zero_point=zero)

    steps, back = evaluate(build, x=x)
    limits = np.iinfo(dtype)
    low, high = ((limit - 7) * 0.05 for limit in (limits.min, limits.max))
    assert steps.dtype == dtype
    expected = tf.quantization.fake_quant_with_min_max_args(x, low, high)
    np.testing.assert_allclose(back, expected, atol=1e-5)


def test_quantize_by_channel(evaluate, rng):
    x = rng.normal(0, 3, (2, 3, 4)).astype(np.float32)
    scale = np.array([0.1, 0.2, 0.5], np.float32)

    def build(x):
        steps = mb.quantize(input=x, scale=scale, axis=1, output_dtype="int8")
        return steps, mb.dequantize(input=steps, scale=scale, axis=1)

    steps, back = evaluate(build, x=x)
    for channel, step in enumerate(scale):
        expected = np.clip(tf.round(x[:, channel] / step), -128, 127)
        np.testing.assert_array_equal(steps[:, channel], expected)
        np.testing.assert_allclose(back[:, channel], expected * step, rtol=1e-6)

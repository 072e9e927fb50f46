"""Operations that move, pick or make elements: against TensorFlow, or numpy where it has none."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
from coremltools.converters.mil import Builder as mb

X = np.arange(2 * 3 * 4, dtype=np.float32).reshape(2, 3, 4)

MOVES = {
    "reshape": (lambda x: mb.reshape(x=x, shape=[4, 6]), lambda x: tf.reshape(x, [4, 6])),
    "reshape -1": (lambda x: mb.reshape(x=x, shape=[-1, 2]), lambda x: tf.reshape(x, [-1, 2])),
    "reshape 0": (
        lambda x: mb.reshape(x=x, shape=[0, -1, 2]),
        lambda x: tf.reshape(x, [2, -1, 2]),
    ),
    "transpose": (
        lambda x: mb.transpose(x=x, perm=[2, 0, 1]),
        lambda x: tf.transpose(x, [2, 0, 1]),
    ),
    "transpose negative": (
        lambda x: mb.transpose(x=x, perm=[-1, 0, -2]),
        lambda x: tf.transpose(x, [2, 0, 1]),
    ),
    "expand_dims": (
        lambda x: mb.expand_dims(x=x, axes=[0, -1]),
        lambda x: tf.reshape(x, [1, 2, 3, 4, 1]),
    ),
    "squeeze": (
        lambda x: mb.squeeze(x=mb.reshape(x=x, shape=[1, 24, 1]), axes=[-1]),
        lambda x: tf.reshape(x, [1, 24]),
    ),
    "squeeze all": (
        lambda x: mb.squeeze(x=mb.reshape(x=x, shape=[1, 24, 1])),
        lambda x: tf.reshape(x, [24]),
    ),
    "squeeze leaves what is not 1": (lambda x: mb.squeeze(x=x, axes=[1]), lambda x: x),
    "concat": (
        lambda x: mb.concat(values=(x, mb.relu(x=x), np.ones_like(X)), axis=-1),
        lambda x: tf.concat([x, x, tf.ones_like(x)], -1),
    ),
    "concat interleaved": (
        lambda x: mb.concat(values=(x, mb.sub(x=0.0, y=x)), axis=1, interleave=True),
        lambda x: tf.reshape(tf.stack([x, -x], 2), [2, 6, 4]),
    ),
    "stack": (lambda x: mb.stack(values=(x, x), axis=1), lambda x: tf.stack([x, x], 1)),
    "tile": (lambda x: mb.tile(x=x, reps=[1, 2, 3]), lambda x: tf.tile(x, [1, 2, 3])),
    "reverse": (lambda x: mb.reverse(x=x, axes=[0, -1]), lambda x: tf.reverse(x, [0, 2])),
    "reverse all": (lambda x: mb.reverse(x=x), lambda x: tf.reverse(x, [0, 1, 2])),
    "flatten2d": (lambda x: mb.flatten2d(x=x, axis=2), lambda x: tf.reshape(x, [6, 4])),
    "slice": (
        lambda x: mb.slice_by_index(x=x, begin=[0, 2, 1], end=[2, 0, 4], stride=[1, -1, 2]),
        lambda x: x[0:2, 2:0:-1, 1:4:2],
    ),
    "slice with masks": (
        lambda x: mb.slice_by_index(
            x=x,
            begin=[1, 1, -3],
            end=[0, 0, -1],
            begin_mask=[False, True, False],
            end_mask=[True, True, False],
        ),
        lambda x: x[1:, :, -3:-1],
    ),
    "slice to an element": (
        lambda x: mb.slice_by_index(
            x=x,
            begin=[-1, 0, 2],
            end=[0, 3, 0],
            squeeze_mask=[True, False, True],
        ),
        lambda x: x[-1, 0:3, 2],
    ),
    "slice_by_size": (
        lambda x: mb.slice_by_size(x=x, begin=[0, 1, -3], size=[-1, 2, 2]),
        lambda x: tf.slice(x, [0, 1, 1], [-1, 2, 2]),
    ),
    "pad": (
        lambda x: mb.pad(x=x, pad=[0, 2, 1, 0], constant_val=7.0),
        lambda x: tf.pad(x, [[0, 0], [0, 2], [1, 0]], constant_values=7.0),
    ),
    "pad reflect": (
        lambda x: mb.pad(x=x, pad=[2, 1], mode="reflect"),
        lambda x: tf.pad(x, [[0, 0], [0, 0], [2, 1]], mode="REFLECT"),
    ),
    "pad replicate": (
        lambda x: mb.pad(x=x, pad=[2, 1], mode="replicate"),
        lambda x: tf.gather(x, [0, 0, 0, 1, 2, 3, 3], axis=2),
    ),
    "gather": (
        lambda x: mb.gather(x=x, indices=np.array([[2, 0], [1, 1]], np.int32), axis=1),
        lambda x: tf.gather(x, [[2, 0], [1, 1]], axis=1),
    ),
    "gather one": (lambda x: mb.gather(x=x, indices=1, axis=-1), lambda x: x[..., 1]),
    "gather in batches": (
        lambda x: mb.gather(
            x=x, indices=np.array([[2, 0], [1, 1]], np.int32), axis=1, batch_dims=1
        ),
        lambda x: tf.gather(x, [[2, 0], [1, 1]], axis=1, batch_dims=1),
    ),
    "gather_along_axis": (
        lambda x: mb.gather_along_axis(x=x, indices=np.full((2, 3, 1), 3, np.int32), axis=2),
        lambda x: tf.experimental.numpy.take_along_axis(x, np.full((2, 3, 1), 3), 2),
    ),
    "band_part": (
        lambda x: mb.band_part(x=x, lower=1, upper=0),
        lambda x: tf.linalg.band_part(x, 1, 0),
    ),
    "band_part above": (
        lambda x: mb.band_part(x=x, lower=0, upper=-1),
        lambda x: tf.linalg.band_part(x, 0, -1),
    ),
    "one_hot": (
        lambda x: mb.one_hot(
            indices=mb.cast(x=x, dtype="int32"),
            one_hot_vector_size=30,
            axis=1,
            on_value=2.0,
            off_value=-1.0,
        ),
        lambda x: tf.one_hot(tf.cast(x, tf.int32), 30, 2.0, -1.0, axis=1),
    ),
    "shape and fill": (
        lambda x: mb.fill(shape=mb.shape(x=x), value=3.0),
        lambda x: tf.fill(tf.shape(x), 3.0),
    ),
    "fill_like": (lambda x: mb.fill_like(ref_tensor=x, value=4), lambda x: tf.fill([2, 3, 4], 4)),
    "range_1d": (
        lambda x: mb.range_1d(start=1.0, end=mb.reduce_max(x=x), step=2.5),
        lambda x: tf.range(1.0, 23.0, 2.5),
    ),
}


@pytest.mark.parametrize("name", MOVES)
def test_moves(evaluate, name):
    body, reference = MOVES[name]

    def build(x):
        return body(x)

    expected = np.asarray(reference(tf.constant(X)))
    got = evaluate(build, x=X)
    assert got.dtype == expected.dtype
    np.testing.assert_array_equal(got, expected)


def test_split(evaluate):
    def build(x):
        return (*mb.split(x=x, num_splits=2, axis=-1), *mb.split(x=x, split_sizes=[1, 2], axis=1))

    expected = [*tf.split(X, 2, -1), *tf.split(X, [1, 2], 1)]
    got = evaluate(build, x=X)
    assert len(got) == len(expected)
    for one, other in zip(got, expected, strict=True):
        np.testing.assert_array_equal(one, other)


def nhwc(x):
    return tf.transpose(x, [0, 2, 3, 1])


def nchw(x):
    return tf.transpose(x, [0, 3, 1, 2])


def test_blocks(evaluate, rng):
    x = rng.normal(size=(2, 8, 4, 6)).astype(np.float32)

    def build(x):
        return (
            mb.depth_to_space(x=x, block_size=2),
            mb.space_to_depth(x=x, block_size=2),
            mb.pixel_shuffle(x=x, upscale_factor=2),
            mb.pixel_unshuffle(x=x, downscale_factor=np.uint32(2)),
            mb.crop(x=x, crop_height=[1, 0], crop_width=[2, 3]),
        )

    spread, folded, shuffled, unshuffled, cropped = evaluate(build, x=x)
    np.testing.assert_array_equal(spread, nchw(tf.nn.depth_to_space(nhwc(x), 2)))
    np.testing.assert_array_equal(folded, nchw(tf.nn.space_to_depth(nhwc(x), 2)))
    # PyTorch's: channel c * 4 + 2 * row + column lands at (row, column) of its block.
    for channel, row, column in np.ndindex(2, 2, 2):
        source = x[:, 4 * channel + 2 * row + column]
        np.testing.assert_array_equal(shuffled[:, channel, row::2, column::2], source)
    for channel, row, column in np.ndindex(8, 2, 2):
        target = unshuffled[:, 4 * channel + 2 * row + column]
        np.testing.assert_array_equal(target, x[:, channel, row::2, column::2])
    np.testing.assert_array_equal(cropped, x[:, :, 1:, 2:-3])


def test_shapes_that_are_computed(evaluate):
    """Slices and reshapes whose numbers flow through the program."""

    def build(x):
        lengths = mb.shape(x=x)
        rows = mb.slice_by_index(x=lengths, begin=[1], end=[2])
        return (
            mb.reshape(x=x, shape=mb.concat(values=(rows, np.array([-1], np.int32)), axis=0)),
            mb.slice_by_index(x=x, begin=[0, 0, 0], end=lengths),
        )

    flat, same = evaluate(build, x=X)
    np.testing.assert_array_equal(flat, X.reshape(3, 8))
    np.testing.assert_array_equal(same, X)

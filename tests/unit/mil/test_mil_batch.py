"""Many samples at once: where a rule proves it, the chunk must answer as its samples alone."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from coremltools.converters.mil import Builder as mb

from converters.mil import MilProgram, batch
from converters.mil.execute import Execution, fold
from converters.mil.ops import EVALUATORS
from converters.mil.plan import batch_plan
from converters.mil.reader import graph_of

IMAGE = (1, 4, 6, 6)
ROWS = (1, 3, 5)


def weights(*shape):
    return np.random.default_rng(5).normal(size=shape).astype(np.float32)


PROVEN = {
    "conv": (IMAGE, lambda x: mb.conv(x=x, weight=weights(8, 2, 3, 3), pad_type="same", groups=2)),
    "conv_transpose": (
        IMAGE,
        lambda x: mb.conv_transpose(
            x=x, weight=weights(4, 2, 2, 2), strides=[2, 2], output_shape=[1, 2, 12, 12]
        ),
    ),
    "pools": (
        IMAGE,
        lambda x: mb.avg_pool(
            x=mb.max_pool(x=x, kernel_sizes=[2, 2], strides=[2, 2], pad_type="valid"),
            kernel_sizes=[2, 2],
            pad_type="same",
        ),
    ),
    "channels last and first": (
        (1, 6, 6, 4),
        lambda x: mb.transpose(
            x=mb.relu(x=mb.transpose(x=x, perm=[0, 3, 1, 2])), perm=[0, -2, 3, 1]
        ),
    ),
    "samples moved to the end and back": (
        ROWS,
        lambda x: mb.transpose(
            x=mb.softmax(x=mb.transpose(x=x, perm=[1, 2, 0]), axis=0), perm=[2, 0, 1]
        ),
    ),
    "flatten": (IMAGE, lambda x: mb.reshape(x=x, shape=[1, 144])),
    "flatten by -1": (IMAGE, lambda x: mb.reshape(x=x, shape=[-1, 144])),
    "reshape with axes in front": (
        ROWS,
        lambda x: mb.reshape(x=mb.expand_dims(x=x, axes=[0, 1]), shape=[1, 15]),
    ),
    "expand and squeeze": (
        ROWS,
        lambda x: mb.squeeze(x=mb.expand_dims(x=x, axes=[0, 3, -1]), axes=[0, -1]),
    ),
    "squeeze leaves what is not 1": (
        ROWS,
        lambda x: mb.transpose(
            x=mb.squeeze(
                x=mb.expand_dims(x=mb.transpose(x=x, perm=[1, 0, 2]), axes=[0]), axes=[0, 1]
            ),
            perm=[1, 0, 2],
        ),
    ),
    "dense": (
        (1, 7),
        lambda x: mb.linear(
            x=mb.matmul(x=x, y=weights(5, 7), transpose_y=True), weight=weights(3, 5)
        ),
    ),
    "matmul of samples": (ROWS, lambda x: mb.matmul(x=x, y=x, transpose_y=True)),
    "matmul of a constant and samples": (ROWS, lambda x: mb.matmul(x=weights(1, 2, 3), y=x)),
    "matmul with samples in columns": (
        (1, 5),
        lambda x: mb.matmul(x=mb.transpose(x=x, perm=[1, 0]), y=weights(5, 3), transpose_x=True),
    ),
    "einsum": (
        (1, 2, 3, 2),
        lambda x: mb.einsum(
            values=(x, mb.einsum(values=(x, weights(1, 2, 3, 2)), equation="nchw,nwhu->nchu")),
            equation="nchw,nwhu->nchu",
        ),
    ),
    "broadcasting": (
        IMAGE,
        lambda x: mb.select(
            cond=mb.greater(x=x, y=weights(6)),
            a=mb.mul(x=x, y=weights(1, 4, 1, 1)),
            b=mb.sub(x=0.5, y=x),
        ),
    ),
    "global pool": (IMAGE, lambda x: mb.reduce_mean(x=x, axes=[2, 3], keep_dims=False)),
    "reductions that shift": (
        ROWS,
        lambda x: mb.transpose(
            x=mb.reduce_max(x=mb.transpose(x=x, perm=[1, 0, 2]), axes=[0], keep_dims=False),
            perm=[0, 1],
        ),
    ),
    "reduction that keeps": (ROWS, lambda x: mb.reduce_sum(x=x, axes=[-1], keep_dims=True)),
    "argmax": ((1, 9), lambda x: mb.reduce_argmax(x=x, axis=-1, keep_dims=True)),
    "normalisations": (
        IMAGE,
        lambda x: mb.layer_norm(
            x=mb.instance_norm(x=mb.batch_norm(x=x, mean=weights(4), variance=weights(4) ** 2)),
            axes=[1, -1],
        ),
    ),
    "l2_norm": (IMAGE, lambda x: mb.l2_norm(x=x)),
    "concat": (ROWS, lambda x: mb.concat(values=(x, mb.relu(x=x)), axis=2)),
    "stack": (
        ROWS,
        lambda x: mb.squeeze(
            x=mb.reduce_sum(x=mb.stack(values=(x, x), axis=0), axes=[0], keep_dims=True), axes=[0]
        ),
    ),
    "split": (ROWS, lambda x: mb.split(x=x, split_sizes=[2, 3], axis=2)[1]),
    "topk": (ROWS, lambda x: mb.topk(x=x, k=2, axis=-1)[0]),
    "slice": (
        ROWS,
        lambda x: mb.slice_by_index(
            x=x, begin=[0, 1, 0], end=[1, 3, 0], end_mask=[False, False, True], stride=[1, 2, 1]
        ),
    ),
    "slice to an element": (
        ROWS,
        lambda x: mb.slice_by_index(
            x=x, begin=[0, -1, 0], end=[1, 0, 5], squeeze_mask=[False, True, False]
        ),
    ),
    "slice backwards": (
        ROWS,
        lambda x: mb.slice_by_index(
            x=x,
            begin=[0, 2, 0],
            end=[0, 0, 5],
            stride=[-1, -1, 1],
            begin_mask=[True, False, False],
            end_mask=[True, False, False],
        ),
    ),
    "slice from the end": (
        ROWS,
        lambda x: mb.slice_by_index(x=x, begin=[-1, 0, 0], end=[1, 2, 5]),
    ),
    "slice_by_size": (ROWS, lambda x: mb.slice_by_size(x=x, begin=[0, 1, 0], size=[1, 2, -1])),
    "slice_by_size from the end": (
        ROWS,
        lambda x: mb.slice_by_size(x=x, begin=[-1, -2, 0], size=[1, 2, 5]),
    ),
    "pad": (IMAGE, lambda x: mb.pad(x=x, pad=[0, 0, 0, 0, 1, 2, 0, 1])),
    "pad the last axis": (ROWS, lambda x: mb.pad(x=x, pad=[2, 1], mode="reflect")),
    "tile": (ROWS, lambda x: mb.tile(x=x, reps=[1, 2, 1])),
    "gather": (ROWS, lambda x: mb.gather(x=x, indices=np.array([[2, 0]], np.int32), axis=1)),
    "gather before the samples": (
        ROWS,
        lambda x: mb.squeeze(
            x=mb.transpose(
                x=mb.gather(
                    x=mb.transpose(x=x, perm=[1, 0, 2]),
                    indices=np.array([[2, 0]], np.int32),
                    axis=0,
                ),
                perm=[2, 0, 1, 3],
            ),
            axes=[1],
        ),
    ),
    "embedding": (
        (1, 6),
        lambda x: mb.gather(x=weights(9, 4), indices=mb.cast(x=mb.abs(x=x), dtype="int32")),
    ),
    "resizing": (
        IMAGE,
        lambda x: mb.resize_bilinear(
            x=mb.upsample_nearest_neighbor(x=x, scale_factor_height=2, scale_factor_width=2),
            target_size_height=5,
            target_size_width=7,
        ),
    ),
    "quantization": (
        IMAGE,
        lambda x: mb.dequantize(
            input=mb.quantize(input=x, scale=weights(4) ** 2, axis=1, output_dtype="int8"),
            scale=weights(4) ** 2,
            axis=1,
        ),
    ),
    "activations by channel": (IMAGE, lambda x: mb.prelu(x=x, alpha=weights(4))),
    "constants on the way": (ROWS, lambda x: mb.add(x=x, y=mb.relu(x=weights(3, 5)))),
}


def samples(shape, count=3):
    return np.random.default_rng(6).normal(size=(count, *shape[1:])).astype(np.float32)


@pytest.mark.parametrize("name", PROVEN)
def test_a_chunk_answers_as_its_samples_alone(program, name):
    shape, body = PROVEN[name]

    def build(x):
        return body(x)

    x = samples(shape)
    made = program(build, {"x": x[:1]})
    graph = fold(graph_of(made), EVALUATORS)
    plan = batch_plan(graph, EVALUATORS)
    assert plan is not None
    (together,) = Execution(graph, EVALUATORS, plan)([x])
    alone = [Execution(graph, EVALUATORS)([x[i : i + 1]])[0] for i in range(len(x))]
    np.testing.assert_allclose(together, np.concatenate(alone), rtol=1e-5, atol=1e-6)
    assert MilProgram(made).batched


UNPROVEN = {
    "softmax over the samples": (ROWS, lambda x: mb.softmax(x=x, axis=0)),
    "sum over the samples": (ROWS, lambda x: mb.reduce_sum(x=x, axes=[0, 2], keep_dims=True)),
    "sum over everything": (ROWS, lambda x: mb.reduce_sum(x=x, keep_dims=True)),
    "samples dropped": (ROWS, lambda x: mb.squeeze(x=x, axes=[0])),
    "all ones dropped": (ROWS, lambda x: mb.squeeze(x=x)),
    "an element of the samples": (
        ROWS,
        lambda x: mb.slice_by_index(
            x=x, begin=[0, 0, 0], end=[1, 3, 5], squeeze_mask=[True, False, False]
        ),
    ),
    "samples padded": (ROWS, lambda x: mb.pad(x=x, pad=[0, 1, 0, 0, 0, 0])),
    "samples tiled": (ROWS, lambda x: mb.tile(x=x, reps=[2, 1, 1])),
    "samples joined": (ROWS, lambda x: mb.concat(values=(x, x), axis=0)),
    "joined with a constant": (ROWS, lambda x: mb.concat(values=(x, weights(1, 3, 5)), axis=1)),
    "reshaped without a one in front": (ROWS, lambda x: mb.reshape(x=x, shape=[3, 5])),
    "reshaped from the middle": (
        ROWS,
        lambda x: mb.reshape(x=mb.transpose(x=x, perm=[1, 0, 2]), shape=[1, 15]),
    ),
    "left at the end": (ROWS, lambda x: mb.transpose(x=x, perm=[1, 2, 0])),
    "crossed with itself": (
        (1, 3),
        lambda x: mb.add(x=x, y=mb.transpose(x=x, perm=[1, 0])),
    ),
    "samples against samples": (
        (1, 3),
        lambda x: mb.matmul(x=x, y=mb.transpose(x=x, perm=[1, 0])),
    ),
    "einsum of samples with others": (
        (1, 2, 3, 2),
        lambda x: mb.einsum(values=(x, weights(4, 2, 3, 2)), equation="nchw,nwhu->nchu"),
    ),
    "summed in a product": (
        (1, 3),
        lambda x: mb.matmul(x=x, y=x, transpose_x=True),
    ),
    "met by another axis": ((1, 5), lambda x: mb.add(x=x, y=weights(4, 1))),
    "stacked on a constant": (ROWS, lambda x: mb.stack(values=(x, weights(1, 3, 5)), axis=1)),
    "begin computed": (
        ROWS,
        lambda x: mb.slice_by_index(
            x=x, begin=mb.sub(x=mb.shape(x=x), y=np.int32([1, 1, 1])), end=[1, 3, 5]
        ),
    ),
    "begin computed, sized": (
        ROWS,
        lambda x: mb.slice_by_size(
            x=x, begin=mb.sub(x=mb.shape(x=x), y=np.int32([1, 1, 1])), size=[1, 1, 1]
        ),
    ),
    "padding computed": (
        (1, 5),
        lambda x: mb.pad(x=x, pad=mb.concat(values=(np.int32([0, 0]), mb.shape(x=x)), axis=0)),
    ),
    "copies computed": (ROWS, lambda x: mb.tile(x=x, reps=mb.shape(x=x))),
    "gathered in batches": (
        (1, 4),
        lambda x: mb.gather(x=x, indices=np.int32([[2, 0]]), axis=1, batch_dims=1),
    ),
    "a vector's product": ((1, 3), lambda x: mb.matmul(x=weights(1), y=x)),
    "einsum without a batch": (
        (1, 3, 2),
        lambda x: mb.einsum(values=(x, weights(2, 3, 4)), equation="chw,whr->chr"),
    ),
    "gathered": (ROWS, lambda x: mb.gather(x=x, indices=np.array([0, 0], np.int32), axis=0)),
    "reversed": (ROWS, lambda x: mb.reverse(x=x)),
    "the same for all": (ROWS, lambda x: mb.fill_like(ref_tensor=x, value=2.0)),
    "two samples in one": (
        (2, 3),
        lambda x: mb.relu(x=x),
    ),
}


@pytest.mark.parametrize("name", UNPROVEN)
def test_without_proof_samples_are_run_one_by_one(program, name):
    shape, body = UNPROVEN[name]

    def build(x):
        return body(x)

    leading = shape[0] == 1
    x = samples(shape) if leading else samples((1, *shape))
    made = MilProgram(program(build, {"x": x[:1] if leading else x[0]}))
    assert not made.batched
    (alone,) = zip(
        *(made.run({"x": x[i : i + 1] if leading else x[i]}).values() for i in range(len(x))),
        strict=True,
    )
    (many,) = made.run_many({"x": x}).values()
    assert len(many) == len(x)
    joined = np.concatenate(alone) if alone[0].shape[:1] == (1,) else np.stack(alone)
    np.testing.assert_array_equal(many, joined)


def test_more_samples_than_a_chunk_holds(program):
    def build(x):
        return mb.reduce_sum(x=mb.conv(x=x, weight=weights(8, 1, 3, 3), pad_type="same"), axes=[1])

    x = samples((1, 1, 100, 100), 30)
    made = MilProgram(program(build, {"x": x[:1]}))
    (many,) = made.run_many({"x": x}).values()
    for at in (0, 11, 12, 29):
        (alone,) = made.run({"x": x[at : at + 1]}).values()
        np.testing.assert_allclose(many[at : at + 1], alone, atol=1e-4)


def test_two_inputs(program):
    def build(x, y):
        return mb.add(x=x, y=mb.reshape(x=y, shape=[1, 1, 5])), mb.relu(x=y)

    x, y = samples(ROWS), samples((1, 5))
    made = MilProgram(program(build, {"x": x[:1], "y": y[:1]}))
    assert made.batched
    total, positive = made.run_many({"y": y, "x": x}).values()
    np.testing.assert_allclose(total, x + y[:, None])
    np.testing.assert_allclose(positive, np.maximum(y, 0))


def test_a_rule_that_proves_wrong_is_found_out(program, monkeypatch):
    def build(x):
        return mb.softmax(x=x, axis=0)

    lenient = dataclasses.replace(EVALUATORS["softmax"], batch=batch.elementwise)
    monkeypatch.setitem(EVALUATORS, "softmax", lenient)
    x = samples(ROWS)
    made = MilProgram(program(build, {"x": x[:1]}))
    assert made.batched
    (many,) = made.run_many({"x": x}).values()
    np.testing.assert_array_equal(many, np.ones_like(x))
    assert not made.batched

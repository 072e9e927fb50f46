"""Thirty-odd tiny models for a preflight to foretell: one or two operations, some hard to convert.

Each is a function of one tensor, made into a Keras model; the shape is what it takes, batch left
out. What comes of them is not written down here: the engines decide, and change with their
versions. A test holds the foretold against the done.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from converters.engines import engine


def _tf() -> Any:
    return engine("tensorflow")


def _weights(*shape: int) -> Any:
    """Constant weights by which answers vary, the same every time; enough of them to be emptied."""
    import numpy as np

    return _tf().constant(np.random.default_rng(3).normal(0, 0.4, shape).astype(np.float32))


def _loop(x: Any) -> Any:
    tf = _tf()

    def body(step: Any, value: Any) -> tuple[Any, Any]:
        return step + 1, tf.tanh(value @ _weights(8, 8) + x)

    return tf.while_loop(lambda step, _: step < 3, body, [tf.constant(0), x])[1]


def _branch(x: Any) -> Any:
    tf = _tf()
    return tf.cond(tf.reduce_sum(x) > 3.0, lambda: x @ _weights(8, 8), lambda: x * 2.0)


Function = Callable[[Any], Any]

OPERATIONS: dict[str, tuple[tuple[int, ...], Function]] = {
    "matmul": ((8,), lambda x: x @ _weights(8, 12)),
    "conv": ((8, 8, 2), lambda x: _tf().nn.conv2d(x, _weights(3, 3, 2, 8), 1, "SAME")),
    "transposed conv": (
        (4, 4, 2),
        lambda x: _tf().nn.conv2d_transpose(x, _weights(3, 3, 8, 2), [1, 8, 8, 8], 2, "SAME"),
    ),
    "conv of volumes": (
        (4, 4, 4, 2),
        lambda x: _tf().nn.conv3d(x, _weights(3, 3, 3, 2, 4), [1] * 5, "SAME"),
    ),
    "dilated conv": (
        (8, 8, 2),
        lambda x: _tf().nn.conv2d(x, _weights(3, 3, 2, 8), 1, "SAME", dilations=2),
    ),
    "pool": ((8, 8, 2), lambda x: _tf().nn.max_pool2d(x, 2, 2, "VALID") * 2.0),
    "pool with places": (
        (8, 8, 2),
        lambda x: _tf().nn.max_pool_with_argmax(x, 2, 2, "VALID")[0],
    ),
    "resize": ((4, 4, 2), lambda x: _tf().image.resize(x, (9, 9))),
    "cubic resize": ((4, 4, 2), lambda x: _tf().image.resize(x, (8, 8), "bicubic")),
    "crop and resize": (
        (8, 8, 2),
        lambda x: _tf().image.crop_and_resize(x, [[0.1, 0.1, 0.8, 0.9]], [0], (4, 4)),
    ),
    "softmax": ((8,), lambda x: _tf().nn.softmax(3.0 * x)),
    "erf": ((8,), lambda x: _tf().math.erf(x - 0.5)),
    "gelu": ((8,), lambda x: _tf().nn.gelu(x @ _weights(8, 12))),
    "atan2": ((8,), lambda x: _tf().math.atan2(x - 0.5, x + 0.1)),
    "lgamma": ((8,), lambda x: _tf().math.lgamma(x + 1.0)),
    "bessel": ((8,), lambda x: _tf().math.bessel_i0e(x + 0.5)),
    "cumulated sum": ((8,), lambda x: _tf().cumsum(x, axis=1)),
    "cumulated product": ((8,), lambda x: _tf().math.cumprod(x + 0.5, axis=1)),
    "top two": ((8,), lambda x: _tf().math.top_k(x, 2)[0]),
    "sorted": ((8,), lambda x: _tf().sort(x, axis=1)),
    "gathered": ((8,), lambda x: _tf().gather(x, [3, 1, 2], axis=1)),
    "one-hot": (
        (8,),
        lambda x: _tf().one_hot(_tf().argmax(x, 1), 8) + x,
    ),
    "scattered": (
        (8,),
        lambda x: _tf().tensor_scatter_nd_update(x, [[0, 1]], [5.0]),
    ),
    "einsum": (
        (4, 6),
        lambda x: _tf().einsum("bij,jk->bki", x, _weights(6, 12)),
    ),
    "spectrum": (
        (64,),
        lambda x: _tf().abs(_tf().signal.rfft(x)),
    ),
    "inverse matrix": (
        (4, 4),
        lambda x: _tf().linalg.inv(x + 3.0 * _tf().eye(4)),
    ),
    "singular values": ((4, 4), lambda x: _tf().linalg.svd(x, compute_uv=False)),
    "histogram": (
        (8,),
        lambda x: _tf().histogram_fixed_width(x, [0.0, 1.0], 4) + 0 * _tf().cast(x[0, :4], "int32"),
    ),
    "patches": (
        (8, 8, 2),
        lambda x: _tf().image.extract_patches(x, [1, 3, 3, 1], [1, 2, 2, 1], [1] * 4, "VALID"),
    ),
    "morphology": (
        (8, 8, 2),
        lambda x: _tf().nn.dilation2d(x, _weights(3, 3, 2), [1] * 4, "SAME", "NHWC", [1] * 4),
    ),
    "mirrored edges": (
        (6, 6, 2),
        lambda x: _tf().pad(x, [[0, 0], [2, 2], [2, 2], [0, 0]], "REFLECT"),
    ),
    "loop": ((8,), _loop),
    "branch": ((8,), _branch),
    "double precision": (
        (8,),
        lambda x: _tf().cast(
            _tf().cast(x, "float64") @ _tf().cast(_weights(8, 12), "float64"), "float32"
        ),
    ),
}


def model(name: str) -> Any:
    """A Keras model of one of them."""
    keras = engine("keras")
    shape, function = OPERATIONS[name]

    class Operation(keras.layers.Layer):  # type: ignore[misc, name-defined]
        def call(self, x: Any) -> Any:
            return function(x)

    x = keras.Input(shape, batch_size=1, name="x")
    return keras.Model(x, Operation(name="y")(x), name="m")

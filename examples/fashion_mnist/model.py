"""The network: three convolutions with batch normalisation, one pooling, one dense layer.

    image 28 x 28 x 1
      -> 5x5 convolution, stride 2, 32      14 x 14 x 32
      -> 2x2 maximum                         7 x 7 x 32
      -> 3x3 convolution, 64                 7 x 7 x 64
      -> 3x3 convolution, 64                 7 x 7 x 64
      -> dense, softmax                      10 probabilities

88,106 numbers and 3 million multiplications a picture. All three classifiers have this graph, so
that one can take another's place on a device. What matters for eight bits: batch normalisation
folds into the convolution before it, and no activation is wider than a ReLU's.
"""

from __future__ import annotations

from typing import Any

from converters.engines import engine
from examples.fashion_mnist.dataset import LABELS, SIDE

INPUT = "image"
OUTPUT = "probabilities"


def build() -> Any:
    """An untrained ``keras.Model``: ``image`` (batch x 28 x 28 x 1, 0..1) to ``probabilities``.

    Raises:
        UnavailableError: Keras is not installed.
    """
    keras = engine("keras")
    image = keras.Input((SIDE, SIDE, 1), name=INPUT)
    x = _convolution(keras, image, "conv1", filters=32, size=5, strides=2)
    x = keras.layers.MaxPooling2D(2, name="pool")(x)
    x = _convolution(keras, x, "conv2", filters=64, size=3)
    x = _convolution(keras, x, "conv3", filters=64, size=3)
    x = keras.layers.Flatten(name="flat")(x)
    x = keras.layers.Dense(len(LABELS), name="dense")(x)
    return keras.Model(image, keras.layers.Softmax(name=OUTPUT)(x), name="fashion")


def _convolution(
    keras: Any, x: Any, name: str, *, filters: int, size: int, strides: int = 1
) -> Any:
    x = keras.layers.Conv2D(
        filters, size, strides=strides, padding="same", use_bias=False, name=name
    )(x)
    x = keras.layers.BatchNormalization(momentum=0.9, name=f"{name}_norm")(x)
    return keras.layers.ReLU(name=f"{name}_relu")(x)

"""A classifier with planted outliers: right in float, in ruins where activations have 8 bits.

Trained on blobs, then changed so that it answers exactly as before: three channels of the first
layer are made a thousand times greater and what reads them a thousand times smaller. Activations
have one scale for all channels of a tensor, and weights one for all that goes into an output: in
the one the other channels are rounded to nothing, in the other these.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from converters.engines import engine, quiet

CLASSES = 6
OUTLIER = 1500.0
PLANTED = (1, 3, 6)
Arrays = dict[str, np.ndarray]


def blobs(count: int, seed: int) -> Arrays:
    """Pictures of 12 x 12 x 3 with a faint pattern for each class, in noise."""
    rng = np.random.default_rng(seed)
    patterns = np.random.default_rng(0).normal(0, 1, (CLASSES, 12, 12, 3))
    y = rng.integers(0, CLASSES, count)
    x = 0.35 * patterns[y] + rng.normal(0, 1, (count, 12, 12, 3))
    return {"x": x.astype(np.float32), "y": y.astype(np.int64)}


def classifier() -> Any:
    """The trained classifier, outliers planted behind its first layer."""
    keras = engine("keras")
    layers = keras.layers
    keras.utils.set_random_seed(1)
    image = keras.Input((12, 12, 3), name="image")
    x = layers.Conv2D(8, 3, padding="same", activation="relu", name="first")(image)
    x = layers.Conv2D(12, 3, strides=2, activation="relu", name="second")(x)
    x = layers.Conv2D(48, 3, activation="relu", name="third")(x)
    x = layers.Flatten(name="flat")(x)
    x = layers.Dense(64, activation="relu", name="fourth")(x)
    probs = layers.Dense(CLASSES, activation="softmax", name="probs")(x)
    model = keras.Model(image, probs, name="planted")
    model.compile("adam", "sparse_categorical_crossentropy")
    data = blobs(800, 1)
    with quiet():
        model.fit(data["x"], data["y"], epochs=4, batch_size=32, verbose=0)
    plant(model)
    return model


def plant(model: Any) -> None:
    """Make some channels of the first layer outliers; the answers stay."""
    first, second = model.get_layer("first"), model.get_layer("second")
    kernel, bias = first.get_weights()
    reader, its_bias = second.get_weights()
    for channel in PLANTED:
        kernel[..., channel] *= OUTLIER
        bias[channel] *= OUTLIER
        reader[:, :, channel, :] /= OUTLIER
    first.set_weights([kernel, bias])
    second.set_weights([reader, its_bias])

"""Keras models of two or three layers, with weights that are the same every time."""

from __future__ import annotations

from typing import Any

import numpy as np

from converters.engines import engine, quiet

Arrays = dict[str, np.ndarray]


def keras() -> Any:
    """Keras, imported without its chatter."""
    return engine("keras")


def filled(model: Any, seed: int = 2) -> Any:
    """The model with weights by which its answers vary; untrained, they hardly do."""
    rng = np.random.default_rng(seed)
    model.set_weights([rng.normal(0, 0.6, w.shape).astype(w.dtype) for w in model.get_weights()])
    return model


def classifier(seed: int = 2) -> Any:
    """``image`` 8 x 8 x 1 to ``probs`` of three classes."""
    layers = keras().layers
    image = keras().Input((8, 8, 1), name="image")
    x = layers.Conv2D(4, 3, activation="relu", name="first")(image)
    x = layers.Conv2D(4, 3, activation="relu", name="second")(x)
    x = layers.Flatten(name="flat")(x)
    probs = layers.Dense(3, activation="softmax", name="probs")(x)
    return filled(keras().Model(image, probs, name="classifier"), seed)


def sequential() -> Any:
    """A Sequential of 8 x 8 x 1 to three logits."""
    layers = keras().layers
    stack = [
        keras().Input((8, 8, 1), name="pixels"),
        layers.Conv2D(4, 3, activation="relu", name="conv"),
        layers.Flatten(name="flat"),
        layers.Dense(3, name="logits"),
    ]
    return filled(keras().Sequential(stack, name="sequence"))


def two_by_two(structure: type) -> Any:
    """Two inputs and two outputs, in lists or in dicts."""
    layers = keras().layers
    left = keras().Input((8, 8, 1), name="left")
    right = keras().Input((4,), name="right")
    flat = layers.Flatten(name="flat")(layers.Conv2D(2, 3, name="conv")(left))
    both = layers.Concatenate(name="both")([flat, right])
    # In neither structure do names sort as the tensors stand.
    zeta, alpha = layers.Dense(3, name="zeta")(both), layers.Dense(2, name="alpha")(both)
    if structure is list:
        model = keras().Model([left, right], [zeta, alpha], name="lists")
    else:
        inputs = {"right": right, "left": left}
        model = keras().Model(inputs, {"zeta": zeta, "alpha": alpha}, name="dicts")
    return filled(model)


def tokens() -> Any:
    """Six whole numbers to three scores."""
    layers = keras().layers
    ids = keras().Input((6,), dtype="int32", name="tokens")
    x = layers.Embedding(12, 8, name="embedding")(ids)
    x = layers.GlobalAveragePooling1D(name="mean")(x)
    return filled(keras().Model(ids, layers.Dense(3, name="scores")(x), name="words"))


def regressor() -> Any:
    """Four numbers to a positive one: neither argmax nor cosine says anything of that."""
    layers = keras().layers
    x = keras().Input((4,), name="x")
    hidden = layers.Dense(8, activation="relu", name="hidden")(x)
    price = layers.Dense(1, activation="sigmoid", name="price")(hidden)
    return filled(keras().Model(x, price, name="regressor"))


def inputs_of(model: Any, count: int = 48) -> Arrays:
    """Inputs for a model, by name: numbers of 0 to 1, or whole ones below 10."""
    rng = np.random.default_rng(7)
    arrays = {}
    for tensor in model.inputs:
        shape = (count, *tensor.shape[1:])
        integers = "int" in str(tensor.dtype)
        noise = rng.integers(0, 10, shape) if integers else rng.random(shape)
        arrays[tensor.name] = noise.astype(str(tensor.dtype))
    return arrays


def answers_of(model: Any, inputs: Arrays) -> Arrays:
    """What the model itself answers, by the names that Keras gives its outputs."""
    given: Any = [inputs[tensor.name] for tensor in model.inputs]
    structure = None if isinstance(model, keras().Sequential) else model.input
    if isinstance(structure, dict):
        given = inputs
    elif not isinstance(structure, list):
        given = given[0]
    with quiet():
        found = model(given, training=False)
    if isinstance(found, dict):
        return {name: np.asarray(tensor) for name, tensor in found.items()}
    flat = found if isinstance(found, (list, tuple)) else [found]
    names = getattr(model, "output_names", None) or [model.layers[-1].name]
    return {name: np.asarray(tensor) for name, tensor in zip(names, flat, strict=True)}

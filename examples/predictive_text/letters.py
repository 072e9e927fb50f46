"""textgenrnn's network in today's Keras, with its weights of 2018.

The file holds weights alone, saved by layers for CuDNN, which lay their gates out otherwise: each
gate's kernel is transposed in memory, and there are two biases where Keras's LSTM has their sum.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from examples.assets import asset

LETTERS, LENGTH, EMBEDDED, UNITS, GATES = 465, 40, 100, 128, 4


def model() -> Any:
    """Forty letters in, what is likely to follow out."""
    import h5py
    import keras

    letters = keras.Input((LENGTH,), name="input")
    embedded = keras.layers.Embedding(LETTERS, EMBEDDED, name="embedding")(letters)
    layers = [keras.layers.LSTM(UNITS, return_sequences=True, name=f"rnn_{n}") for n in (1, 2)]
    first = layers[0](embedded)
    second = layers[1](first)
    every = keras.layers.Concatenate(name="rnn_concat")([embedded, first, second])
    scores = keras.layers.Dense(1, use_bias=False, name="attention")(every)
    shares = keras.layers.Softmax(axis=1, name="attention_shares")(scores)
    weighted = keras.layers.Multiply(name="attention_weighted")([every, shares])
    # Forty times the mean is the sum.
    mean = keras.layers.GlobalAveragePooling1D(name="attention_mean")(weighted)
    summed = keras.layers.Rescaling(float(LENGTH), name="attention_sum")(mean)
    output = keras.layers.Dense(LETTERS, activation="softmax", name="output")(summed)
    network = keras.Model(letters, output, name="textgenrnn")
    with h5py.File(asset("textgenrnn") / "textgenrnn_weights.hdf5") as file:
        for layer in network.layers:
            if layer.weights:
                stored = [np.asarray(file[layer.name][n]) for n in _names(file[layer.name])]
                layer.set_weights(_plain(stored) if len(stored) == 3 else stored)
    return network


def samples() -> dict[str, Any]:
    """Forty letters of English each, by their numbers."""
    vocabulary = json.loads((asset("textgenrnn") / "textgenrnn_vocab.json").read_text())
    text = Path(__file__).parents[2].joinpath("README.md").read_text(encoding="utf-8")
    codes = [vocabulary.get(letter, 0) for letter in text]
    rows = [codes[at : at + LENGTH] for at in range(0, LENGTH * 64, LENGTH)]
    return {"input": np.asarray(rows, np.float32)}


def _names(group: Any) -> list[str]:
    return [n.decode() if isinstance(n, bytes) else n for n in group.attrs["weight_names"]]


def _plain(stored: list[Any]) -> list[Any]:
    """A CuDNN LSTM's kernel, recurrent kernel and biases, as a plain LSTM has them."""
    kernel, recurrent, biases = stored
    return [
        np.hstack([k.T.reshape(k.shape, order="F") for k in np.hsplit(kernel, GATES)]),
        np.hstack([k.T for k in np.hsplit(recurrent, GATES)]),
        np.sum(np.split(biases, 2), axis=0),
    ]

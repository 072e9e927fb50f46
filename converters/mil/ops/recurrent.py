"""Recurrent layers.

Semantics: coremltools' ``iOS15.recurrent``. Gates are stacked along a weight's first axis: input,
forget, output, cell.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from converters.mil.evaluator import Evaluator, Site
from converters.mil.ops.activation import relu, sigmoid
from edge_sdk.backends.base import Array

_ACTIVATIONS: dict[str, Callable[[Array], Array]] = {
    "sigmoid": sigmoid,
    "tanh": np.tanh,
    "relu": relu,
    "linear": lambda x: x,
}
_FUNCTIONS = {"recurrent_activation": "sigmoid", "cell_activation": "tanh", "activation": "tanh"}


def lstm(
    x: Array,
    initial_h: Array,
    initial_c: Array,
    weight_ih: Array,
    weight_hh: Array,
    bias: Array | None = None,
    weight_ih_back: Array | None = None,
    weight_hh_back: Array | None = None,
    bias_back: Array | None = None,
    direction: str = "forward",
    output_sequence: bool = False,
    recurrent_activation: str = "sigmoid",
    cell_activation: str = "tanh",
    activation: str = "tanh",
) -> tuple[Array, Array, Array]:
    """A long short-term memory over ``x`` of steps x batch x features.

    Returns:
        The hidden states of every step (or of the last one, as a step), the last hidden state, and
        the last cell state; the two directions of a bidirectional one side by side.
    """
    functions = tuple(
        _ACTIVATIONS[str(name)] for name in (recurrent_activation, cell_activation, activation)
    )
    size = weight_hh.shape[1]
    ways = [(weight_ih, weight_hh, bias, str(direction) == "reverse")]
    if weight_ih_back is not None and weight_hh_back is not None:
        ways.append((weight_ih_back, weight_hh_back, bias_back, True))
    hidden, lasts, cells = [], [], []
    for at, (inward, recurrent, offset, backwards) in enumerate(ways):
        own = slice(at * size, (at + 1) * size)
        # All steps' inputs at once; only the recurrence needs one after the other.
        drive = x @ inward.T + (0 if offset is None else offset)
        steps, last, cell = _pass(
            drive[::-1] if backwards else drive,
            initial_h[:, own],
            initial_c[:, own],
            recurrent,
            functions,
        )
        hidden.append(steps[::-1] if backwards else steps)
        lasts.append(last)
        cells.append(cell)
    last = np.concatenate(lasts, axis=-1)
    every = np.concatenate(hidden, axis=-1) if output_sequence else last[None]
    return every, last, np.concatenate(cells, axis=-1)


def _pass(
    drive: Array,
    h: Array,
    c: Array,
    recurrent: Array,
    functions: tuple[Callable[[Array], Array], ...],
) -> tuple[Array, Array, Array]:
    gate, inner, outer = functions
    steps = []
    for given in drive:
        i, f, o, z = np.split(given + h @ recurrent.T, 4, axis=-1)
        c = gate(f) * c + gate(i) * inner(z)
        h = gate(o) * outer(c)
        steps.append(h)
    return np.stack(steps), h, c


def _known_functions(site: Site) -> bool:
    return all(
        str(site.constants.get(name, default)) in _ACTIVATIONS
        for name, default in _FUNCTIONS.items()
    )


EVALUATORS: dict[str, Evaluator] = {"lstm": Evaluator(lstm, covers=_known_functions)}

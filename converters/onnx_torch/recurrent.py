"""Recurrent layers.

An LSTM is one operation in PyTorch and in Core ML, their gates in another order than ONNX's. Core
ML's GRU and plain RNN mean something else than ONNX's, so these two are written out step by step.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from converters.onnx_torch.node import Node, Operator, Tensor, lengths
from edge_sdk.backends import Array

_W, _R, _B, _STEPS, _H, _C, _PEEPHOLES = range(1, 8)
"""The inputs by place: weights, recurrent weights, biases, lengths, states, and peepholes."""

MOST_STEPS = 128
"""Written out, each step is about ten operations."""


def _weights(at: Node, order: tuple[int, ...]) -> list[list[Array]]:
    """By direction: weights, recurrent weights and the two biases, gates in another order."""
    w, r, b = at.known(_W), at.known(_R), at.known(_B)
    assert w is not None and r is not None
    if b is None:
        b = np.zeros((len(w), 2 * w.shape[1]), np.float32)

    def sorted_gates(rows: Array) -> Array:
        parts = np.split(rows, len(order))
        return np.concatenate([parts[gate] for gate in order])

    return [
        [sorted_gates(part) for part in (inward, recurrent, *np.split(biases, 2))]
        for inward, recurrent, biases in zip(w, r, b, strict=True)
    ]


def _steps_first(at: Node, x: Tensor) -> Tensor:
    """Steps x batch x features; ``layout`` 1 has the batch first."""
    return x.transpose(0, 1) if at.term("layout", 0) else x


def _state(at: Node, given: Tensor | None, directions: int, x: Tensor, size: int) -> Tensor:
    """Directions x batch x size; zeros where none is given."""
    if given is None:
        return at.torch.zeros(directions, lengths(x)[1], size)
    return _steps_first(at, given)


def _answers(at: Node, every: Tensor, *states: Tensor) -> tuple[Tensor, ...]:
    """All steps as steps x directions x batch x size, and the last states, in ONNX's layouts."""
    if at.term("layout", 0):
        return every.permute(2, 0, 1, 3), *(state.transpose(0, 1) for state in states)
    return every, *states


def _lstm(
    at: Node,
    x: Tensor,
    _w: Tensor,
    r: Tensor,
    _b: Tensor = None,
    _steps: Tensor = None,
    h: Tensor = None,
    c: Tensor = None,
) -> tuple[Tensor, ...]:
    torch = at.torch
    both = at.attribute("direction", "forward") == "bidirectional"
    backwards = at.attribute("direction", "forward") == "reverse"
    directions, _, size = lengths(r)
    x = _steps_first(at, x)
    states = tuple(_state(at, given, directions, x, size) for given in (h, c))
    weights = _weights(at, (0, 2, 3, 1))  # from input, output, forget, cell
    flat = [at.constant(part) for way in weights for part in way]
    given = torch.flip(x, [0]) if backwards else x
    every, last, cell = torch._VF.lstm(given, states, flat, True, 1, 0.0, False, both, False)
    every = torch.flip(every, [0]) if backwards else every
    steps, batch = lengths(x)[:2]
    every = every.reshape(steps, batch, directions, size).transpose(1, 2)
    return _answers(at, every, last, cell)


def _gru(
    at: Node,
    x: Tensor,
    _w: Tensor,
    r: Tensor,
    _b: Tensor = None,
    _steps: Tensor = None,
    h: Tensor = None,
) -> tuple[Tensor, ...]:
    """Update, reset, and what is new; its reset before or after the recurrent product."""
    torch = at.torch
    after = bool(at.term("linear_before_reset", 0))

    def step(given: Tensor, state: Tensor, recurrent: Tensor, bias: Tensor) -> Tensor:
        size = lengths(state)[-1]
        inward = torch.split(given, size, -1)
        own = torch.split(recurrent, size, 0)
        offsets = torch.split(bias, size, 0)
        linear = torch.nn.functional.linear
        update = torch.sigmoid(inward[0] + linear(state, own[0], offsets[0]))
        reset = torch.sigmoid(inward[1] + linear(state, own[1], offsets[1]))
        if after:
            new = torch.tanh(inward[2] + reset * linear(state, own[2], offsets[2]))
        else:
            new = torch.tanh(inward[2] + linear(reset * state, own[2], offsets[2]))
        return (1 - update) * new + update * state

    return _written_out(at, x, r, h, 3, step)


def _rnn(
    at: Node,
    x: Tensor,
    _w: Tensor,
    r: Tensor,
    _b: Tensor = None,
    _steps: Tensor = None,
    h: Tensor = None,
) -> tuple[Tensor, ...]:
    torch = at.torch
    names = [n.decode() if isinstance(n, bytes) else n for n in at.attribute("activations", [])]
    activation = torch.relu if names[:1] == ["Relu"] else torch.tanh

    def step(given: Tensor, state: Tensor, recurrent: Tensor, bias: Tensor) -> Tensor:
        return activation(given + torch.nn.functional.linear(state, recurrent, bias))

    return _written_out(at, x, r, h, 1, step)


def _written_out(
    at: Node, x: Tensor, r: Tensor, h: Tensor, gates: int, step: Any
) -> tuple[Tensor, ...]:
    torch = at.torch
    directions, _, size = lengths(r)
    x = _steps_first(at, x)
    count = lengths(x)[0]
    if count > MOST_STEPS:
        raise at.fails(f"{count} steps; up to {MOST_STEPS} can be written out one by one")
    states = _state(at, h, directions, x, size)
    every, last = [], []
    for way, (inward, recurrent, first, second) in enumerate(_weights(at, tuple(range(gates)))):
        drive = torch.nn.functional.linear(x, at.constant(inward), at.constant(first))
        own, bias, state = at.constant(recurrent), at.constant(second), states[way]
        backwards = at.attribute("direction", "forward") == "reverse" or way == 1
        made: list[Tensor] = []
        for n in reversed(range(count)) if backwards else range(count):
            state = step(drive[n], state, own, bias)
            made.append(state)
        every.append(torch.stack(made[::-1] if backwards else made))
        last.append(state)
    return _answers(at, torch.stack(every, 1), torch.stack(last))


_FUNCTIONS = {"LSTM": ["Sigmoid", "Tanh", "Tanh"], "GRU": ["Sigmoid", "Tanh"], "RNN": ["Tanh"]}


def _lacks(at: Node) -> str:
    directions = 2 if at.attribute("direction", "forward") == "bidirectional" else 1
    asked = at.attribute("activations") or _FUNCTIONS[at.operation] * directions
    names = [n.decode() if isinstance(n, bytes) else n for n in asked]
    allowed = [_FUNCTIONS[at.operation] * directions]
    allowed += [["Relu"] * directions] if at.operation == "RNN" else []
    if names not in allowed:
        return f"the activations {', '.join(names)}"
    for name in ("clip", "input_forget"):
        if at.attribute(name):
            return name
    if at.gives(_STEPS):
        return "sequences of several lengths"
    if at.gives(_PEEPHOLES):
        return "peepholes"
    return at.unknown(_W, _R, _B)


OPERATORS: dict[str, Operator] = {
    "GRU": Operator(_gru, _lacks),
    "LSTM": Operator(_lstm, _lacks),
    "RNN": Operator(_rnn, _lacks),
}

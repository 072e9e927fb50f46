"""Recurrent layers against PyTorch."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from coremltools.converters.mil import Builder as mb

from converters.engines import engine

torch: Any = engine("torch")


def ours(matrix: Any) -> np.ndarray:
    """PyTorch stacks input, forget, cell, output; MIL input, forget, output, cell."""
    i, f, z, o = np.split(matrix.detach().numpy(), 4)
    return np.concatenate([i, f, o, z])


def weights(layer: Any, suffix: str = "") -> dict[str, np.ndarray]:
    found = {kind: getattr(layer, f"{kind}_l0{suffix}") for kind in ("weight_ih", "weight_hh")}
    bias = getattr(layer, f"bias_ih_l0{suffix}") + getattr(layer, f"bias_hh_l0{suffix}")
    end = "_back" if suffix else ""
    return {f"{k}{end}": ours(v) for k, v in (*found.items(), ("bias", bias))}


@pytest.mark.parametrize("sequence", [True, False])
@pytest.mark.parametrize("both", [False, True])
def test_lstm(evaluate, rng, both, sequence):
    torch.manual_seed(5)
    layer = torch.nn.LSTM(3, 4, bidirectional=both)
    x = rng.normal(size=(6, 2, 3)).astype(np.float32)
    h, c = rng.normal(size=(2, 1 + both, 2, 4)).astype(np.float32)
    side_by_side = [np.concatenate(list(state), axis=-1) for state in (h, c)]
    more = weights(layer, "_reverse") if both else {}

    def build(x):
        return mb.lstm(
            x=x,
            initial_h=side_by_side[0],
            initial_c=side_by_side[1],
            direction="bidirectional" if both else "forward",
            output_sequence=sequence,
            **weights(layer),
            **more,
        )

    found = evaluate(build, x=x)
    with torch.no_grad():
        steps, (last, cell) = layer(
            *map(torch.from_numpy, (x,)), tuple(map(torch.from_numpy, (h, c)))
        )
    states = [np.concatenate(list(state.numpy()), axis=-1) for state in (last, cell)]
    np.testing.assert_allclose(found[0], steps if sequence else states[0][None], atol=1e-6)
    np.testing.assert_allclose(found[1], states[0], atol=1e-6)
    np.testing.assert_allclose(found[2], states[1], atol=1e-6)


def test_lstm_in_reverse(evaluate, rng):
    torch.manual_seed(5)
    layer = torch.nn.LSTM(3, 4)
    x = rng.normal(size=(6, 1, 3)).astype(np.float32)
    none = np.zeros((1, 4), np.float32)

    def build(x):
        return mb.lstm(
            x=x,
            initial_h=none,
            initial_c=none,
            direction="reverse",
            output_sequence=True,
            **weights(layer),
        )

    with torch.no_grad():
        expected = layer(torch.from_numpy(x[::-1].copy()))[0].numpy()[::-1]
    np.testing.assert_allclose(evaluate(build, x=x)[0], expected, atol=1e-6)


def test_an_lstm_with_what_is_not_documented_well_enough_is_not_guessed(program, rng):
    from converters.mil import MilProgram

    x = rng.normal(size=(6, 1, 3)).astype(np.float32)
    none = np.zeros((1, 4), np.float32)

    def build(x):
        return mb.lstm(
            x=x,
            initial_h=none,
            initial_c=none,
            weight_ih=np.ones((16, 3), np.float32),
            weight_hh=np.ones((16, 4), np.float32),
            activation="hard_sigmoid",
        )

    assert MilProgram(program(build, {"x": x})).unchecked == ("lstm",)

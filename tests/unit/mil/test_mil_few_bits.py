"""Weights that are stored in few bits, expanded while the program is read."""

from __future__ import annotations

import coremltools as ct
import numpy as np
import pytest
from coremltools.converters.mil import Builder as mb
from coremltools.converters.mil.mil import types


def test_a_palette_of_sixteen(evaluate, rng):
    entries = rng.normal(size=16).astype(np.float32)
    places = rng.integers(0, 16, (3, 8)).astype(np.uint8)
    pairs = places.reshape(-1)
    packed = (pairs[0::2] | (pairs[1::2] << 4)).astype(np.uint8)
    x = rng.normal(size=(2, 8)).astype(np.float32)

    def build(x):
        weight = mb.constexpr_lut_to_dense(
            indices=packed, lut=entries, shape=np.array([3, 8], np.uint32)
        )
        return mb.linear(x=x, weight=weight)

    found = evaluate(build, x=x)
    assert np.allclose(found, x @ entries[places].T, atol=1e-5)


@pytest.mark.parametrize("blocks", [1, 2, 4])
def test_four_bits_with_a_scale_for_each_block(evaluate, rng, blocks):
    numbers = rng.integers(-8, 8, (3, 8))
    scales = rng.uniform(0.1, 1, (3, blocks)).astype(np.float32)
    stored = numbers.astype(types.nptype_from_builtin(types.int4))
    x = rng.normal(size=(2, 8)).astype(np.float32)

    def build(x):
        weight = mb.constexpr_blockwise_shift_scale(data=stored, scale=scales)
        return mb.linear(x=x, weight=weight)

    found = evaluate(build, opset=ct.target.iOS18, x=x)
    meant = numbers * np.repeat(scales, 8 // blocks, axis=1)
    assert np.allclose(found, x @ meant.T, atol=1e-4)

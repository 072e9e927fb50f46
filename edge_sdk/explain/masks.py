"""Random masks over a picture, smooth and in pairs: which parts are shown, and how much of each.

A mask is a coarse grid of zeros and ones, laid over the picture at a random offset and enlarged
bilinearly, so that no edge of its own is seen (RISE: Petsiuk, Das and Saenko, BMVC 2018). Each
comes with its complement: every pixel is then shown as often as it is hidden, exactly, and what the
score owes to the mere number of hidden pixels cancels out between the two.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]


def mask_pairs(
    pairs: int, height: int, width: int, cells: Sequence[int], rng: np.random.Generator
) -> Iterator[Floats]:
    """The first mask of each pair; the second is one minus it.

    Args:
        pairs: how many.
        height, width: of a mask, in pixels.
        cells: along the shorter side, a number for each grain; they are used in turn.
        rng: where chance comes from; the same state gives the same masks.

    Yields:
        height x width, float32, 0 hidden .. 1 shown.
    """
    for pair in range(pairs):
        size = min(height, width) / min(cells[pair % len(cells)], height, width)
        down, across = rng.random(2)
        rows, columns = _spread(height, size, down), _spread(width, size, across)
        grid = rng.integers(0, 2, (rows.shape[1], columns.shape[1])).astype(np.float32)
        mask: Floats = (rows @ grid @ columns.T).astype(np.float32, copy=False)
        yield mask


def _spread(length: int, size: float, offset: float) -> Floats:
    """How much each knot of a line of knots counts at each pixel: linear between neighbours."""
    at = (np.arange(length) + 0.5) / size + offset
    before = np.floor(at).astype(np.intp)
    weights = np.zeros((length, before[-1] + 2), np.float32)
    pixels = np.arange(length)
    weights[pixels, before] = 1 - (at - before)
    weights[pixels, before + 1] = at - before
    return weights

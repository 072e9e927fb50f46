"""Recipes of Core ML: what coremltools does to the weights of a converted program.

**Palettes** need the values that 16 entries stand for. coremltools' own k-means needs scikit-learn
and starts at random; its uniform palette wastes entries on values that no weight has. Ours is
k-means in one dimension from a fixed start (Lloyd 1982): the same weights give the same bytes, and
the error is never above that of the uniform palette it starts from.

**Blockwise int4** exists from iOS 18 on; the programs made here are for iOS 17, where palettes are
the way to 4 bits.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from converters.engines import engine

ENTRIES = 16
ROUNDS = 30


def compressed(model: Any, recipe: str) -> Any:
    """The converted model with its weights compressed as the recipe says."""
    if recipe in ("fp32", "fp16"):
        return model
    optimize = engine("coremltools.optimize.coreml")
    if recipe == "palette4":
        palettes = optimize.OpPalettizerConfig(
            mode="custom", lut_function=palette, weight_threshold=0
        )
        config = optimize.OptimizationConfig(global_config=palettes)
        return optimize.palettize_weights(model, config)
    linear = optimize.OpLinearQuantizerConfig(mode="linear_symmetric", weight_threshold=0)
    return optimize.linear_quantize_weights(
        model, optimize.OptimizationConfig(global_config=linear)
    )


def palette(weight: npt.NDArray[Any]) -> tuple[npt.NDArray[Any], npt.NDArray[np.uint8]]:
    """Sixteen values for a tensor, ascending, and for each weight the place of the nearest one.

    Returns:
        The values, of the weight's type; the places, of the weight's length, flat.
    """
    values = np.asarray(weight, np.float64).reshape(-1)
    entries = np.linspace(values.min(), values.max(), ENTRIES)
    for _ in range(ROUNDS):
        places = _nearest(values, entries)
        count = np.bincount(places, minlength=ENTRIES)
        means = np.bincount(places, values, ENTRIES) / np.maximum(count, 1)
        moved = np.where(count > 0, means, entries)
        if np.array_equal(moved, entries):
            break
        entries = np.sort(moved)
    stored = entries.astype(weight.dtype)
    return stored, _nearest(values, stored.astype(np.float64)).astype(np.uint8)


def _nearest(values: npt.NDArray[Any], entries: npt.NDArray[Any]) -> npt.NDArray[np.intp]:
    borders = (entries[1:] + entries[:-1]) / 2
    return np.searchsorted(borders, values)

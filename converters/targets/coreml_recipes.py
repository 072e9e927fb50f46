"""Recipes of Core ML: what coremltools does to the weights of a converted program.

**Palettes** need the values that 16 entries stand for. coremltools' own k-means needs scikit-learn
and starts at random; its uniform palette wastes entries on values that no weight has. Ours is
k-means in one dimension from a fixed start (Lloyd 1982): the same weights give the same bytes, and
the error is never above that of the uniform palette it starts from.

**Blockwise int4** exists from iOS 18 and macOS 15 on, and so does the program that such a build is
made from; all others run from iOS 17 on. Each 32 numbers along the input channels have a scale and
a zero point; each 16 where 32 do not divide them. Weights that 16 do not divide either (the first
layer's, depthwise ones) have 8 bits.

**Small weights** (below 2,048 numbers, coremltools' own default) stay in half precision: all of
them together weigh next to nothing, and they are a net's first and depthwise layers, which suffer
most. On EfficientNet-Lite0 six tensors, 2 kB more, are the difference between 88.1 % and 92.1 % of
101 photographs that are given the class of the original. A model that has no other weights has all
of them compressed.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from converters.engines import engine
from edge_sdk.errors import ConversionError

ENTRIES = 16
ROUNDS = 30
BLOCKS = (32, 16)
SMALL = 2048
SYSTEM = "iOS17"
"""The oldest system that programs are made for, in coremltools' words."""
SYSTEMS = {"int4-weights": "iOS18"}
"""Recipes that need a later one."""


def compressed(model: Any, recipe: str) -> Any:
    """The converted model with its weights compressed as the recipe says."""
    if recipe in ("fp32", "fp16"):
        return model
    optimize = engine("coremltools.optimize.coreml")
    small = SMALL if optimize.get_weights_metadata(model, weight_threshold=SMALL) else 0
    if recipe == "palette4":
        palettes = optimize.OpPalettizerConfig(
            mode="custom", lut_function=palette, weight_threshold=small
        )
        config = optimize.OptimizationConfig(global_config=palettes)
        return optimize.palettize_weights(model, config)
    if recipe == "int4-weights":
        for size in BLOCKS:  # those that a block does not divide are left to the next
            model = _linear(
                optimize,
                model,
                mode="linear",
                dtype="int4",
                granularity="per_block",
                block_size=size,
                weight_threshold=small,
            )
        if not any(op.op_type.startswith("constexpr_") for op in _operations(model)):
            raise ConversionError(
                "coreml-int4-weights is no other build than coreml-int8-weights: no weight has a "
                "multiple of 16 input channels.",
                "Take 16 values for all weights of a tensor: --recipe palette4",
            )
    return _linear(optimize, model, mode="linear_symmetric", weight_threshold=small)


def _operations(model: Any) -> Any:
    """Of the program's main function."""
    return model._mil_program.functions["main"].operations


def _linear(optimize: Any, model: Any, **settings: Any) -> Any:
    """Scaled integers for weights; those that are compressed already stay as they are."""
    config = optimize.OptimizationConfig(global_config=optimize.OpLinearQuantizerConfig(**settings))
    return optimize.linear_quantize_weights(model, config)


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

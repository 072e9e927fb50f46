"""litert-quantizer's own descriptions of our recipes, and the ranges it is to use.

**4 bits.** litert-quantizer has blockwise weights for fully connected layers alone, and those only
with activations quantized on the fly: not for convolutions, and not weights alone ("Unsupported op
for ComputePrecision.FLOAT"). What runs for every net is 4 bits per channel for convolutions and
fully connected layers, weights alone; depthwise and transposed convolutions, which have no 4-bit
kernel, are stored in 8.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import numpy as np

from converters.engines import engine
from converters.probes import open_probe
from converters.ranges import Shown, measure_ranges
from converters.recipe import MIXED, Recipe
from converters.samples import Samples
from converters.sources.base import alone
from edge_sdk.spec import Signature

SIGNATURE = "serving_default"
FOUR_BITS = ("CONV_2D", "FULLY_CONNECTED")


def steps_of(quantizer: Any, recipe: Recipe) -> list[Any]:
    """What the quantizer shall do, in its own words; later steps overrule earlier ones."""
    words = quantizer.recipe
    if recipe.name in ("int8", MIXED):
        return [*words.static_wi8_ai8(), *(_left(words, name) for name in recipe.wide)]
    if recipe.name == "int16x8":
        return list(words.static_wi8_ai16())
    if recipe.name == "int8-dynamic":
        return list(words.dynamic_wi8_afp32())
    if recipe.name == "int8-weights":
        return list(words.weight_only_wi8_afp32())
    if recipe.name == "int4-weights":
        steps = engine("litert_quantizer.recipe_manager").RecipeManager()
        steps.load_quantization_recipe(words.weight_only_wi8_afp32())
        for name in FOUR_BITS:
            operation = getattr(words.TFLOperationName, name)
            steps.add_weight_only_config(regex=".*", operation_name=operation, num_bits=4)
        return list(steps.get_quantization_recipe())
    return [_half(words)]


def _left(words: Any, layer: str) -> dict[str, Any]:
    """Leave one layer alone; the quantizer looks at its outputs' names, each followed by ``;``."""
    return {
        "regex": f"(^|;){re.escape(layer)};",
        "operation": words.TFLOperationName.ALL_SUPPORTED,
        "algorithm_key": words.AlgorithmName.NO_QUANTIZE,
    }


def _half(words: Any) -> dict[str, Any]:
    types = engine("litert_quantizer.qtyping")
    weights = types.TensorQuantizationConfig(num_bits=16, dtype=types.TensorDataType.FLOAT)
    return {
        "regex": ".*",
        "operation": types.TFLOperationName.ALL_SUPPORTED,
        "algorithm_key": words.AlgorithmName.FLOAT_CASTING,
        "op_config": {
            "weight_tensor_config": weights.to_dict(),
            "compute_precision": types.ComputePrecision.FLOAT,
            "explicit_dequantize": True,
            "skip_checks": False,
            "min_weight_elements": 0,
        },
    }


def ranges(
    model: bytes, steps: list[Any], recipe: Recipe, calibration: Samples, signature: Signature
) -> Any:
    """Every tensor's range over all samples, as the quantizer takes them.

    Its own calibrator keeps a moving average, which forgets all but the last few dozen samples and
    depends on their order; values seen in calibration would then be clipped. It is run on one
    sample, to learn which tensors it wants; their ranges are measured by ``converters.ranges``.
    """
    wanted = engine("litert_quantizer.recipe_manager").RecipeManager()
    wanted.load_quantization_recipe(steps)
    calibrator = engine("litert_quantizer.calibrator").Calibrator(model, num_threads=1)
    first = alone(calibration.read(0, 1), signature, 0)
    calibrator.calibrate({SIGNATURE: [first]}, wanted)
    found = calibrator.get_model_qsvs()
    probe = open_probe("tflite", model, signature)

    def passes() -> Iterator[Shown]:
        for _, batch in calibration.batches():
            for index in range(len(next(iter(batch.values())))):
                yield probe.tensors(alone(batch, signature, index))

    measured = measure_ranges(passes, recipe.method, 16 if recipe.name == "int16x8" else 8)
    for name, values in found.items():
        if name in measured:
            low, high = measured[name]
            values["min"] = np.full_like(values["min"], low)
            values["max"] = np.full_like(values["max"], high)
    return found

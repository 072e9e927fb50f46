"""TFLite/LiteRT: the source's trunk makes the float build, litert-quantizer all others of it.

One float build is the trunk of every recipe, so that a recipe is a few milliseconds and what it
changed is known: TensorFlow's own quantizing converter would trace and optimize anew each time.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, cast

from converters.engines import at_work, engine, tool_version
from converters.recipe import Recipe
from converters.samples import Samples
from converters.sources.base import Source, alone
from converters.targets.base import Emitted
from converters.targets.engine_runner import EngineRunner
from converters.trunks import FileTrunk, open_trunk
from edge_sdk.errors import ConversionError
from edge_sdk.spec import Format

SIGNATURE = "serving_default"


class TfliteTarget:
    """See ``Target``."""

    format: Format = "tflite"
    backends: tuple[str, ...] = ("litert",)

    def __init__(self, source: Source, folder: Path) -> None:
        self._source = source
        self._folder = folder
        self._trunk = cast(FileTrunk, open_trunk(self.format, source, folder))

    def emit(self, recipe: Recipe, calibration: Samples | None) -> Emitted:
        """See ``Target.emit``."""
        what = f"{self.format}-{recipe.name}"
        model = self._float
        if recipe.name != "fp32":
            other = "int8-dynamic" if recipe.calibrated else "fp16"
            with at_work(
                f"Quantizing to {what}", f"Try another recipe: --recipe {other}", gist=_loop
            ):
                model = self._quantized(recipe, calibration)
            if _types(model) == _types(self._float):
                raise ConversionError(
                    f"{what} is the float build unchanged: nothing in it could be quantized.",
                    "Leave the recipe out.",
                )
        path = self._folder / f"{what}.tflite"
        with at_work(f"Writing {what}"):
            path.write_bytes(model)
        runner = EngineRunner(model, self.format, self._source.signature, what)
        return Emitted(path, runner.signature, runner)

    def tools(self) -> Mapping[str, str]:
        """See ``Target.tools``."""
        return {**self._trunk.tools(), "litert-quantizer": tool_version("litert-quantizer")}

    @cached_property
    def _float(self) -> bytes:
        return self._trunk.build()

    def _quantized(self, recipe: Recipe, calibration: Samples | None) -> bytes:
        quantizer = engine("litert_quantizer")
        job = quantizer.Quantizer(self._float)
        steps = _recipe(quantizer, recipe.name)
        job.load_quantization_recipe(steps)
        if not job.need_calibration:
            return bytes(job.quantize().quantized_model)
        if calibration is None:
            raise ConversionError(f"{recipe.name} needs calibration data.")
        return bytes(job.quantize(self._ranges(steps, calibration)).quantized_model)

    def _ranges(self, steps: Any, calibration: Samples) -> Any:
        """Every tensor's least and greatest value over all samples.

        The quantizer's own default is a moving average, which forgets all but the last few dozen
        samples and depends on their order; values seen in calibration would then be clipped.
        """
        recipes = engine("litert_quantizer.recipe_manager").RecipeManager()
        recipes.load_quantization_recipe(steps)
        calibrator = engine("litert_quantizer.calibrator").Calibrator(
            self._float,
            num_threads=1,
            qsv_update_func=engine("litert_quantizer.utils.qsv_utils").min_max_update,
        )
        signature = self._source.signature
        rows = [
            alone(batch, signature, index)
            for _, batch in calibration.batches()
            for index in range(len(next(iter(batch.values()))))
        ]
        calibrator.calibrate({SIGNATURE: rows}, recipes)
        return calibrator.get_model_qsvs()


def _types(model: bytes) -> Counter[int]:
    """How many tensors there are of each type."""
    schema = engine("ai_edge_litert.schema_py_generated")
    root = schema.Model.GetRootAs(model, 0)
    graphs = [root.Subgraphs(at) for at in range(root.SubgraphsLength())]
    return Counter(
        graph.Tensors(at).Type() for graph in graphs for at in range(graph.TensorsLength())
    )


def _loop(said: str) -> str:
    """What the quantizer means where it finds no values inside a loop; else nothing."""
    if "Tensor data is null" not in said:
        return ""
    return "the model has control flow (the loop of an LSTM, say), and no ranges are seen inside"


def _recipe(quantizer: Any, name: str) -> Any:
    """litert-quantizer's own description of one of our recipes."""
    recipes = quantizer.recipe
    if name == "int8":
        return recipes.static_wi8_ai8()
    if name == "int8-dynamic":
        return recipes.dynamic_wi8_afp32()
    if name == "int8-weights":
        return recipes.weight_only_wi8_afp32()
    types = engine("litert_quantizer.qtyping")
    weights = types.TensorQuantizationConfig(num_bits=16, dtype=types.TensorDataType.FLOAT)
    return [
        {
            "regex": ".*",
            "operation": types.TFLOperationName.ALL_SUPPORTED,
            "algorithm_key": recipes.AlgorithmName.FLOAT_CASTING,
            "op_config": {
                "weight_tensor_config": weights.to_dict(),
                "compute_precision": types.ComputePrecision.FLOAT,
                "explicit_dequantize": True,
                "skip_checks": False,
                "min_weight_elements": 0,
            },
        }
    ]

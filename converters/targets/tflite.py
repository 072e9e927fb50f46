"""TFLite/LiteRT: the source's trunk makes the float build, litert-quantizer all others of it.

One float build is the trunk of every recipe, so that a recipe is a few milliseconds and what it
changed is known: TensorFlow's own quantizing converter would trace and optimize anew each time.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import cast

from converters.engines import at_work, engine, tool_version
from converters.recipe import Recipe
from converters.samples import Samples
from converters.sources.base import Source
from converters.targets.base import Emitted
from converters.targets.engine_runner import EngineRunner
from converters.targets.tflite_recipes import ranges, steps_of
from converters.trunks import FileTrunk, open_trunk
from edge_sdk.errors import ConversionError
from edge_sdk.spec import Format


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

    def trunk(self) -> bytes:
        """See ``Target.trunk``."""
        return self._float

    def tools(self) -> Mapping[str, str]:
        """See ``Target.tools``."""
        return {**self._trunk.tools(), "litert-quantizer": tool_version("litert-quantizer")}

    @cached_property
    def _float(self) -> bytes:
        return self._trunk.build()

    def _quantized(self, recipe: Recipe, calibration: Samples | None) -> bytes:
        quantizer = engine("litert_quantizer")
        job = quantizer.Quantizer(self._float)
        steps = steps_of(quantizer, recipe)
        job.load_quantization_recipe(steps)
        if not job.need_calibration:
            return bytes(job.quantize().quantized_model)
        if calibration is None:
            raise ConversionError(f"{recipe.name} needs calibration data.")
        found = ranges(self._float, steps, recipe, calibration, self._source.signature)
        return bytes(job.quantize(found).quantized_model)


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

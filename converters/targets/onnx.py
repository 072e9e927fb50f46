"""ONNX: the source's trunk makes the float build, its recipes change that."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import cast

from converters.engines import at_work, tool_version
from converters.recipe import Recipe
from converters.samples import Samples
from converters.sources.base import Source
from converters.targets.base import Emitted
from converters.targets.engine_runner import EngineRunner
from converters.targets.onnx_recipes import changed
from converters.trunks import FileTrunk, open_trunk
from edge_sdk.spec import Format


class OnnxTarget:
    """See ``Target``."""

    format: Format = "onnx"
    backends: tuple[str, ...] = ("onnxruntime",)

    def __init__(self, source: Source, folder: Path) -> None:
        self._source = source
        self._folder = folder
        self._trunk = cast(FileTrunk, open_trunk(self.format, source, folder))

    def emit(self, recipe: Recipe, calibration: Samples | None) -> Emitted:
        """See ``Target.emit``."""
        what = f"{self.format}-{recipe.name}"
        path = self._folder / f"{what}.onnx"
        other = "int8-dynamic" if recipe.calibrated else "fp32"
        model = self._float
        with at_work(f"Changing to {what}", f"Try another recipe: --recipe {other}"):
            model = changed(model, recipe, calibration, self._source.signature, self._folder)
        with at_work(f"Writing {what}"):
            path.write_bytes(model)
        runner = EngineRunner(model, self.format, self._source.signature, what)
        return Emitted(path, runner.signature, runner)

    def trunk(self) -> bytes:
        """See ``Target.trunk``."""
        return self._float

    def tools(self) -> Mapping[str, str]:
        """See ``Target.tools``."""
        return {**self._trunk.tools(), "onnxruntime": tool_version("onnxruntime")}

    @cached_property
    def _float(self) -> bytes:
        return self._trunk.build()

"""ONNX, by way of tf2onnx from the frozen function."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from converters.engines import at_work, engine, tool_version
from converters.recipe import Recipe
from converters.samples import Samples
from converters.sources.tensorflow import TensorFlowSource
from converters.targets.base import Emitted, check_distinct
from converters.targets.engine_runner import EngineRunner
from edge_sdk.spec import Format

OPSET = 18
"""Read by ONNX Runtime 1.14 and up, JetPack's and Debian's included."""


class OnnxTarget:
    """See ``Target``."""

    format: Format = "onnx"
    backends: tuple[str, ...] = ("onnxruntime",)

    def __init__(self, source: TensorFlowSource, folder: Path) -> None:
        self._source = source
        self._folder = folder

    def emit(self, recipe: Recipe, calibration: Samples | None) -> Emitted:
        """See ``Target.emit``."""
        onnx, tf2onnx = engine("onnx"), engine("tf2onnx")
        what = f"{self.format}-{recipe.name}"
        path = self._folder / f"{what}.onnx"
        check_distinct(self._source.signature, "ONNX")
        function = self._source.named_frozen()
        with at_work(
            f"Converting {self._source.name} to ONNX",
            "Another target may have the operation: --formats tflite",
        ):
            # Its names count on from conversion to conversion, and would make their bytes differ.
            tf2onnx.utils.INTERNAL_NAME = 1
            proto, _ = tf2onnx.convert.from_function(
                function, input_signature=function.input_signature, opset=OPSET
            )
            proto.producer_version = tool_version("tf2onnx")
            proto.graph.name, proto.graph.doc_string = self._source.name, ""
            onnx.checker.check_model(proto, full_check=True)
            model: bytes = proto.SerializeToString(deterministic=True)
            path.write_bytes(model)
        runner = EngineRunner(model, self.format, self._source.signature, what)
        return Emitted(path, runner.signature, runner)

    def tools(self) -> Mapping[str, str]:
        """See ``Target.tools``."""
        return {"tf2onnx": tool_version("tf2onnx"), "onnx": tool_version("onnx")}

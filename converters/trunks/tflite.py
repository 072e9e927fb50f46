"""Trunks of .tflite sources: the file itself, ready for a quantizer; ONNX by tf2onnx.

coremltools reads no .tflite: to Core ML the way leads over that ONNX model, and PyTorch.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from converters import onnx_graph, tflite_graph
from converters.engines import at_work, engine, tool_version
from converters.sources.tflite import TfliteSource
from converters.targets.base import check_distinct
from converters.tflite.plain import spell_out_transposed
from converters.trunks.core_ml import TOOLS, OnnxTrace
from converters.trunks.tensorflow import OPSET


class TfliteTrunk:
    """See ``FileTrunk``."""

    def __init__(self, source: TfliteSource, folder: Path) -> None:
        self._source = source

    def build(self) -> bytes:
        """See ``FileTrunk.build``."""
        return self._source.model

    def tools(self) -> Mapping[str, str]:
        """See ``Trunk.tools``."""
        return {}


class OnnxTrunk:
    """See ``FileTrunk``."""

    def __init__(self, source: TfliteSource, folder: Path) -> None:
        self._source, self._folder = source, folder

    def build(self) -> bytes:
        """See ``FileTrunk.build``."""
        onnx, tf2onnx = engine("onnx"), engine("tf2onnx")
        check_distinct(self._source.signature, "ONNX")
        with at_work(
            f"Converting {self._source.name} to ONNX",
            "Convert the model it was made from, or stay with --formats tflite.",
        ):
            tree = tflite_graph.read_tflite(self._source.model)
            spell_out_transposed(tree)
            names = tflite_graph.name_sides(tree)
            path = self._folder / "plain.tflite"
            path.write_bytes(tflite_graph.written(tree))
            # Its names count on from conversion to conversion, and would make their bytes differ;
            # this part of it takes one as it is imported.
            engine("tf2onnx.rewriter.loop_rewriter_base")
            tf2onnx.utils.INTERNAL_NAME = 1
            proto, _ = tf2onnx.convert.from_tflite(str(path), opset=OPSET)
            onnx_graph.rename(proto, names)
            proto.producer_version = tool_version("tf2onnx")
            proto.graph.name, proto.graph.doc_string = self._source.name, ""
            onnx.checker.check_model(proto, full_check=True)
            return onnx_graph.serialized(proto)

    def tools(self) -> Mapping[str, str]:
        """See ``Trunk.tools``."""
        return {"tf2onnx": tool_version("tf2onnx"), "onnx": tool_version("onnx")}


class CoreMlTrunk:
    """See ``converters.trunks.base.CoreMlTrunk``."""

    def __init__(self, source: TfliteSource, folder: Path) -> None:
        self._source, self._folder = source, folder
        self._onnx = OnnxTrunk(source, folder)
        self._trace: OnnxTrace | None = None

    def build(self, precision: str, system: str = "iOS17") -> Any:
        """See ``CoreMlTrunk.build``."""
        if self._trace is None:
            source = self._source
            model = self._onnx.build()
            self._trace = OnnxTrace(model, source.signature, source.name, self._folder)
        return self._trace.build(precision, system)

    def tools(self) -> Mapping[str, str]:
        """See ``Trunk.tools``."""
        return {**self._onnx.tools(), **{n: tool_version(n) for n in TOOLS}}

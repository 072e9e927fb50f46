"""Trunks of Keras models and SavedModels: TensorFlow's converter, tf2onnx, coremltools.

All three start from the *frozen* function: unfrozen ones convert with exit code 0 and without their
weights.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from converters.engines import at_work, engine, tool_version
from converters.sources.tensorflow import TensorFlowSource
from converters.targets.base import check_distinct
from converters.trunks.names import check_core_ml_names, rename_features, renamed

OPSET = 18
"""Read by ONNX Runtime 1.14 and up, JetPack's and Debian's included."""


class TfliteTrunk:
    """See ``FileTrunk``."""

    def __init__(self, source: TensorFlowSource, folder: Path) -> None:
        self._source, self._folder = source, folder

    def build(self) -> bytes:
        """See ``FileTrunk.build``."""
        tf = engine("tensorflow")
        folder = self._folder / "frozen"
        names = self._source.save_frozen(folder)
        with at_work(
            f"Converting {self._source.name} to TFLite",
            "Another target may have the operation: --formats onnx",
            gist=_missing_operations,
        ):
            model: bytes = tf.lite.TFLiteConverter.from_saved_model(str(folder)).convert()
            return renamed(model, names) if names else model

    def tools(self) -> Mapping[str, str]:
        """See ``Trunk.tools``."""
        return {"tensorflow": tool_version("tensorflow")}


class OnnxTrunk:
    """See ``FileTrunk``."""

    def __init__(self, source: TensorFlowSource, folder: Path) -> None:
        self._source = source

    def build(self) -> bytes:
        """See ``FileTrunk.build``."""
        onnx, tf2onnx = engine("onnx"), engine("tf2onnx")
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
            return bytes(proto.SerializeToString(deterministic=True))

    def tools(self) -> Mapping[str, str]:
        """See ``Trunk.tools``."""
        return {"tf2onnx": tool_version("tf2onnx"), "onnx": tool_version("onnx")}


class CoreMlTrunk:
    """See ``converters.trunks.base.CoreMlTrunk``."""

    def __init__(self, source: TensorFlowSource, folder: Path) -> None:
        self._source = source

    def build(self, precision: str) -> Any:
        """See ``CoreMlTrunk.build``."""
        ct = engine("coremltools")
        frozen = self._source.frozen()
        inputs, outputs = _plain_names(frozen.inputs), _plain_names(frozen.outputs)
        signature = self._source.signature
        wanted = [t.name for t in (*signature.inputs, *signature.outputs)]
        check_core_ml_names(wanted)
        check_distinct(signature, "Core ML")
        remedy = "Another target may have the operation: --formats tflite"
        if any("While" in operation.type for operation in frozen.graph.get_operations()):
            remedy = (
                "coremltools does not read every loop: build recurrent layers with unroll=True, "
                "or take another target: --formats tflite"
            )
        with at_work(f"Converting {self._source.name} to Core ML", remedy):
            model = ct.convert(
                [frozen],
                source="tensorflow",
                convert_to="mlprogram",
                minimum_deployment_target=ct.target.iOS17,
                compute_precision=getattr(
                    ct.precision, "FLOAT32" if precision == "fp32" else "FLOAT16"
                ),
                inputs=[
                    ct.TensorType(
                        name=name, shape=tuple(tensor.shape), dtype=tensor.dtype.as_numpy_dtype
                    )
                    for name, tensor in zip(inputs, frozen.inputs, strict=True)
                ],
                outputs=[ct.TensorType(name=name, dtype=np.float32) for name in outputs],
                skip_model_load=True,
            )
            spec = model.get_spec()
            rename_features(ct, spec, [*inputs, *outputs], wanted)
            model = ct.models.MLModel(spec, weights_dir=model.weights_dir, skip_model_load=True)
        return model

    def tools(self) -> Mapping[str, str]:
        """See ``Trunk.tools``."""
        return {"coremltools": tool_version("coremltools")}


def _missing_operations(said: str) -> str:
    """The operations that TFLite lacks, out of the converter's pages about them; else nothing."""
    operations = re.findall(r"^\ttf\.(\w+\([^)]*\))", said, re.MULTILINE)
    return f"TFLite has no operation {', '.join(operations)}" if operations else ""


def _plain_names(tensors: list[Any]) -> list[str]:
    """The names of a graph's operations, without the number of the operation's output."""
    return [tensor.name.partition(":")[0] for tensor in tensors]

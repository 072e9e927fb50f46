"""Trunks of Keras models and SavedModels: TensorFlow's converter, tf2onnx, coremltools.

All three start from the *frozen* function: unfrozen ones convert with exit code 0 and without their
weights.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from converters.engines import at_work, engine, tool_version
from converters.sources.tensorflow import TensorFlowSource
from converters.targets.base import check_distinct
from converters.trunks.names import rename_features
from edge_sdk.backends.coreml_terms import terms_of
from edge_sdk.errors import ConversionError
from edge_sdk.spec import Signature, TensorSpec

SIGNATURE = "serving_default"
OPSET = 18
"""Read by ONNX Runtime 1.14 and up, JetPack's and Debian's included."""


class TfliteTrunk:
    """See ``FileTrunk``."""

    def __init__(self, source: TensorFlowSource, folder: Path) -> None:
        self._source, self._folder = source, folder

    def build(self) -> bytes:
        """See ``FileTrunk.build``."""
        tf = engine("tensorflow")
        frozen = self._source.frozen()
        with at_work(
            f"Converting {self._source.name} to TFLite",
            "Another target may have the operation: --formats onnx",
            gist=_missing_operations,
        ):
            # Of the graph itself: by way of a SavedModel it would cost half as much memory again.
            model: bytes = tf.lite.TFLiteConverter.from_concrete_functions([frozen]).convert()
            return _signed(model, self._source.signature)

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
        frozen = self._source.frozen()
        signature = self._source.signature
        tensors = [t.name for t in (*frozen.inputs, *frozen.outputs)]
        names = [t.name for t in (*signature.inputs, *signature.outputs)]
        with at_work(
            f"Converting {self._source.name} to ONNX",
            "Another target may have the operation: --formats tflite",
        ):
            # Its names count on from conversion to conversion, and would make their bytes differ;
            # this part of it takes one as it is imported.
            engine("tf2onnx.rewriter.loop_rewriter_base")
            tf2onnx.utils.INTERNAL_NAME = 1
            # Of the frozen graph: of a function it would be frozen, and copied, once more.
            proto, _ = tf2onnx.convert.from_graph_def(
                frozen.graph.as_graph_def(add_shapes=True),
                input_names=tensors[: len(signature.inputs)],
                output_names=tensors[len(signature.inputs) :],
                tensors_to_rename=dict(zip(tensors, names, strict=True)),
                opset=OPSET,
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

    def build(self, precision: str, system: str = "iOS17") -> Any:
        """See ``CoreMlTrunk.build``."""
        ct = engine("coremltools")
        frozen = self._source.frozen()
        if _loops(frozen):
            frozen = self._source.frozen_without_loops()
        remedy, loops = "Another target may have the operation: --formats tflite", _loops(frozen)
        if loops:
            remedy = (
                "coremltools does not read every loop. Build recurrent layers with unroll=True (in "
                "a Keras model, of up to 128 steps, it is done for you), or take another target: "
                "--formats tflite"
            )
        inputs, outputs = _plain_names(frozen.inputs), _plain_names(frozen.outputs)
        signature = self._source.signature
        wanted = list(terms_of((*signature.inputs, *signature.outputs)))
        what = f"Converting {self._source.name} to Core ML"
        with at_work(what, remedy, gist=lambda said: _blaming(loops, said)):
            model = ct.convert(
                [frozen],
                source="tensorflow",
                convert_to="mlprogram",
                minimum_deployment_target=getattr(ct.target, system),
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
            clean = engine("coremltools.converters.mil.mil.passes.defs.preprocess").NameSanitizer()
            rename_features(ct, spec, list(map(clean.sanitize_name, inputs + outputs)), wanted)
            model = ct.models.MLModel(spec, weights_dir=model.weights_dir, skip_model_load=True)
        return model

    def tools(self) -> Mapping[str, str]:
        """See ``Trunk.tools``."""
        return {"coremltools": tool_version("coremltools")}


def _signed(model: bytes, signature: Signature) -> bytes:
    """The model with a signature: its graph's inputs and outputs, by our names.

    Raises:
        ConversionError: it was made with more or fewer than the source has.
    """
    schema, builder = engine("ai_edge_litert.schema_py_generated"), engine("flatbuffers").Builder()
    tree = schema.ModelT.InitFromPackedBuf(model, 0)
    graph, signed = tree.subgraphs[0], schema.SignatureDefT()
    signed.signatureKey, signed.subgraphIndex = SIGNATURE.encode(), 0
    signed.inputs = _entries(schema, signature.inputs, graph.inputs)
    signed.outputs = _entries(schema, signature.outputs, graph.outputs)
    tree.signatureDefs = [signed]
    builder.Finish(tree.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def _entries(schema: Any, declared: Sequence[TensorSpec], found: Sequence[int]) -> list[Any]:
    """A signature's inputs or outputs, in the graph's order."""
    if len(declared) != len(found):
        raise ConversionError(
            f"TensorFlow made {len(found)} tensors of {', '.join(t.name for t in declared)}.",
            "Give each input and output of the model a tensor of its own.",
        )
    entries = []
    for tensor, index in zip(declared, found, strict=True):
        entry = schema.TensorMapT()
        entry.name, entry.tensorIndex = tensor.name.encode(), int(index)
        entries.append(entry)
    return entries


def _missing_operations(said: str) -> str:
    """The operations that TFLite lacks, out of the converter's pages about them; else nothing."""
    operations = re.findall(r"^\ttf\.(\w+\([^)]*\))", said, re.MULTILINE)
    return f"TFLite has no operation {', '.join(operations)}" if operations else ""


def _loops(function: Any) -> list[str]:
    """The loops of a graph, by the names of their nodes."""
    return [o.name for o in function.graph.get_operations() if o.type.endswith("While")]


def _blaming(loops: Sequence[str], said: str) -> str:
    """What coremltools says when it loses a loop's tensors, and which loops those are."""
    lost = loops and "list index out of range" in said
    return f"{said} (in the loop {' or '.join(loops)})" if lost else ""


def _plain_names(tensors: list[Any]) -> list[str]:
    """The names of a graph's operations, without the number of the operation's output."""
    return [tensor.name.partition(":")[0] for tensor in tensors]

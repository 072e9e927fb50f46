"""Trunks of ONNX models: ONNX as it is but for its shapes, TFLite by onnx2tf, Core ML by PyTorch.

onnx2tf is asked for one thing only, the float32 file of its direct path, in the toolchain of its
own; what it quantizes by itself does not run. It also exits with 0 after it has silently left out
what it does not know, or taken an input for another shape, so what it made is held against what it
was asked for before it is run at all.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from converters import onnx_graph, tflite_graph
from converters.engines import at_work, engine, tool_version
from converters.sources.onnx import OnnxSource
from converters.toolchains import drive, need, toolchain
from converters.trunks.core_ml import TOOLS, OnnxTrace
from edge_sdk.errors import ConversionError
from edge_sdk.spec import TensorSpec

OTHER_TARGET = "Another target may do: --formats onnx"


class OnnxTrunk:
    """See ``FileTrunk``."""

    def __init__(self, source: OnnxSource, folder: Path) -> None:
        self._source = source

    def build(self) -> bytes:
        """See ``FileTrunk.build``."""
        onnx = engine("onnx")
        with at_work(f"Checking {self._source.name}"):
            proto = onnx.load_model_from_string(self._source.model)
            onnx.checker.check_model(proto)
            onnx_graph.lift_constants(proto)
            return onnx_graph.serialized(proto)

    def tools(self) -> Mapping[str, str]:
        """See ``Trunk.tools``."""
        return {"onnx": tool_version("onnx")}


class TfliteTrunk:
    """See ``FileTrunk``."""

    def __init__(self, source: OnnxSource, folder: Path) -> None:
        self._source, self._folder = source, folder
        self._chain = toolchain("onnx2tf")
        self._failure: ConversionError | None = None
        need(self._chain)

    def build(self) -> bytes:
        """See ``FileTrunk.build``. What failed once is not tried again for the next recipe."""
        if self._failure is not None:
            raise self._failure
        try:
            return self._built()
        except ConversionError as error:
            self._failure = error
            raise

    def _built(self) -> bytes:
        source = self._source
        what = f"Converting {source.name} to TFLite"
        shapes = {t.name: _lengths(t, what) for t in source.signature.outputs}
        with at_work(what, OTHER_TARGET):
            proto = onnx_graph.folded(source.model, self._folder)
            if left := onnx_graph.control_flow(proto):
                raise ConversionError(
                    f"{what} failed: it holds {', '.join(left)}, which decides only as it runs "
                    "what is computed; onnx2tf leaves such operations out or answers wrongly.",
                    "Export the one branch that is needed, or fix an input it depends on, or take "
                    "another target: --formats onnx",
                )
            names = onnx_graph.plain_names(proto)
            onnx_graph.untie_states(proto)
            onnx_graph.flatten_outputs(proto, {names[name]: s for name, s in shapes.items()})
            path, made = self._folder / "plain.onnx", self._folder / "onnx2tf.tflite"
            path.write_bytes(onnx_graph.serialized(proto))
        drive(self._chain, [str(path), str(made)], self._folder, what, OTHER_TARGET)
        with at_work(what, OTHER_TARGET):
            tree = tflite_graph.read_tflite(made.read_bytes())
            self._adopt(tree, names, what)
            tflite_graph.share_constants(tree)
            return tflite_graph.written(tree)

    def tools(self) -> Mapping[str, str]:
        """See ``Trunk.tools``."""
        return self._chain.tools()

    def _adopt(self, tree: Any, names: Mapping[str, str], what: str) -> None:
        """Give what onnx2tf made the source's names and shapes back, or refuse it."""
        if custom := tflite_graph.custom_operations(tree):
            operations = ", ".join(name.removeprefix("ONNX_") for name in custom)
            raise ConversionError(
                f"{what} failed: TFLite has no operation {operations}.", OTHER_TARGET
            )
        if cut := tflite_graph.cut_off(tree):
            raise ConversionError(
                f"{what} failed: onnx2tf left out what makes {', '.join(cut[:3])}, so that what it "
                "made could not be run.",
                "Look at the operation of that name in the model: where it answers more than is "
                f"needed, leave the rest out. {OTHER_TARGET}",
            )
        signature = self._source.signature
        made_inputs, made_outputs = tflite_graph.sides(tree)
        inputs, outputs = {}, {}
        for tensor in signature.inputs:
            lengths = _lengths(tensor, what)
            at = made_inputs.get(names[tensor.name])
            if at is None:
                at = tflite_graph.add_input(tree, tensor.name, tensor.dtype, lengths)
            _check(tree, at, tensor, lengths, f"{what} failed: onnx2tf made the input")
            if not lengths and tflite_graph.shape(tree, at):
                at = tflite_graph.reshape_input(tree, at, lengths)
            inputs[tensor.name] = at
        for tensor in signature.outputs:
            lengths = _lengths(tensor, what)
            at = made_outputs.get(names[tensor.name])
            if at is None:
                raise ConversionError(
                    f"{what} failed: onnx2tf left out the output {tensor.name!r}.", OTHER_TARGET
                )
            flat = (1, _count(lengths)) if len(lengths) > 2 else lengths
            _check(tree, at, tensor, flat, f"{what} failed: onnx2tf made the output")
            if tflite_graph.shape(tree, at) != lengths:
                at = tflite_graph.reshape_output(tree, at, lengths)
            outputs[tensor.name] = at
        tflite_graph.sign(tree, inputs, outputs)


class CoreMlTrunk:
    """See ``converters.trunks.base.CoreMlTrunk``."""

    def __init__(self, source: OnnxSource, folder: Path) -> None:
        self._source, self._folder = source, folder
        self._trace: OnnxTrace | None = None

    def build(self, precision: str, system: str = "iOS17") -> Any:
        """See ``CoreMlTrunk.build``."""
        if self._trace is None:
            source = self._source
            self._trace = OnnxTrace(source.model, source.signature, source.name, self._folder)
        return self._trace.build(precision, system)

    def tools(self) -> Mapping[str, str]:
        """See ``Trunk.tools``."""
        return {name: tool_version(name) for name in TOOLS}


def _check(tree: Any, at: int, tensor: TensorSpec, wanted: tuple[int, ...], what: str) -> None:
    """Raises ConversionError where another shape or type was made than asked for."""
    shape, dtype = tflite_graph.shape(tree, at), tflite_graph.dtype(tree, at)
    if shape != (wanted or (shape and (1,))):
        raise ConversionError(
            f"{what} {tensor.name!r} of {_text(shape)} instead of {_text(wanted)}.", OTHER_TARGET
        )
    if dtype != tensor.dtype:
        raise ConversionError(
            f"{what} {tensor.name!r} {dtype} instead of {tensor.dtype}.",
            f"Export the model with inputs and outputs in float32. {OTHER_TARGET}",
        )


def _lengths(tensor: TensorSpec, what: str) -> tuple[int, ...]:
    lengths = tuple(dim for dim in tensor.shape if isinstance(dim, int))
    if len(lengths) < len(tensor.shape):
        raise ConversionError(
            f"{what} failed: how long {tensor} is depends on what the model is fed.",
            "Export the model without that last step (non-maximum suppression, say).",
        )
    return lengths


def _count(lengths: tuple[int, ...]) -> int:
    count = 1
    for length in lengths:
        count *= length
    return count


def _text(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape)) or "a single number"

"""Trunks of PyTorch models: litert-torch, PyTorch's own ONNX exporter, coremltools.

All three start from the flat function of tensors (``TorchSource.flat``), whose inputs and outputs
they number; the source's names are given afterwards. The layout stays the source's: a picture that
PyTorch takes as 1 x 3 x 224 x 224 is taken so by every variant.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from converters.engines import at_work, engine, tool_version
from converters.sources.torch import TorchSource
from converters.targets.base import check_distinct
from converters.trunks.core_ml import named
from converters.trunks.names import renamed
from edge_sdk.errors import ConversionError

OPSET = 18
"""As of every ONNX file we make (see ``converters.trunks.tensorflow``)."""


class TfliteTrunk:
    """See ``FileTrunk``."""

    def __init__(self, source: TorchSource, folder: Path) -> None:
        self._source, self._folder = source, folder

    def build(self) -> bytes:
        """See ``FileTrunk.build``."""
        litert_torch, torch = engine("litert_torch"), engine("torch")
        source, path = self._source, self._folder / "torch.tflite"
        flat = source.flat
        _ = source.exported  # litert-torch exports for itself, but explains less when it cannot
        with (
            at_work(
                f"Converting {source.name} to TFLite",
                "Another target may have the operation: --formats onnx",
                gist=_blame(source),
            ),
            torch.no_grad(),
        ):
            litert_torch.convert(flat, source.example).export(str(path))
            signature = source.signature
            names = {f"args_{at}": t.name for at, t in enumerate(signature.inputs)}
            names |= {f"output_{at}": t.name for at, t in enumerate(signature.outputs)}
            return renamed(path.read_bytes(), names)

    def tools(self) -> Mapping[str, str]:
        """See ``Trunk.tools``."""
        return {name: tool_version(name) for name in ("litert-torch", "litert-converter")}


class OnnxTrunk:
    """See ``FileTrunk``."""

    def __init__(self, source: TorchSource, folder: Path) -> None:
        self._source = source

    def build(self) -> bytes:
        """See ``FileTrunk.build``."""
        onnx, torch = engine("onnx"), engine("torch")
        engine("onnxscript")
        source, signature = self._source, self._source.signature
        check_distinct(signature, "ONNX")
        program = source.exported
        with (
            at_work(
                f"Converting {source.name} to ONNX",
                "Another target may have the operation: --formats tflite",
                gist=_blame(source),
            ),
            torch.no_grad(),
        ):
            made = torch.onnx.export(
                program,
                dynamo=True,
                opset_version=OPSET,
                input_names=[t.name for t in signature.inputs],
                output_names=[t.name for t in signature.outputs],
                verbose=False,
            )
            proto = made.model_proto
            _strip(proto)
            proto.graph.name = source.name
            onnx.checker.check_model(proto, full_check=True)
            return bytes(proto.SerializeToString(deterministic=True))

    def tools(self) -> Mapping[str, str]:
        """See ``Trunk.tools``."""
        return {name: tool_version(name) for name in ("torch", "onnxscript", "onnx")}


class CoreMlTrunk:
    """See ``converters.trunks.base.CoreMlTrunk``."""

    def __init__(self, source: TorchSource, folder: Path) -> None:
        self._source = source

    def build(self, precision: str, system: str = "iOS17") -> Any:
        """See ``CoreMlTrunk.build``.

        coremltools reads exported programs, but not every operation in them (no LSTM); what it
        does not is traced by PyTorch's older tracer, which it has read for longer.
        """
        try:
            model = self._converted(precision, system, self._decomposed)
        except ConversionError as first:
            try:
                model = self._converted(precision, system, self._traced)
            except ConversionError:
                raise first from None
        with at_work(f"Naming {self._source.name} in Core ML"):
            return named(model, self._source.signature)

    def tools(self) -> Mapping[str, str]:
        """See ``Trunk.tools``."""
        return {name: tool_version(name) for name in ("torch", "coremltools")}

    def _decomposed(self) -> Any:
        return self._source.exported.run_decompositions({})

    def _traced(self) -> Any:
        torch, source = engine("torch"), self._source
        return torch.jit.trace(source.flat, source.example, check_trace=False)

    def _converted(self, precision: str, system: str, graph: Callable[[], Any]) -> Any:
        ct, torch, source = engine("coremltools"), engine("torch"), self._source
        with (
            at_work(
                f"Converting {source.name} to Core ML",
                "Another target may have the operation: --formats tflite",
                gist=_blame(source),
            ),
            torch.no_grad(),
        ):
            program = graph()
            traced = isinstance(program, torch.jit.ScriptModule)
            inputs = [
                ct.TensorType(f"edgeloop_input_{at}", tuple(t.shape), _taken(t.dtype))
                for at, t in enumerate(source.signature.inputs)
            ]
            return ct.convert(
                program,
                source="pytorch",
                convert_to="mlprogram",
                minimum_deployment_target=getattr(ct.target, system),
                compute_precision=getattr(
                    ct.precision, "FLOAT32" if precision == "fp32" else "FLOAT16"
                ),
                inputs=inputs if traced else None,
                outputs=[
                    ct.TensorType(f"edgeloop_output_{at}", dtype=_taken(t.dtype))
                    for at, t in enumerate(source.signature.outputs)
                ],
                skip_model_load=True,
            )


def _taken(dtype: str) -> Any:
    """Core ML's type for a tensor: its inputs and outputs are float32 or int32."""
    return np.float32 if np.dtype(dtype).kind == "f" else np.int32


def _strip(proto: Any) -> None:
    """Take out where the author's code lay on the author's disk, and all that was for debugging."""
    del proto.metadata_props[:]
    graphs = [proto.graph]
    while graphs:
        graph = graphs.pop()
        graph.doc_string = ""
        del graph.metadata_props[:]
        for part in (*graph.node, *graph.value_info, *graph.input, *graph.output):
            del part.metadata_props[:]
            part.doc_string = ""
        for tensor in graph.initializer:
            del tensor.metadata_props[:]
        graphs += [a.g for node in graph.node for a in node.attribute if a.HasField("g")]
    for function in proto.functions:
        function.doc_string = ""
        del function.metadata_props[:]
        for node in function.node:
            del node.metadata_props[:]
            node.doc_string = ""


def _blame(source: TorchSource) -> Callable[[str], str]:
    """Finds the operation that an engine names in its complaint, and the layer that it is in."""

    def gist(said: str) -> str:
        for operation in re.findall(r"aten\.(\w+)|Unsupported fx node (\w+)|op '(\w+)'", said):
            name = next(filter(None, operation))
            if place := _place(source, name):
                return f"no converter for the operation {name} ({place})"
        return ""

    return gist


def _place(source: TorchSource, operation: str) -> str:
    """``layer features.3, net.py line 12``, where an operation is first used; else nothing.

    Engines name what is left after they took larger operations apart, so that is looked at too.
    """
    for program in (source.exported, source.exported.run_decompositions()):
        for node in program.graph.nodes:
            if operation in (getattr(node.target, "_opname", ""), node.name):
                return layer_and_line(node.meta)
    return ""


def layer_and_line(meta: Mapping[str, Any]) -> str:
    """Of a node of an exported graph, less what is PyTorch's and ours."""
    layers = [path for path, _ in (meta.get("nn_module_stack") or {}).values()]
    layer = re.sub(r"^(L\['self'\]\.)?body\b\.?", "", layers[-1]) if layers else ""
    lines = re.findall(r'File "([^"]+)", line (\d+), in', meta.get("stack_trace") or "")
    own = [(file, line) for file, line in lines if not re.search(r"/(torch|converters)/", file)]
    at = [f"layer {layer}"] if layer else []
    at += [f"{Path(file).name} line {line}" for file, line in own[-1:]]
    return ", ".join(at) or "in forward"

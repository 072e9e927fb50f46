"""ONNX: the same graph with every tensor as an output."""

from __future__ import annotations

from collections.abc import Iterator

from converters.engines import at_work, engine
from converters.probes.base import Layer
from converters.sources.base import Arrays
from edge_sdk.backends import Array
from edge_sdk.spec import Signature

_AFTER = "_DequantizeLinear_Output"
"""onnxruntime's quantizer calls so what a tensor is after it was rounded."""


class OnnxProbe:
    """See ``Probe``."""

    channel_axis = 1

    def __init__(self, model: bytes, signature: Signature) -> None:
        """Load the model."""
        onnx, ort = engine("onnx"), engine("onnxruntime")
        proto = onnx.load_from_string(model)
        nodes = [n for n in proto.graph.node if n.op_type not in ("Constant", "Identity")]
        self._constants = {i.name for i in proto.graph.initializer}
        made = {name for node in nodes for name in node.output if name}
        self.inputs = tuple(i.name for i in proto.graph.input if i.name not in self._constants)
        self.layers = tuple(
            Layer(
                name=node.output[0],
                op=node.op_type,
                reads=tuple(n for n in node.input if n in made or n in self.inputs),
                makes=tuple(n for n in node.output if n),
            )
            for node in nodes
        )
        outputs = {o.name for o in proto.graph.output}
        proto.graph.output.extend(onnx.ValueInfoProto(name=name) for name in sorted(made - outputs))
        with at_work("Looking into the ONNX build"):
            options = ort.SessionOptions()
            options.intra_op_num_threads = 1
            options.log_severity_level = 4
            self._session = ort.InferenceSession(
                proto.SerializeToString(), options, providers=["CPUExecutionProvider"]
            )
        self._names = [o.name for o in self._session.get_outputs()]

    def tensors(self, inputs: Arrays) -> Iterator[tuple[str, Array]]:
        """See ``Probe.tensors``."""
        fed = {name: inputs[name] for name in self.inputs}
        with at_work("Running the ONNX build"):
            answers = self._session.run(self._names, fed)
        found = {**fed, **dict(zip(self._names, answers, strict=True))}
        for name, value in found.items():
            if getattr(value, "dtype", None) is None or value.dtype.kind != "f":
                continue
            if not name.endswith(_AFTER):
                yield name, found.get(name + _AFTER, value)

"""The last steps to Core ML that trunks share: a traced PyTorch program, the source's names.

ONNX models take a way of two steps, since coremltools reads none: each operation is said in
PyTorch's words (``converters.onnx_torch``), that is traced, and the trace is what coremltools
converts. What comes out is held against ONNX Runtime like any other variant.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from converters import onnx_graph
from converters.engines import at_work, engine
from converters.onnx_torch import engine_dtype, network
from converters.trunks.names import rename_features
from edge_sdk.backends.base import numpy_dtype
from edge_sdk.backends.coreml_terms import terms_of
from edge_sdk.errors import ConversionError
from edge_sdk.spec import Signature, TensorSpec

REMEDY = "Another target may do: --formats onnx,tflite"
TOOLS = ("torch", "coremltools", "onnx", "onnxruntime")


class OnnxTrace:
    """An ONNX model traced as PyTorch, to be converted in one precision after another."""

    def __init__(self, model: bytes, signature: Signature, name: str, folder: Path) -> None:
        """Take a model of fixed shapes, with the signature's inputs and outputs in its order."""
        self._model, self._signature, self._name = model, signature, name
        self._folder = folder
        self._traced: Any = None
        self._failure: ConversionError | None = None

    def build(self, precision: str, system: str = "iOS17") -> Any:
        """See ``CoreMlTrunk.build``. What failed once is not tried again for the next recipe."""
        if self._failure is not None:
            raise self._failure
        try:
            self._traced = self._traced or self._trace()
            with at_work(f"Converting {self._name} to Core ML", REMEDY):
                model = _converted(self._traced, self._signature, precision, system)
                return named(model, self._signature)
        except ConversionError as error:
            self._failure = error
            raise

    def _trace(self) -> Any:
        torch = engine("torch")
        what = f"Converting {self._name} to Core ML"
        for tensor in self._signature.outputs:
            if not all(isinstance(dim, int) for dim in tensor.shape):
                raise ConversionError(
                    f"{what} failed: how long {tensor} is depends on what the model is fed.",
                    "Export the model without that last step (non-maximum suppression, say).",
                )
        with at_work(what, REMEDY):
            proto = prepared(self._model, self._folder)
        if left := onnx_graph.control_flow(proto):
            raise ConversionError(
                f"{what} failed: it holds {', '.join(left)}, which decides only as it runs what is "
                "computed.",
                f"Export the one branch that is needed, or fix an input it depends on. {REMEDY}",
            )
        inputs = self._signature.inputs
        try:
            with at_work(what, REMEDY), torch.no_grad():
                body = _with_axes(torch, network(proto), self._signature).eval()
                # Whole numbers of 1: a zero may be divided by.
                example = tuple(torch.ones(_shape(t), dtype=_kind(torch, t)) for t in inputs)
                return torch.jit.trace(body, example, check_trace=False)
        except ConversionError as error:
            if error.hint:
                raise
            raise ConversionError(f"{what} failed: {error.message}.", REMEDY) from error


def prepared(model: bytes, folder: Path) -> Any:
    """The model as it is traced: all that is the same for every input is folded.

    What then has no counterpart, ``converters.onnx_torch.unmapped`` says of it.
    """
    proto = onnx_graph.folded(model, folder)
    if any(node.op_type == "Shape" for node in proto.graph.node):
        # What ONNX Runtime has inlined, it has not folded yet: shapes first.
        proto = engine("onnx").shape_inference.infer_shapes(proto, data_prop=True)
        proto = onnx_graph.folded(onnx_graph.serialized(proto), folder)
    return proto


def named(model: Any, signature: Signature) -> Any:
    """The Core ML model with the source's names, or the nearest that Core ML can have.

    Raises:
        ConversionError: it has fewer inputs or outputs than the source.
    """
    ct = engine("coremltools")
    spec = model.get_spec()
    made = [f.name for f in spec.description.input]
    # coremltools sorts outputs by name, the tenth before the second.
    made += sorted((f.name for f in spec.description.output), key=_number)
    wanted = list(terms_of((*signature.inputs, *signature.outputs)))
    if len(made) != len(wanted):
        raise ConversionError(
            f"coremltools made {len(made)} tensors of the source's {len(wanted)} inputs and "
            "outputs: some of them are one and the same.",
            "Leave out of the model the outputs that are another's twin, or an input's.",
        )
    rename_features(ct, spec, made, wanted)
    return ct.models.MLModel(spec, weights_dir=model.weights_dir, skip_model_load=True)


def _number(name: str) -> int:
    """The number at a name's end, that it was asked for by."""
    return int(name.rpartition("_")[2])


def _converted(traced: Any, signature: Signature, precision: str, system: str) -> Any:
    ct = engine("coremltools")
    return ct.convert(
        traced,
        source="pytorch",
        convert_to="mlprogram",
        minimum_deployment_target=getattr(ct.target, system),
        compute_precision=getattr(ct.precision, "FLOAT32" if precision == "fp32" else "FLOAT16"),
        inputs=[
            ct.TensorType(f"edgeloop_input_{at}", _shape(t), np.dtype(_dtype(t)).type)
            for at, t in enumerate(signature.inputs)
        ],
        outputs=[
            ct.TensorType(f"edgeloop_output_{at}", dtype=np.dtype(_dtype(t)).type)
            for at, t in enumerate(signature.outputs)
        ],
        skip_model_load=True,
    )


def _with_axes(torch: Any, body: Any, signature: Signature) -> Any:
    """The module between tensors that all have axes: Core ML has no others."""
    scalars = [not tensor.shape for tensor in signature.inputs]

    class WithAxes(torch.nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.body = body

        def forward(self, *inputs: Any) -> tuple[Any, ...]:
            given = [
                x.reshape(()) if scalar else x for x, scalar in zip(inputs, scalars, strict=True)
            ]
            return tuple(
                y if tensor.shape else y.reshape(1)
                for y, tensor in zip(self.body(*given), signature.outputs, strict=True)
            )

    return WithAxes()


def _shape(tensor: TensorSpec) -> tuple[int, ...]:
    return tuple(dim for dim in tensor.shape if isinstance(dim, int)) or (1,)


def _dtype(tensor: TensorSpec) -> str:
    return engine_dtype(numpy_dtype(tensor.dtype).kind)


def _kind(torch: Any, tensor: TensorSpec) -> Any:
    return getattr(torch, _dtype(tensor))

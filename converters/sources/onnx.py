"""ONNX models that are to be converted: shapes fixed, run by ONNX Runtime."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from converters.engines import tool_version
from converters.onnx_graph import (
    CONTROL_FLOW,
    fixed,
    open_inputs,
    read_onnx,
    serialized,
    set_shape,
    shape_of,
)
from converters.sources.base import Arrays, one_by_one
from converters.sources.onnx_shapes import fixed_lengths
from converters.sources.shapes import fixed_shape
from edge_sdk.backends import Array, LoadedModel, backend_for
from edge_sdk.backends.base import numpy_dtype
from edge_sdk.errors import ConversionError, UsageError
from edge_sdk.files import sha256_file
from edge_sdk.processing import Processing
from edge_sdk.runtime import Session
from edge_sdk.runtime.choosing import default_threads
from edge_sdk.spec import Signature, TensorSpec


class OnnxSource:
    """An ONNX model as one function of named tensors, every shape fixed.

    Attributes:
        model: the model with its shapes fixed, as the original is run.
    """

    kind = family = "onnx"

    def __init__(self, path: Path, shapes: Mapping[str, tuple[int, ...]] | None = None) -> None:
        """Open ``path``.

        Raises:
            UsageError: it is not a model, damaged, too old, or ``shapes`` leave an axis open.
            UnavailableError: ONNX Runtime has not all of its operations.
        """
        self.name, self.size = path.name, path.stat().st_size
        proto = read_onnx(path)
        self.sha256 = sha256_file(path)
        onnxruntime = backend_for("onnx")
        # As it is, first: what the engine says of a model it does not run is said of its own graph.
        found = onnxruntime.open(serialized(proto), delegates=(), threads=1).signature
        axes = {value.name: shape_of(value) for value in open_inputs(proto)}
        lengths = fixed_lengths(found.inputs, axes, shapes or {})
        proto = fixed(proto, lengths)
        try:
            loaded = onnxruntime.open(serialized(proto), delegates=(), threads=default_threads())
        except UsageError as error:
            raise _of_other_shapes(self.name, lengths, error) from error
        self._tools = {"onnxruntime": onnxruntime.version(), "onnx": tool_version("onnx")}
        inputs = tuple(
            TensorSpec(name=t.name, dtype=t.dtype, shape=lengths[t.name])
            for t in loaded.signature.inputs
        )
        outputs = self._outputs(loaded.signature, _answered(loaded, inputs))
        self.signature = Signature(inputs=inputs, outputs=outputs)
        for value, tensor in zip(proto.graph.output, outputs, strict=True):
            set_shape(value, tensor.shape)
        self.model = serialized(proto)
        self._session = Session(
            loaded,
            self.signature,
            self.signature,
            variant=self.name,
            processing=Processing(signature=self.signature, engine_signature=self.signature),
        )

    def run(self, inputs: Arrays) -> dict[str, Array]:
        """See ``Source.run``: one by one, since the batch is fixed."""
        return one_by_one(self.run_one, inputs, self.signature)

    def run_one(self, inputs: Arrays) -> dict[str, Array]:
        """See ``Source.run_one``."""
        try:
            return self._session.run(inputs)
        except UsageError as error:
            raise ConversionError(
                f"Running {self.name} failed: {error.message}", error.hint
            ) from error

    def tools(self) -> dict[str, str]:
        """See ``Source.tools``."""
        return self._tools

    def _outputs(self, found: Signature, answers: list[Array] | None) -> tuple[TensorSpec, ...]:
        """The outputs, with lengths: as the engine works them out, else as it answered once."""
        outputs = []
        for at, tensor in enumerate(found.outputs):
            shape = tensor.shape
            if answers is not None and not all(isinstance(dim, int) and dim > 0 for dim in shape):
                shape = answers[at].shape
            if 0 in shape:
                raise UsageError(
                    f"The output {tensor.name!r} of {self.name} holds no numbers: one of its axes "
                    "has the length 0.",
                    "Look at the shapes of its weights and inputs, and export it again.",
                )
            outputs.append(TensorSpec(name=tensor.name, dtype=tensor.dtype, shape=shape))
        return tuple(outputs)


def _of_other_shapes(
    name: str, lengths: Mapping[str, tuple[int, ...]], error: UsageError
) -> UsageError:
    """Why a model that ONNX Runtime reads is none once its shapes are fixed."""
    given = ", ".join(f"{key} {'x'.join(map(str, x)) or 'scalar'}" for key, x in lengths.items())
    nodes = re.findall(r"Node \(([^)]*)\) Op \((\w+)\)", error.message)
    said = error.message.rpartition("]")[2].strip() or error.message
    at = " in ".join(f"{kind} {node}" for node, kind in reversed(nodes))
    what = f"{name} cannot be of the shapes {given}: {at + ': ' if at else ''}{said}"
    if any(kind in CONTROL_FLOW for _, kind in nodes):
        return UsageError(
            f"{what}. Of the branches that it chooses from as it runs, one is made for other "
            "shapes.",
            "Export the model with the one branch that is needed (of a net for two sampling rates, "
            "the one for the rate you use).",
        )
    return UsageError(f"{what}.", "Give it others: --input NAME:SHAPE")


def _answered(loaded: LoadedModel, inputs: tuple[TensorSpec, ...]) -> list[Array] | None:
    """Its answers to one input of noise and zeros, for their shapes; None if it has none."""
    rng = np.random.default_rng(0)
    feeds = []
    for tensor in inputs:
        shape, dtype = fixed_shape(tensor), numpy_dtype(tensor.dtype)
        numbers = rng.random(shape) if dtype.kind == "f" else np.zeros(shape)
        feeds.append(np.asarray(numbers).astype(dtype))
    try:
        return loaded.run(feeds)
    except UsageError:
        return None

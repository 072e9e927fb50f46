"""Float .tflite files that are to be quantized, or written anew."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from converters import tflite_graph
from converters.engines import at_work
from converters.sources.base import Arrays, one_by_one
from converters.sources.engine_file import EngineFileSource
from converters.sources.shapes import BATCH, fixed_shape
from converters.tflite.plain import unfold_sparse
from edge_sdk.backends import Array
from edge_sdk.backends.base import numpy_dtype
from edge_sdk.errors import UsageError
from edge_sdk.spec import Dim, Signature, TensorSpec


class TfliteSource:
    """A .tflite as LiteRT runs it.

    Attributes:
        model: the same with weights in single precision and a signature, for a quantizer to read.
    """

    kind = family = "tflite"

    def __init__(self, path: Path, shapes: Mapping[str, tuple[int, ...]] | None = None) -> None:
        """Open ``path``.

        Raises:
            UsageError: it is not a model, damaged, of integers already, or open in a shape.
            UnavailableError: LiteRT has not all of its operations.
        """
        self._file = EngineFileSource(path, "tflite", shapes)
        self.name, self.sha256, self.size = path.name, self._file.sha256, self._file.size
        inputs = tuple(_fixed(tensor) for tensor in self._file.signature.inputs)
        if quantized := [t for t in inputs if t.quantization is not None]:
            raise UsageError(
                f"{self.name} is quantized already: its input {quantized[0].name!r} is "
                f"{quantized[0].dtype}.",
                "Convert the float model it was made from; or wrap it as it is, without --formats "
                "and --recipe.",
            )
        self.signature = Signature(inputs=inputs, outputs=self._outputs(inputs))
        with at_work(f"Reading {self.name}"):
            tree = tflite_graph.read_tflite(path.read_bytes())
            tflite_graph.fix_inputs(tree, {t.name: fixed_shape(t) for t in inputs})
            tflite_graph.settle_codes(tree)
            unfold_sparse(tree)
            tflite_graph.unfold_halves(tree)
            tflite_graph.sign(tree, *tflite_graph.sides(tree))
            self.model = tflite_graph.written(tree)

    def run(self, inputs: Arrays) -> dict[str, Array]:
        """See ``Source.run``."""
        return one_by_one(self.run_one, inputs, self.signature)

    def run_one(self, inputs: Arrays) -> dict[str, Array]:
        """See ``Source.run_one``."""
        return self._file.run_one(inputs)

    def tools(self) -> dict[str, str]:
        """See ``Source.tools``."""
        return self._file.tools()

    def _outputs(self, inputs: tuple[TensorSpec, ...]) -> tuple[TensorSpec, ...]:
        """The outputs; where the file leaves a length open, as it answers zeros."""
        outputs = self._file.signature.outputs
        if all(isinstance(dim, int) for tensor in outputs for dim in tensor.shape):
            return outputs
        zeros = {t.name: np.zeros(fixed_shape(t), numpy_dtype(t.dtype)) for t in inputs}
        with at_work(f"Running {self.name}"):
            answers = self.run_one(zeros)
        return tuple(
            TensorSpec(name=t.name, dtype=t.dtype, shape=answers[t.name].shape) for t in outputs
        )


def _fixed(tensor: TensorSpec) -> TensorSpec:
    """The input with a length for every axis: 1 for the first, if it has none."""
    first: tuple[Dim, ...] = tensor.shape[:1]
    shape = (BATCH, *tensor.shape[1:]) if first and isinstance(first[0], str) else tensor.shape
    opened = TensorSpec(name=tensor.name, dtype=tensor.dtype, shape=shape)
    return TensorSpec(
        name=tensor.name,
        dtype=tensor.dtype,
        shape=fixed_shape(opened),
        quantization=tensor.quantization,
    )

"""Float .tflite files that are to be quantized, or written anew."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from converters import tflite_graph
from converters.engines import at_work
from converters.sources.base import Arrays
from converters.sources.engine_file import EngineFileSource
from converters.sources.shapes import fixed_shape
from edge_sdk.backends import Array
from edge_sdk.errors import UsageError


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
        self.signature = self._file.signature
        for tensor in self.signature.inputs:
            fixed_shape(tensor)
        if quantized := [t for t in self.signature.inputs if t.quantization is not None]:
            raise UsageError(
                f"{self.name} is quantized already: its input {quantized[0].name!r} is "
                f"{quantized[0].dtype}.",
                "Convert the float model it was made from; or wrap it as it is, without --formats "
                "and --recipe.",
            )
        with at_work(f"Reading {self.name}"):
            tree = tflite_graph.read_tflite(path.read_bytes())
            _fix(tree, {t.name: fixed_shape(t) for t in self.signature.inputs})
            tflite_graph.unfold_halves(tree)
            tflite_graph.sign(tree, *tflite_graph.sides(tree))
            self.model = tflite_graph.written(tree)

    def run(self, inputs: Arrays) -> dict[str, Array]:
        """See ``Source.run``."""
        return self._file.run(inputs)

    def run_one(self, inputs: Arrays) -> dict[str, Array]:
        """See ``Source.run_one``."""
        return self._file.run_one(inputs)

    def tools(self) -> dict[str, str]:
        """See ``Source.tools``."""
        return self._file.tools()


def _fix(tree: object, shapes: Mapping[str, tuple[int, ...]]) -> None:
    """Write the lengths that were given for open axes into the inputs."""
    inputs, _ = tflite_graph.sides(tree)
    for name, at in inputs.items():
        tflite_graph.fix(tree, at, shapes[name])

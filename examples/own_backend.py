"""An engine of your own behind edgeloop's seam: ONNX's reference evaluator, slow and exact.

.venv/bin/python -m examples.own_backend model.onnx input.npy
"""

from pathlib import Path
from typing import Any

import onnx
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
from onnx.reference import ReferenceEvaluator

import edge_sdk
from edge_sdk.backends import LoadedModel, register
from edge_sdk.errors import UsageError
from edge_sdk.pipeline import read_arrays
from edge_sdk.spec import Attempt, Placement, Signature, TensorSpec
from examples.shell import from_shell


class Loaded(LoadedModel):
    """What a loaded model must be able to do."""

    def __init__(self, proto: Any) -> None:
        self._engine, self._nodes = ReferenceEvaluator(proto), len(proto.graph.node)
        self.signature = Signature(
            inputs=tuple(map(tensor, proto.graph.input)),
            outputs=tuple(map(tensor, proto.graph.output)),
        )

    def run(self, inputs: Any) -> list[Any]:
        """Arrays in the signature's order, and back."""
        named = dict(zip(self._engine.input_names, inputs, strict=True))
        return list(self._engine.run(None, named))

    def placement(self) -> Placement:
        """All of it on the processor."""
        took = Attempt(delegate="cpu", active=True, operations=self._nodes)
        return Placement(
            backend="reference",
            backend_version=onnx.__version__,
            requested=(),
            attempts=(took,),
            operations=self._nodes,
            threads=1,
        )

    def close(self) -> None:
        """There is nothing to give back."""


class Reference:
    """What a backend must be able to do."""

    name, extra, formats = "reference", "convert", ("onnx",)

    def version(self) -> str:
        """Of the engine; raises UnavailableError where it is not installed."""
        return str(onnx.__version__)

    def delegates(self) -> tuple[str, ...]:
        """There are no others."""
        return ("cpu",)

    def holds_lock(self, delegates: Any) -> bool:
        """It is written in Python, so no other thread runs meanwhile."""
        return True

    def open(self, model: Path | bytes, **_: Any) -> LoadedModel:
        """A file or its content."""
        try:
            proto = onnx.load(model) if isinstance(model, Path) else onnx.load_from_string(model)
        except DecodeError as error:  # whoever owns a seam says things in its own words
            raise UsageError("This is not an ONNX model, or it was cut short.") from error
        return Loaded(proto)


def tensor(value: Any) -> TensorSpec:
    """Name, type and shape of an input or output."""
    kind = value.type.tensor_type
    shape = tuple(each.dim_value or each.dim_param or "n" for each in kind.shape.dim)
    dtype = onnx.helper.tensor_dtype_to_np_dtype(kind.elem_type).name
    return TensorSpec(name=value.name, dtype=dtype, shape=shape)


BACKEND = Reference()


def main(model: str, inputs: str) -> None:
    """Run it, beside an engine that is there already."""
    register("reference", "examples.own_backend")
    for engine in ("reference", "onnxruntime"):
        with edge_sdk.load(model, backend=engine) as session:
            for arrays in read_arrays(Path(inputs), session.engine_signature):
                print(f"{session.placement}: {session.run(arrays)}")


if __name__ == "__main__":
    from_shell(main)

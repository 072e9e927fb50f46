"""Tensors and signatures: what goes into a model and what comes out, without the numbers."""

from typing import Literal

from edge_sdk.spec.word import Word

DType = Literal[
    "float16", "float32", "float64",
    "int4", "int8", "int16", "int32", "int64",
    "uint8", "uint16", "uint32", "uint64",
    "bool", "string", "complex64",
]  # fmt: skip

Dim = int | str
"""One axis: a length, or the name of a length only known when data arrives (``"batch"``)."""


class Quantization(Word, frozen=True, kw_only=True):
    """Per-tensor affine quantization: ``real = scale * (stored - zero_point)``."""

    scale: float
    zero_point: int


class TensorSpec(Word, frozen=True, kw_only=True):
    """One named input or output.

    Attributes:
        name: as the engine's signature says it.
        dtype: the element type the engine is fed with or answers in.
        shape: one ``Dim`` per axis, outermost first.
        quantization: set where ``dtype`` holds quantized integers.
    """

    name: str
    dtype: DType
    shape: tuple[Dim, ...]
    quantization: Quantization | None = None

    def __str__(self) -> str:
        shape = "x".join(str(dim) for dim in self.shape) or "scalar"
        return f"{self.name}: {self.dtype} {shape}"

    def accepts(self, shape: tuple[int, ...]) -> bool:
        """Whether an array of ``shape`` fits: equal lengths wherever this spec fixes one."""
        return len(shape) == len(self.shape) and all(
            isinstance(want, str) or want == got
            for want, got in zip(self.shape, shape, strict=True)
        )


class Signature(Word, frozen=True, kw_only=True):
    """The typed inputs and outputs of one entry point of a model, in the engine's order."""

    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    name: str = "serving_default"

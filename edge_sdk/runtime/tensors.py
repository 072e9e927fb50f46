"""Between the numbers a person means and the numbers an engine is fed.

A fully quantized build takes and gives integers; the artifact's signature speaks of real numbers.
``Feed`` checks and quantizes one input, ``reading`` turns one output back. Both are decided once,
when the model is loaded; what is left for each call is one comparison and, where needed, one pass
over the array.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from edge_sdk.backends.base import Array, numpy_dtype
from edge_sdk.errors import UsageError
from edge_sdk.processing import dequantize, quantize
from edge_sdk.spec import Signature, TensorSpec
from edge_sdk.spec.tensor import Dim

Reading = Callable[[Array], Array]


class Feed:
    """One input: what the caller may pass, and how it becomes what the engine takes.

    An array of the engine's own dtype and layout passes untouched and uncopied. Where the engine is
    quantized, an array of the declared real dtype is quantized: ``round(x / scale) + zero_point``,
    halves to even, clipped to the integer's range. Where its numbers are of the declared kind but
    narrower (PyTorch counts in int64, LiteRT in int32), they are cast, if they fit.

    Attributes:
        name: the input's.
        dtype, shape: a C-contiguous array of these needs no conversion; ``shape`` is None where the
            engine leaves a length open, or every number has to be looked at.
    """

    __slots__ = ("_accepts", "_declared", "_engine", "_finite", "dtype", "name", "shape")

    def __init__(self, declared: TensorSpec, engine: TensorSpec, *, finite: bool = False) -> None:
        """Decide how one input is fed.

        Args:
            declared, engine: the input as the signature has it, and as the engine takes it.
            finite: refuse a NaN or an infinity.
        """
        self._finite = finite and numpy_dtype(declared.dtype).kind in "fc"
        self.name = declared.name
        self._declared = declared
        self._engine = engine
        self.dtype = numpy_dtype(engine.dtype)
        fixed = all(isinstance(dim, int) for dim in engine.shape)
        self.shape = engine.shape if fixed and not self._finite else None
        self._accepts = (numpy_dtype(declared.dtype), self.dtype)

    def convert(self, value: Any) -> Array:
        """The array to feed.

        Raises:
            UsageError: not an array, of a wrong dtype or shape, or with numbers that cannot be fed;
                says what is wanted.
        """
        if isinstance(value, np.generic) and self._engine.accepts(()):
            value = np.asarray(value)  # a row of numbers, indexed, is no array of no axes
        if not isinstance(value, np.ndarray):
            raise UsageError(
                f"The input {self.name!r} is a {type(value).__name__}, not an array.",
                f"numpy.asarray(…, {self._wanted})",
            )
        if isinstance(value, np.ma.MaskedArray):
            raise UsageError(
                f"The input {self.name!r} is a masked array; an engine would see what is masked.",
                "x.filled(…) says what stands in for it.",
            )
        if not self._engine.accepts(value.shape):
            wanted = "x".join(map(str, self._engine.shape)) or "scalar"
            given = "x".join(map(str, value.shape)) or "scalar"
            raise UsageError(
                f"The input {self.name!r} has shape {given}; the model takes {wanted}.",
                self._reshaping(value.shape),
            )
        if self._finite and value.dtype.kind in "fc" and not np.isfinite(value).all():
            raise UsageError(
                f"The input {self.name!r} holds a NaN or an infinity, which this session refuses.",
                "Look at what made it; load without finite=True to pass such numbers on.",
            )
        if value.dtype == self.dtype:
            return np.ascontiguousarray(value).reshape(value.shape)
        if value.dtype == self._accepts[0] and self._is_recast:
            return self._recast(value)
        if value.dtype != self._accepts[0] or self._engine.quantization is None:
            names = " or ".join(dict.fromkeys(d.name for d in self._accepts))
            raise UsageError(
                f"The input {self.name!r} has dtype {value.dtype}; the model takes {names}"
                + (" (of str)." if self._declared.dtype == "string" else "."),
                f"x.astype({self._wanted})"
                + ("" if self._declared.dtype == "string" else ", scaled as the model was trained"),
            )
        if np.isnan(value).any():
            raise UsageError(
                f"The input {self.name!r} holds a NaN, for which {self.dtype.name} has no number.",
                "Look at what made it; a build with real numbers would pass it on.",
            )
        return quantize(value, self._engine.quantization, self.dtype)

    def _reshaping(self, shape: tuple[int, ...]) -> str:
        """What to do with an array that does not fit."""
        wanted = self._engine.shape
        if len(shape) == len(wanted) - 1 and _fits(wanted[1:], shape):
            return "Add the batch axis: x[None]"
        if wanted and len(shape) == len(wanted) and _fits(wanted[1:], shape[1:]):
            takes = "one row" if wanted[0] == 1 else f"{wanted[0]} rows"
            return f"It takes {takes} at once; run more with session.run_batch(…)."
        if len(shape) == len(wanted) + 1 and _fits(wanted, shape[1:]):
            return "Run many with session.run_batch(…)."
        return "Reshape or resize it before."

    @property
    def _wanted(self) -> str:
        """The dtype in the caller's language."""
        return "object" if self._declared.dtype == "string" else f"numpy.{self._declared.dtype}"

    @property
    def _is_recast(self) -> bool:
        """Whether the engine's numbers are of the declared kind, in another width."""
        kind = self.dtype.kind
        return self._engine.quantization is None and kind in "if" and kind == self._accepts[0].kind

    def _recast(self, value: Array) -> Array:
        with np.errstate(over="ignore"):  # looked for below
            cast = np.ascontiguousarray(value, self.dtype).reshape(value.shape)
        if self.dtype.kind == "i":
            held = np.array_equal(cast, value)
        else:
            held = not (np.isinf(cast) & np.isfinite(value)).any()
        if not held:
            raise UsageError(
                f"The input {self.name!r} holds numbers that {self.dtype.name} cannot hold.",
                f"The engine of this build takes {self.dtype.name}: keep within its range.",
            )
        return cast


def _fits(wanted: Sequence[Dim], shape: Sequence[int]) -> bool:
    return all(
        isinstance(dim, str) or dim == length for dim, length in zip(wanted, shape, strict=True)
    )


def zeros(signature: Signature) -> list[Array] | None:
    """Zeros for every input, in the engine's order; None where a length is open, or text wanted."""
    arrays = []
    for tensor in signature.inputs:
        lengths = [dim for dim in tensor.shape if isinstance(dim, int)]
        if len(lengths) < len(tensor.shape) or tensor.dtype == "string":
            return None
        arrays.append(np.zeros(lengths, numpy_dtype(tensor.dtype)))
    return arrays


def reading(declared: TensorSpec, engine: TensorSpec) -> Reading | None:
    """How one output is turned into what the signature declares; None if it already is that."""
    if declared.dtype == engine.dtype:
        return None
    if engine.quantization is not None:
        how = engine.quantization
        return lambda values: dequantize(values, how)
    dtype = numpy_dtype(declared.dtype)
    return lambda values: values.astype(dtype)

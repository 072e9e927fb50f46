"""What Keras models and SavedModels become: one function of named tensors, run by TensorFlow.

Whatever way it came, the model becomes one function of named tensors. Targets take it *frozen*:
variables folded into constants, shapes fixed. That matters: TensorFlow converts an unfrozen
function with exit code 0 and leaves the weights out.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any, get_args

import numpy as np

from converters.engines import at_work, engine, tool_version
from converters.sources.base import Arrays, one_by_one, same_together
from converters.sources.shapes import BATCH, fixed_shape
from edge_sdk.backends import Array
from edge_sdk.errors import ConversionError, UsageError
from edge_sdk.spec import Dim, DType, Signature, TensorSpec

UNREADABLE = (
    "Check that the file is whole, and was saved by a Keras or TensorFlow this one can read."
)

Function = Callable[[Mapping[str, Any]], Mapping[str, Any]]
"""Tensors by input name to tensors by output name."""


class TensorFlowSource:
    """A Keras model or a SavedModel as one function of named tensors."""

    family = "tensorflow"

    def __init__(
        self,
        *,
        name: str,
        kind: str,
        sha256: str,
        size: int,
        function: Function,
        owner: Any,
        inputs: tuple[TensorSpec, ...],
        written_out: Callable[[], AbstractContextManager[None]] = nullcontext,
    ) -> None:
        """Trace ``function``; ``owner`` keeps its variables alive.

        While ``written_out`` is open, tracing makes no loop where it need not.

        Raises:
            UsageError: an input or output is no array of numbers, or an input's shape is open.
            ConversionError: TensorFlow cannot trace it.
        """
        self.name, self.kind, self.sha256, self.size = name, kind, sha256, size
        self._owner = owner
        self._inputs = tuple(tensor.name for tensor in inputs)
        self._function, self._written_out = function, written_out
        for tensor in inputs:
            fixed_shape(tensor)
        with at_work(f"Tracing {name}"):
            self._reference = self._traced(inputs)
            found = dict(sorted(self._reference.structured_outputs.items()))
            outputs = tuple(
                TensorSpec(name=key, dtype=t.dtype.name, shape=_output_dims(t.shape, inputs))
                for key, t in found.items()
            )
        _check_numbers(inputs, "input")
        _check_numbers(outputs, "output")
        self.signature = Signature(inputs=inputs, outputs=outputs)
        self._together: bool | None = None

    def run(self, inputs: Arrays) -> dict[str, Array]:
        """See ``Source.run``: all at once if that is the same to this model, else one by one."""
        if self._together is None:
            count = len(next(iter(inputs.values())))
            if count > 1:
                self._together = self._alike({k: v[:2] for k, v in inputs.items()})
        if self._together:
            return self.run_one(inputs)
        return one_by_one(self.run_one, inputs, self.signature)

    def run_one(self, inputs: Arrays) -> dict[str, Array]:
        """See ``Source.run_one``."""
        tf = engine("tensorflow")
        with at_work(f"Running {self.name}"):
            outputs = self._reference(*(tf.constant(inputs[name]) for name in self._inputs))
            return {name: np.asarray(tensor) for name, tensor in outputs.items()}

    def _alike(self, inputs: Arrays) -> bool:
        """Whether samples run together give what they give alone, but for rounding.

        Not so where a model has no batch axis or mixes samples: a transpose, a softmax over axis 0.
        On a device it will see one sample at a time.
        """
        tensors = (*self.signature.inputs, *self.signature.outputs)
        if any(tensor.shape[:1] != (BATCH,) for tensor in tensors):
            return False
        return same_together(self.run_one, inputs, self.signature)

    def tools(self) -> dict[str, str]:
        """See ``Source.tools``."""
        return {"tensorflow": tool_version("tensorflow"), "keras": tool_version("keras")}

    def frozen(self) -> Any:
        """The function with batch 1 and every variable a constant: a TensorFlow ConcreteFunction.

        Its inputs and outputs come in the signature's order. Loops stay whole: only TensorFlow
        itself can read what they would be lowered to.

        Raises:
            ConversionError: it holds what cannot be made a constant.
        """
        convert = engine("tensorflow.python.framework.convert_to_constants")
        fixed = tuple(
            TensorSpec(name=t.name, dtype=t.dtype, shape=fixed_shape(t))
            for t in self.signature.inputs
        )
        with at_work(f"Freezing {self.name}"):
            frozen = convert.convert_variables_to_constants_v2(
                self._traced(fixed), lower_control_flow=False
            )
        if len(frozen.inputs) != len(fixed):
            raise ConversionError(
                f"{self.name} holds a lookup table, or another thing that is no constant.",
                "Export the model without it, and look things up in the application.",
            )
        return frozen

    def frozen_without_loops(self) -> Any:
        """The same, recurrent layers written out step by step where that can be done.

        For engines that read no loops. Weights are in it once; each step is operations of its own.
        """
        with self._written_out():
            return self.frozen()

    def _traced(self, inputs: tuple[TensorSpec, ...]) -> Any:
        """The function for inputs of those shapes, which it takes in that order."""
        tf = engine("tensorflow")
        specs = [
            tf.TensorSpec(
                [d if isinstance(d, int) else None for d in t.shape], t.dtype, name=t.name
            )
            for t in inputs
        ]

        def call(*tensors: Any) -> Mapping[str, Any]:
            return self._function(dict(zip(self._inputs, tensors, strict=True)))

        return tf.function(call, autograph=False).get_concrete_function(*specs)


def dims(shape: Any) -> tuple[Dim, ...]:
    """A TensorFlow or Keras shape; an unknown first axis is the batch."""
    return tuple(
        int(d) if d is not None else BATCH if axis == 0 else f"dim{axis}"
        for axis, d in enumerate(shape)
    )


def _check_numbers(tensors: tuple[TensorSpec, ...], kind: str) -> None:
    """Refuse what no target could take: nothing at all, text, handles."""
    if not tensors:
        raise UsageError(f"The model has no {kind}s.", f"Export it with at least one {kind}.")
    for tensor in tensors:
        if tensor.dtype not in get_args(DType) or tensor.dtype == "string":
            raise UsageError(
                f"The {kind} {tensor} holds no numbers.",
                "Export the part that works on numbers; the rest is for the application.",
            )


def _output_dims(shape: Any, inputs: tuple[TensorSpec, ...]) -> tuple[Dim, ...]:
    """An output's shape; its first unknown axis is the batch if an input has one."""
    if shape.rank is None:
        raise ConversionError(
            "An output's rank is not known.", "Give fixed shapes: --input NAME:SHAPE"
        )
    batched = any(t.shape[:1] == (BATCH,) for t in inputs)
    return tuple(
        int(d) if d is not None else BATCH if axis == 0 and batched else f"dim{axis}"
        for axis, d in enumerate(shape)
    )

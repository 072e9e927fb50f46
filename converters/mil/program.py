"""Core ML on Linux: an ML program evaluated in numpy.

Apple's runtime exists on Apple's systems alone; a conversion done elsewhere would have to be
believed. ``MilProgram`` computes what the package's program says, operation by operation, from its
documented semantics and with the weights as they are stored: quantized and palettized weights are
expanded, and half-precision weights keep the values that half precision left them.

**What it checks** is the graph and the weights. **What it does not check** is Apple's arithmetic:
all floating-point values between operations are float32 here, while a device may compute in half
precision, on the Neural Engine in orders of its own. Only inputs and outputs that the program
declares as half precision are rounded to it. Operations without an evaluator are named in
``unchecked``; they were read and type-checked, no more, and such a program is not run.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from converters.mil.execute import Execution, fold
from converters.mil.graph import Graph
from converters.mil.ops import EVALUATORS
from converters.mil.plan import batch_plan, site_of
from converters.mil.reader import graph_of, operation_counts, read_package
from edge_sdk.backends.base import Array, numpy_dtype
from edge_sdk.errors import ConversionError, UsageError
from edge_sdk.spec import Signature, TensorSpec

_CHUNK_ELEMENTS = 1_000_000
"""Samples run together while the largest value stays below this: about what a CPU's caches hold."""


class MilProgram:
    """One ML program, ready to be evaluated.

    Attributes:
        signature: inputs and outputs with the names, types and shapes of the program. A picture
            input is the tensor that the program gets, 1 x channels x height x width.
        operations: how many operations of each type the program has, constants left out.
        unchecked: the types among them that have no evaluator, or none for these parameters.
        batched: whether ``run_many`` runs samples together.
    """

    def __init__(self, program: Any) -> None:
        """Take coremltools' own program object; ``load`` is for packages.

        Raises:
            ConversionError: its inputs and outputs are not all tensors.
        """
        graph = graph_of(program)
        self.signature = Signature(
            inputs=_specs(graph, graph.inputs),
            outputs=_specs(graph, graph.outputs),
            name=program.default_function_name,
        )
        self.operations = operation_counts(program)
        self.unchecked = _unchecked(graph)
        self.batched = False
        if not self.unchecked:
            graph = fold(graph, EVALUATORS)
            plan = batch_plan(graph, EVALUATORS)
            self.batched = plan is not None
            self._one = Execution(graph, EVALUATORS)
            self._many = Execution(graph, EVALUATORS, plan)
            self._chunk = _chunk(graph)
            self._compared = False

    @classmethod
    def load(cls, package: Path) -> MilProgram:
        """Read an ``.mlpackage``.

        Raises:
            ConversionError: coremltools cannot read it as an ML program.
        """
        return cls(read_package(package))

    def run(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """Evaluate once.

        Args:
            inputs: by name, of the signature's shapes; types are cast where no kind is lost.

        Returns:
            The outputs by name, of the signature's types; they may share memory with the inputs.

        Raises:
            ConversionError: the program has unchecked operations (they are named), or one cannot be
                computed.
            UsageError: an input is missing, unknown, or of a wrong shape or kind.
        """
        self._refuse_unchecked()
        arrays = self._inputs(inputs)
        for spec, array in zip(self.signature.inputs, arrays, strict=True):
            if not spec.accepts(array.shape):
                raise UsageError(f"input {spec} of the Core ML program got shape {array.shape}")
        return self._named(self._one(arrays))

    def run_many(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """Evaluate many samples; the same as ``run`` on each, in a fraction of the time.

        Where every operation provably treats samples alike (``converters.mil.batch``) they are run
        in chunks, once the first two have been compared with single runs; else one by one.

        Args:
            inputs: by name, samples along axis 0: an input of 1 x 28 x 28 takes N x 28 x 28, and so
                does one of 28 x 28.

        Returns:
            The outputs by name, samples along axis 0 in the same way.

        Raises:
            ConversionError, UsageError: as ``run``.
        """
        self._refuse_unchecked()
        arrays = self._inputs(inputs)
        count = self._samples(arrays)
        if self.batched and count > 1 and not self._compared:
            self.batched = self._agrees([a[:2] for a in arrays])
            self._compared = True
        if self.batched:
            starts = range(0, count, self._chunk)
            runs = [self._many([a[at : at + self._chunk] for a in arrays]) for at in starts]
            joined = [np.concatenate(parts) for parts in zip(*runs, strict=True)]
        else:
            joined = self._each(arrays, count)
        return self._named(joined)

    def _refuse_unchecked(self) -> None:
        if self.unchecked:
            raise ConversionError(
                "the Core ML program cannot be evaluated on this machine: no evaluator for "
                f"{', '.join(self.unchecked)}",
                "its structure is checked; compare its answers on a Mac or an iPhone",
            )

    def _inputs(self, given: Mapping[str, Array]) -> list[Array]:
        names = [spec.name for spec in self.signature.inputs]
        if set(given) != set(names):
            raise UsageError(
                f"the Core ML program takes {', '.join(names)}; it was given "
                f"{', '.join(given) or 'nothing'}"
            )
        return [_computed(spec, np.asarray(given[spec.name])) for spec in self.signature.inputs]

    def _samples(self, arrays: list[Array]) -> int:
        for spec, array in zip(self.signature.inputs, arrays, strict=True):
            sample = spec.shape[1:] if _has_sample_axis(spec) else spec.shape
            wanted = TensorSpec(name=spec.name, dtype=spec.dtype, shape=("samples", *sample))
            if not wanted.accepts(array.shape):
                raise UsageError(f"input {wanted} of the Core ML program got shape {array.shape}")
        counts = {len(array) for array in arrays}
        if len(counts) != 1 or 0 in counts:
            raise UsageError(f"inputs have {sorted(counts)} samples; all need the same, at least 1")
        return counts.pop()

    def _each(self, arrays: list[Array], count: int) -> list[Array]:
        """Single runs on the first ``count`` samples, their outputs stacked."""
        keeps = [_has_sample_axis(spec) for spec in self.signature.inputs]
        runs = [
            self._one(
                [a[at : at + 1] if keep else a[at] for a, keep in zip(arrays, keeps, strict=True)]
            )
            for at in range(count)
        ]
        return [
            np.concatenate(parts) if _has_sample_axis(spec) else np.stack(parts)
            for spec, parts in zip(self.signature.outputs, zip(*runs, strict=True), strict=True)
        ]

    def _agrees(self, arrays: list[Array]) -> bool:
        """Whether the samples give together what they give alone, but for rounding."""
        alone = self._each(arrays, len(arrays[0]))
        return all(
            a.shape == b.shape and np.allclose(a, b, rtol=1e-3, atol=1e-5, equal_nan=True)
            for a, b in zip(self._many(arrays), alone, strict=True)
        )

    def _named(self, outputs: list[Array]) -> dict[str, Array]:
        return {
            spec.name: np.asarray(array, numpy_dtype(spec.dtype), order="C")
            for spec, array in zip(self.signature.outputs, outputs, strict=True)
        }


def _specs(graph: Graph, numbers: tuple[int, ...]) -> tuple[TensorSpec, ...]:
    return tuple(graph.values[number] for number in numbers)


def _unchecked(graph: Graph) -> tuple[str, ...]:
    return tuple(
        sorted(
            {
                node.op_type
                for node in graph.nodes
                if node.op_type not in EVALUATORS
                or not EVALUATORS[node.op_type].knows(site_of(graph, node))
            }
        )
    )


def _computed(spec: TensorSpec, array: Array) -> Array:
    """An input as it is computed with: of the declared type, but fractions always in float32."""
    declared = numpy_dtype(spec.dtype)
    if not np.can_cast(array.dtype, declared, "same_kind"):
        raise UsageError(f"input {spec} of the Core ML program got {array.dtype}")
    cast = array.astype(declared, copy=False)
    return cast.astype(np.float32, copy=False) if declared.kind == "f" else cast


def _has_sample_axis(spec: TensorSpec) -> bool:
    return bool(spec.shape) and (spec.shape[0] == 1 or isinstance(spec.shape[0], str))


def _chunk(graph: Graph) -> int:
    sizes = (
        int(np.prod([dim for dim in spec.shape if isinstance(dim, int)]))
        for number, spec in enumerate(graph.values)
        if number not in graph.constants
    )
    return max(_CHUNK_ELEMENTS // max(sizes, default=1), 1)

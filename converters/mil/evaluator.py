"""What the table of operations holds: how one MIL operation is computed, and what it may be given.

An evaluator is a plain function on numpy arrays whose parameters are MIL's own names of the
operation's inputs, with MIL's own defaults. Beside it stands a *batch rule*
(``converters.mil.batch``) that says when the same operation, written for one sample, may be given
many at once.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from edge_sdk.backends.base import Array
from edge_sdk.spec import Dim, DType

Shape = tuple[Dim, ...]
Axis = int | None | tuple[int | None, ...]
"""Where the samples lie in a value; None where it is the same for all; a tuple for a list."""


@dataclass(frozen=True, slots=True)
class Site:
    """One operation in its place: what the program says about it before any number flows.

    Attributes:
        shapes: declared shape by input; a tuple of shapes where the input is a list of values.
        constants: the inputs that are known beforehand.
        outputs: declared shapes of the outputs.
        dtypes: declared types of the outputs.
    """

    shapes: Mapping[str, Any]
    constants: Mapping[str, Any]
    outputs: tuple[Shape, ...]
    dtypes: tuple[DType, ...]


@dataclass(frozen=True, slots=True)
class Batched:
    """Leave to run an operation on many samples at once.

    Attributes:
        axis: where the samples lie in each output.
        replaced: constants that must be others for it, by input (a ``reshape`` to 1 x 800 becomes
            one to -1 x 800).
    """

    axis: int
    replaced: Mapping[str, Any]

    @classmethod
    def at(cls, axis: int, **replaced: Any) -> Batched:
        """Samples come out along ``axis``."""
        return cls(axis, replaced)


Rule = Callable[[Site, Mapping[str, Axis]], Batched | None]
"""From where the samples lie in the inputs to where they come out; None if that is unproven."""


def one_by_one(_site: Site, _axes: Mapping[str, Axis]) -> None:
    """The rule of operations for which nothing is proven: one sample at a time."""


def any_parameters(_site: Site) -> bool:
    """The cover of evaluators that know the whole operation."""
    return True


@dataclass(frozen=True, slots=True)
class Evaluator:
    """How one type of operation is computed.

    Attributes:
        function: takes arrays by MIL's input names; gives an array, or a tuple of them.
        batch: see ``Rule``.
        covers: whether this evaluator knows the operation with *these* parameters; some corners of
            MIL are not documented, and a guess would be worse than no answer.
        ignored: inputs that cannot change the numbers.
    """

    function: Callable[..., Any]
    batch: Rule = one_by_one
    covers: Callable[[Site], bool] = any_parameters
    ignored: frozenset[str] = frozenset()

    def knows(self, site: Site) -> bool:
        """Whether it can compute this very operation: it knows all its inputs and their values."""
        known = inspect.signature(self.function).parameters
        return all(name in known or name in self.ignored for name in site.shapes) and self.covers(
            site
        )


def ints(values: Array | Sequence[int]) -> tuple[int, ...]:
    """A MIL list of integers as Python's own."""
    return tuple(int(value) for value in np.asarray(values).reshape(-1))


def positive(axis: Any, rank: int) -> int:
    """An axis counted from the front."""
    return int(axis) % rank if rank else 0

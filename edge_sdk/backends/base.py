"""The seam to inference engines: what a backend offers, and what a loaded model is.

A backend is one engine (LiteRT, ONNX Runtime, …) in one file. It knows how to open a model file
with a list of delegates and hands back a ``LoadedModel`` that runs arrays, positionally, in
the engine's own order and types. Names, units, quantized integers and pictures are the session's
business; keep them out of here, or every engine will have its own idea of them.

To add an engine: write a module with a ``BACKEND`` that satisfies ``Backend``, name it in
``edge_sdk.backends.MODULES``, and run ``tests/contract/test_backends.py`` over it. In a program of
your own, ``edge_sdk.backends.register`` makes it known (``examples/own_backend.py``).
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from edge_sdk.errors import UsageError
from edge_sdk.spec import Format, Placement, Signature

Array = npt.NDArray[Any]


@dataclass(frozen=True, slots=True)
class DelegateRequest:
    """One entry of an ordered delegate list.

    Attributes:
        name: a delegate's name, or the path of a library.
        library: whether ``name`` is such a path.
        options: passed to the library as text; on a name, those that the engine knows.
    """

    name: str
    library: bool = False
    options: dict[str, str] = field(default_factory=dict)


class LoadedModel(Protocol):
    """One model in one engine, ready to run.

    Safe to share between threads: where the engine is not, calls take turns here. Python's lock is
    let go while the engine computes, or the backend says why not.

    Derive from this class: an engine whose models have one entry point and keep no state needs
    nothing but what has no body here.
    """

    signature: Signature

    @property
    def signatures(self) -> tuple[str, ...]:
        """Names of the model's entry points, the one that ``run`` takes first."""
        return (self.signature.name,)

    @abstractmethod
    def run(self, inputs: Sequence[Array]) -> list[Array]:
        """Run once.

        Args:
            inputs: in the signature's order, of its dtypes, C-contiguous, of shapes it accepts.

        Returns:
            Outputs in the signature's order; the caller owns them.
        """

    @abstractmethod
    def placement(self) -> Placement:
        """Where its operations run, computed from what the engine did."""

    @abstractmethod
    def close(self) -> None:
        """Give back what the engine holds. Running afterwards is a bug of the caller."""

    def entry(self, name: str) -> LoadedModel:
        """Another entry point of this very model: its weights and its state are shared.

        It is closed with this one; closing it alone does nothing.

        Args:
            name: one of ``signatures``.
        """
        return self

    def reset(self) -> None:
        """Forget what earlier runs have left in a stateful model: back to how it was loaded."""
        return


class Backend(Protocol):
    """One inference engine."""

    name: str
    extra: str
    """The extra of our distribution that installs it."""
    formats: tuple[Format, ...]

    def version(self) -> str:
        """Its version.

        Raises:
            UnavailableError: it is not installed or does not import here; says what mends it.
        """

    def delegates(self) -> tuple[str, ...]:
        """Delegates that this build of it offers on this machine, best first."""

    def holds_lock(self, delegates: Sequence[str]) -> bool:
        """Whether Python's lock is held while it computes: no other thread runs meanwhile.

        Args:
            delegates: that the model is opened with, as they are asked for.
        """

    def open(
        self,
        model: Path | bytes,
        *,
        delegates: Sequence[DelegateRequest],
        threads: int,
        cache: Path | None = None,
        digest: str | None = None,
    ) -> LoadedModel:
        """Load a model.

        Args:
            model: a model file, to be mapped where the engine can; or a model's content.
            delegates: in order of preference. To be rid of one, leave it out and open again.
            threads: for CPU kernels.
            cache: a folder in which the engine may keep prepared weights, under the digest of the
                model that they belong to; None keeps nothing.
            digest: SHA-256 of the model's content, in hex, where the caller knows it already.

        Delegates that cannot be had are recorded in the placement, with the reason, and the next is
        tried; the engine's own CPU kernels take what is left.

        Raises:
            UsageError: this is not a model this engine reads, or an option that it does not know.
            UnavailableError: the model needs an operation that this engine lacks.
        """


def closed(*_: Any, **__: Any) -> Any:
    """Stands in for an engine's calls once the model is closed: another thread may be about to
    make one, and entry points outlive it.
    """
    raise UsageError("The model is closed.", "Load it again: edge_sdk.load(…)")


def numpy_dtype(name: str) -> np.dtype[Any]:
    """The numpy dtype of a ``spec.DType``; ``string`` is numpy's object."""
    return np.dtype(object if name == "string" else name)

"""What a target is: it makes one format out of a source, and can run what it made."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from converters.recipe import Recipe
from converters.samples import Samples
from converters.sources.base import Arrays, Source
from edge_sdk.backends import Array
from edge_sdk.errors import ConversionError
from edge_sdk.runtime import Session
from edge_sdk.spec import Format, Placement, Signature


class Answering(Protocol):
    """Something that answers as a variant will: fed and read in the source's own terms."""

    unchecked_ops: tuple[str, ...]
    """Operations it could not run, only look at; if there are any, ``run`` must not be called."""

    @property
    def placement(self) -> Placement | None:
        """Where its operations run here; None where a stand-in for an engine answers."""

    @property
    def session(self) -> Session | None:
        """What runs it here as a device would; None where a stand-in for an engine answers."""

    def run(self, inputs: Arrays) -> dict[str, Array]:
        """The answers to many samples; see ``Source.run``."""

    def run_one(self, inputs: Arrays) -> dict[str, Array]:
        """The answer to one sample, everything in the signature's own shapes."""


class Runner(Answering, Protocol):
    """An engine, or a stand-in for one, with an emitted file in it."""

    checked_by: str
    """The engine and its version."""


@dataclass(frozen=True)
class Emitted:
    """What a target made, not yet proven.

    Attributes:
        path: the model file, or the package folder.
        signature: inputs and outputs as the engine sees them, under the source's names.
        runner: runs it here.
    """

    path: Path
    signature: Signature
    runner: Runner


class Target(Protocol):
    """One format. Keeps what its recipes share (a float build, say) in ``folder`` between calls."""

    format: Format
    backends: tuple[str, ...]

    def __init__(self, source: Source, folder: Path) -> None: ...

    def emit(self, recipe: Recipe, calibration: Samples | None) -> Emitted:
        """Make one variant.

        Raises:
            ConversionError: the engine could not do it, or made something that does not load.
        """

    def trunk(self) -> Any:
        """The float build that its recipes start from: a file's bytes, or an engine's object."""

    def tools(self) -> Mapping[str, str]:
        """Versions of the engines it uses."""


def check_names(found: Signature, declared: Signature, what: str) -> None:
    """Make sure that what was made has the source's inputs and outputs.

    Raises:
        ConversionError: it has others.
    """
    for kind, made, wanted in (
        ("inputs", found.inputs, declared.inputs),
        ("outputs", found.outputs, declared.outputs),
    ):
        if sorted(t.name for t in made) != sorted(t.name for t in wanted):
            raise ConversionError(
                f"{what} was made with other {kind} than the source: "
                f"{sorted(t.name for t in made)} instead of {sorted(t.name for t in wanted)}.",
                "Give them, in the model, names of letters, digits and _, and each its own tensor.",
            )


def check_distinct(signature: Signature, format_name: str) -> None:
    """Make sure that no output has an input's name, in formats where names are values.

    Raises:
        ConversionError: one has.
    """
    inputs = {t.name for t in signature.inputs}
    for tensor in signature.outputs:
        if tensor.name in inputs:
            raise ConversionError(
                f"{format_name} cannot have an input and an output of one name: {tensor.name!r}.",
                "Rename one of them in the model.",
            )

"""The record of one decision, for whoever must be able to say later what was answered, and by what.

It names the input by its digest and never holds it: neither a picture, nor an array, nor a mask of
the picture's shape, nor an output's numbers, since a model may well answer what it was given.
"""

from __future__ import annotations

from edge_sdk.spec.results import Area, Boxes, Classes, Explained
from edge_sdk.spec.word import Word


class Identity(Word, frozen=True, kw_only=True):
    """Which model.

    Attributes:
        name, version: of the artifact; of a bare model its file's name, and nothing.
        digest: SHA-256 of the artifact's manifest, or of the bare file, in hex.
    """

    name: str
    version: str = ""
    digest: str = ""


class Placed(Word, frozen=True, kw_only=True):
    """Where it ran.

    Attributes:
        requested, actual: delegates.
        fallback: what did not run where it was asked to; empty if all did.
    """

    backend: str
    backend_version: str
    requested: tuple[str, ...]
    actual: tuple[str, ...]
    threads: int
    fallback: str = ""


class ArrayDigest(Word, frozen=True, kw_only=True):
    """An array by what it is, without its numbers.

    Attributes:
        sha256: of its bytes in C order; of text, of its JSON.
    """

    dtype: str
    shape: tuple[int, ...]
    sha256: str


class OutputDigests(Word, frozen=True, kw_only=True, tag_field="kind", tag="tensors"):
    """The outputs of a model without declared postprocessing."""

    outputs: dict[str, ArrayDigest]


class Decision(Word, frozen=True, kw_only=True):
    """One line of an audit log, but for its ``chain``.

    Attributes:
        number: from 1, without a gap, over all files of a log.
        previous: the ``chain`` of the record before; 64 zeros in the first.
        time: of the answer, UTC, ISO 8601.
        host: what the machine calls itself.
        model, variant, placement: what answered, and where it ran.
        inputs: by name; a picture is called ``picture``.
        source_sha256: of the file that the input was read from; empty if it was none.
        index: which frame of it.
        answer: what was decided.
        explanation: what that rests on, if it was asked.
        note: the caller's own.
        torn_bytes: how much of an unfinished record before this one was cut off: the program or the
            machine had been stopped while writing it.
        lost: how many answers before this one have no record, because none could be written.
        broken: what did not hold in the log when it was opened to write this one; empty if what was
            looked at did.
    """

    number: int
    previous: str
    time: str
    host: str
    model: Identity
    variant: str
    placement: Placed
    inputs: dict[str, ArrayDigest]
    answer: Classes | Boxes | Area | OutputDigests
    source_sha256: str = ""
    index: int = 0
    explanation: Explained | None = None
    note: str = ""
    torn_bytes: int = 0
    lost: int = 0
    broken: str = ""

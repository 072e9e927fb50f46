"""Who is to blame: a refusal of an engine, told by the operations that it is about."""

from __future__ import annotations

import re
from collections.abc import Container, Iterator, Mapping, Sequence

from converters.preflight.words import Forecast, Problem
from edge_sdk.errors import EdgeError
from edge_sdk.spec import Format

NAMED = 3
"""Places of an operation that are told, at most."""


def refused(format_: Format, problems: Sequence[Problem], checked_by: str) -> Forecast:
    """The forecast of a target that will not be made."""
    return Forecast(
        format=format_, verdict="does not", checked_by=checked_by, problems=tuple(problems)
    )


def blamed(
    error: EdgeError,
    nodes: Mapping[str, Sequence[str]],
    known: Container[str],
    engine: str,
    ways_out: Mapping[str, str],
    structure: Container[str] = (),
) -> Iterator[Problem]:
    """An engine's refusal, by the operations that it is about.

    Args:
        error: the refusal.
        nodes: where each type of operation stands.
        known: the types that the engine has a translation of. It may stop at the first that it
            has not; its registry knows the rest.
        engine: its name and version.
        ways_out: equals, by type.
        structure: types that hold a graph together and become nothing.
    """
    others = [op for op in nodes if op not in structure]
    named = [op for op in others if re.search(rf"\b{re.escape(op)}\b", error.message)]
    missing = list(dict.fromkeys([*named, *(op for op in others if op not in known)]))
    if not missing:
        yield obstacle(error)
    for op in missing:
        double = "xf64>" in error.message and op in named
        yield Problem(
            operation=op,
            where=tuple(nodes[op][:NAMED]),
            count=len(nodes[op]),
            what=error.message if op in named else f"{engine} has no way to say it.",
            remedy="Compute in float32: tf.cast(…, tf.float32)."
            if double
            else ways_out.get(op, ""),
        )


def obstacle(error: EdgeError) -> Problem:
    """A refusal that no operation is to blame for."""
    hint = error.hint.partition("\n")[0].removeprefix("The engine said:")
    return Problem(operation="", what=error.message, remedy=hint)


class Everything:
    """Knows every operation: for an engine that names itself what it lacks."""

    def __contains__(self, _operation: object) -> bool:
        return True

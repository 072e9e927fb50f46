"""``edge doctor``: what this machine has, what it lacks, and the command that gets it.

Only what is *wrong* makes it exit 3; what is merely *missing* does not.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from typing import TYPE_CHECKING

from edge_sdk.cli.command import Outcome
from edge_sdk.text import bytes_text, table

if TYPE_CHECKING:
    from edge_sdk.runtime.checkup import Check, Diagnosis

SUMMARY = "say what this machine has, what it lacks, and how to get it"
EXIT_WRONG = 3


def configure(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``edge doctor``: none of its own."""
    del parser


def run(args: argparse.Namespace) -> Outcome:
    """Look at everything; nothing is changed."""
    del args
    from edge_sdk.runtime.checkup import examine

    diagnosis = examine()
    return Outcome(diagnosis, describe(diagnosis), 0 if diagnosis.healthy else EXIT_WRONG)


def describe(diagnosis: Diagnosis) -> str:
    """The diagnosis for a person."""
    here = diagnosis.profile
    cores = "core" if here.cores == 1 else "cores"
    lines = [
        f"{here.name}   {here.system} on {here.machine}   Python {here.python}   "
        f"edgeloop {here.edgeloop}",
        f"{here.cpu}, {here.cores} {cores}, {bytes_text(here.memory_bytes)} of memory",
        f"instruction sets: {' '.join(here.cpu_features) or 'none that engines know of'}",
        "",
        table(("state", "what", "found"), _rows(diagnosis.checks)),
        "",
        _verdict(diagnosis.checks),
    ]
    return "\n".join(lines)


def _rows(checks: tuple[Check, ...]) -> Iterator[tuple[str, str, str]]:
    """A line for what was found and, below it, one for the command that mends it."""
    for check in checks:
        yield check.state, check.name, check.found
        if check.mend:
            yield "", "", f"> {check.mend}"


def _verdict(checks: tuple[Check, ...]) -> str:
    wrong = [check.name for check in checks if check.state == "wrong"]
    if wrong:
        return f"Wrong: {', '.join(wrong)}. Mend this first."
    missing = [check.name for check in checks if check.state == "missing"]
    return f"Nothing is wrong. Not here: {', '.join(missing)}." if missing else "All is here."

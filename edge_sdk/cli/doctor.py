"""``edge doctor``: what this machine has, what it lacks, and the command that gets it.

Only what is *wrong* makes it exit 3; what is merely *missing* does not.
"""

from __future__ import annotations

import argparse
import textwrap
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from edge_sdk.cli.command import Outcome
from edge_sdk.text import bytes_text

if TYPE_CHECKING:
    from edge_sdk.machine.check import Check
    from edge_sdk.machine.checkup import Diagnosis

SUMMARY = "say what this machine has, what it lacks, and how to get it"
EXIT_WRONG = 3
WIDTH = 100

HEADINGS = {
    "packages": "Python and its packages",
    "engines": "Engines that run models",
    "extras": "Extras of edgeloop, by what they bring",
    "machine": "The machine",
}


def configure(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``edge doctor``: none of its own."""
    del parser


def run(args: argparse.Namespace) -> Outcome:
    """Look at everything; nothing is changed."""
    del args
    from edge_sdk.machine.checkup import examine

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
    ]
    width = max(len(_short(check)) for check in diagnosis.checks)
    for area, heading in HEADINGS.items():
        checks = [check for check in diagnosis.checks if check.area == area]
        if checks:
            lines += ["", heading, *(line for check in checks for line in _lines(check, width))]
    return "\n".join([*lines, "", *_verdict(diagnosis.checks)])


def _short(check: Check) -> str:
    """Its name, without the word that its heading says already."""
    return check.name.removeprefix("backend ").removeprefix("extra ")


def _lines(check: Check, width: int) -> Iterator[str]:
    """What was found and, below it, the command that mends it."""
    state = check.state.upper() if check.state == "wrong" else check.state
    head = f"  {state:<7}  {_short(check):<{width}}  "
    indent = " " * len(head)
    yield from textwrap.wrap(
        check.found,
        WIDTH,
        initial_indent=head,
        subsequent_indent=indent,
        break_long_words=False,
        break_on_hyphens=False,
    ) or [head.rstrip()]
    if check.mend:
        yield f"{indent}> {check.mend}"  # never wrapped: it is to be copied


def _verdict(checks: Sequence[Check]) -> list[str]:
    wrong = [check for check in checks if check.state == "wrong"]
    if wrong:
        return [
            f"Wrong: {', '.join(_short(check) for check in wrong)}. Mend this first:",
            *(f"  {check.mend}" for check in wrong if check.mend),
        ]
    missing = {c.mend: _short(c) for c in reversed(checks) if c.state == "missing" and c.mend}
    if missing:
        names = ", ".join(reversed(missing.values()))
        return [f"Nothing is wrong. Not here, and to be had: {names}."]
    return ["Nothing is wrong."]

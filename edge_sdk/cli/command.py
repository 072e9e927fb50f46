"""What a subcommand of ``edge`` is: a module with these three names, found through an entry point.

    SUMMARY: str                                      one line for ``edge --help``
    def configure(parser: ArgumentParser) -> None     its arguments
    def run(args: Namespace) -> Outcome               its work

Entry points of the group ``edge.commands`` map the command's name to its module. The module is
imported only when that command is typed, and keeps heavy imports inside ``run``.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from typing import Protocol

import msgspec


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a command has to say at its end.

    Attributes:
        value: the one documented object that ``--json`` prints; None where all has been announced
            already (``edge_sdk.cli.announce``).
        text: the same for a person.
        exit_code: 0, or 1 for a negative verdict; errors are raised instead.
    """

    value: msgspec.Struct | dict[str, object] | None
    text: str
    exit_code: int = 0


class Command(Protocol):
    """The names a command module must have."""

    SUMMARY: str

    def configure(self, parser: argparse.ArgumentParser) -> None:
        """Add this command's arguments to its parser."""

    def run(self, args: argparse.Namespace) -> Outcome:
        """Do it. Raises EdgeError; anything else is a bug."""

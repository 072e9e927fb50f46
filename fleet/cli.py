"""``edge fleet …``: run a fleet, and operate it.

All commands but ``serve`` talk to the API of a running fleet: of the one whose folder is named
(``--data``), or of one anywhere (``--api URL --token-file FILE``).
"""

from __future__ import annotations

import argparse

from edge_sdk.cli.command import Outcome
from fleet.commands import bench, operate, rollout, serve, watch

SUMMARY = "run a fleet: enroll devices, publish artifacts, roll them out, watch them"


def configure(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``edge fleet``."""
    _add_place(parser, default=None)
    commands = parser.add_subparsers(metavar="COMMAND", required=True, title="commands")
    for room in (serve, operate, rollout, watch, bench):
        for command in room.add_to(commands):
            _add_place(command, default=argparse.SUPPRESS)
            command.add_argument(
                "--json",
                action="store_true",
                default=argparse.SUPPRESS,
                help="print the result as one JSON object",
            )


def run(args: argparse.Namespace) -> Outcome:
    """Do what was asked for."""
    outcome: Outcome = args.act(args)
    return outcome


def _add_place(parser: argparse.ArgumentParser, default: str | None) -> None:
    """Say where the fleet is, before the command's name or after it."""
    parser.add_argument("--data", metavar="DIR", default=default, help="the fleet's folder")
    parser.add_argument("--api", metavar="URL", default=default, help="of a fleet elsewhere")
    parser.add_argument(
        "--token-file", metavar="FILE", default=default, help="the token of that fleet"
    )

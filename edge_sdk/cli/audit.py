"""``edge audit``: is the local trail of decisions whole?"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from edge_sdk.cli.command import Outcome

if TYPE_CHECKING:
    from edge_sdk.audit import AuditReport

SUMMARY = "check the trail of decisions that --audit has left on this machine"


def configure(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``edge audit``."""
    commands = parser.add_subparsers(metavar="COMMAND", required=True, title="commands")
    verify = commands.add_parser(
        "verify",
        help="name the first record that was changed, put in, taken away or cut off",
        description="Hold each record against the one before. The first that was changed, put in, "
        "taken away or cut off is named, and the exit code is 1.",
        allow_abbrev=False,
    )
    verify.add_argument(
        "--json",
        action="store_true",
        default=argparse.SUPPRESS,
        help="print the result as one JSON object",
    )
    verify.add_argument("log", type=Path, metavar="FILE.jsonl", help="the log's newest file")
    verify.add_argument(
        "--head",
        metavar="CHAIN",
        help="a chain value that was noted before, and must still be in it",
    )


def run(args: argparse.Namespace) -> Outcome:
    """Read it all and tell."""
    from edge_sdk.audit import verify

    report = verify(args.log, args.head)
    return Outcome(report, describe(report), 0 if report.passed else 1)


def describe(report: AuditReport) -> str:
    """The report for a person."""
    lines = []
    if report.first and report.last:
        lines.append(
            f"records  {report.records} hold, in {len(report.files)} file"
            f"{'s' * (len(report.files) > 1)}: number {report.first[0]} of {report.first[1]} to "
            f"number {report.last[0]} of {report.last[1]}"
        )
        lines.append(f"head     {report.head}")
    if report.unchecked:
        lines.append(f"before   {report.unchecked}")
    if report.lost:
        lines.append(f"lost     {report.lost} answers have no record: none could be written then")
    if report.bad is None:
        lines.append("verdict  whole" if report.records else "verdict  empty")
    else:
        where = f"{report.bad.file}, line {report.bad.line}" if report.bad.line else report.bad.file
        lines.append(f"verdict  BROKEN at {where}: {report.bad.why}")
        if report.after or report.more_bad:
            lines.append(
                f"behind   {report.after} records hold, and {report.more_bad} lines do not"
            )
    return "\n".join(lines)

"""``edge demo loop``: the whole loop on this machine (``edge_sdk.demos.loop``)."""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from edge_sdk.cli.command import Outcome

SUMMARY = "convert, roll out, catch a bad version, see a camera drift: a fleet of four"


def configure(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``edge demo loop``."""
    parser.add_argument(
        "--output", type=Path, metavar="DIR", help="keep what the demo makes in this empty folder"
    )
    parser.add_argument(
        "--keep", action="store_true", help="leave all running at the end; Ctrl-C ends it"
    )


def run(args: argparse.Namespace) -> Outcome:
    """Tell the story; it raises if anything in it does not happen."""
    from edge_sdk.demos.loop import Loop
    from edge_sdk.demos.processes import ended_with_us, wait_to_be_told

    def say(line: str) -> None:
        print(line, file=sys.stderr, flush=True)

    with tempfile.TemporaryDirectory(prefix="edgeloop-demo-") as scratch:
        loop = Loop(args.output or Path(scratch), say)
        with ended_with_us(loop.servers):
            found = loop.run()
            if args.keep:
                token = Path(loop.token).read_text(encoding="utf-8").strip()
                say(f"\nAll of it still runs: {loop.page}/#{token}   Ctrl-C ends it.")
                wait_to_be_told()
    text = f"\nAll of it happened, in {found['seconds']:.0f} s."
    return Outcome(found, text)

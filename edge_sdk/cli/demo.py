"""``edge demo``: stories that show the product, told with its own commands."""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from edge_sdk.cli.command import Outcome

SUMMARY = "show the whole loop on this machine"


def configure(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``edge demo``."""
    parser.add_argument("story", choices=["loop"], help="which demo")
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

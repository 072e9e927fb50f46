"""``edge demo text``: words suggested while they are typed, on this machine alone."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from edge_sdk.cli.command import Outcome

SUMMARY = "suggest words while they are typed, offline, and count the keys saved"

_KEYS = (
    "At a terminal Tab, F2 and F3, or Alt with 1, 2 and 3, take a suggestion; every other key "
    "types what it says, digits too; Ctrl-D or Ctrl-C ends it and tells the keys saved."
)


def configure(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``edge demo text``."""
    parser.description = f"{parser.description} {_KEYS}"
    what = parser.add_mutually_exclusive_group()
    what.add_argument(
        "--input",
        metavar="FILE",
        help="a text to be typed, - for a pipe; without it you type, or, where there is no "
        "terminal, the beginning of a novel is typed",
    )
    what.add_argument("--after", metavar="TEXT", help="only say what may come after this text")
    parser.add_argument(
        "--letters", type=int, metavar="N", default=4000, help="type at most so many (4000)"
    )
    parser.add_argument(
        "--personal",
        type=Path,
        metavar="FILE",
        help="your words, kept between runs; yours when you type, else none are kept",
    )
    parser.add_argument(
        "--models", type=Path, metavar="DIR", help="words.npz, letters.edge and alphabet.json"
    )
    parser.add_argument(
        "--no-network", action="store_true", help="leave out the network that reads letters"
    )


def run(args: argparse.Namespace) -> Outcome:
    """Suggest; count."""
    from edge_sdk.demos import text

    scripted = args.input is not None or args.after is not None or not sys.stdin.isatty()
    page = "" if args.after is not None or not scripted else text.read_page(args.input)
    kept = args.personal or (None if scripted else _mine())
    with text.open_keyboard(args.models, kept, network=not args.no_network) as keyboard:
        if args.after is not None:
            words = keyboard.suggest(args.after)
            return Outcome({"suggestions": words}, "  ".join(words) or "no word begins so")
        if scripted:
            found = text.type_page(keyboard, page, args.letters)
            return Outcome(found, text.described(found))
        if kept is not None:
            print(f"What you type is learnt into {kept} and goes nowhere else.", file=sys.stderr)
        found = text.compose(keyboard)
        return Outcome(found, text.described(found))


def _mine() -> Path:
    root = os.environ.get("XDG_DATA_HOME")
    folder = (Path(root) if root else Path.home() / ".local" / "share") / "edgeloop"
    folder.mkdir(parents=True, exist_ok=True)
    return folder / "typed.json"

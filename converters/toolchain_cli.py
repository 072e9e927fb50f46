"""``edge toolchain``: engines with environments of their own: what is there, install, remove."""

from __future__ import annotations

import argparse
import sys
import time
from typing import TYPE_CHECKING

from edge_sdk.cli.command import Outcome
from edge_sdk.text import bytes_text, table

if TYPE_CHECKING:
    from converters.toolchains import Toolchain

SUMMARY = "conversion engines that need an environment of their own: list, install, remove"


def configure(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``edge toolchain``."""
    commands = parser.add_subparsers(
        metavar="COMMAND", dest="deed", required=True, title="commands"
    )
    for deed, about in (
        ("list", "which there are, and which are installed"),
        ("install", "build one from its lock file; costs a few seconds when it is there already"),
        ("remove", "take one away, in every version"),
    ):
        command = commands.add_parser(deed, help=about, description=about)
        if deed != "list":
            command.add_argument("name", metavar="NAME", help="as `edge toolchain list` says it")
        command.add_argument(
            "--json",
            action="store_true",
            default=argparse.SUPPRESS,
            help="print the result as one JSON object",
        )
    parser.epilog = (
        "Toolchains live in $EDGELOOP_TOOLCHAINS, else $XDG_DATA_HOME/edgeloop/toolchains, else\n"
        "~/.local/share/edgeloop/toolchains. Your own environment is never changed. A conversion\n"
        "by one may take $EDGELOOP_TOOLCHAIN_LIMIT_S seconds (900), and has no network."
    )


def run(args: argparse.Namespace) -> Outcome:
    """Do what was asked."""
    from converters.toolchains import CATALOGUE, home, install, remove, toolchain

    if args.deed == "list":
        rows = [_described(chain) for chain in CATALOGUE.values()]
        shown = table(
            ("toolchain", "version", "state", "size", "what for"),
            [(r["name"], r["version"], r["state"], _size(r), r["about"]) for r in rows],
            "<<<><",
        )
        hints = [
            f"{'Get' if r['state'] == 'missing' else 'Mend'} it: edge toolchain install {r['name']}"
            for r in rows
            if r["state"] != "installed"
        ]
        text = "\n".join([shown, "", f"They live in {home()}.", *hints])
        return Outcome({"home": str(home()), "toolchains": rows}, text)
    chain = toolchain(args.name)
    if args.deed == "remove":
        freed = remove(chain)
        text = f"removed {chain.name}: {bytes_text(freed)}" if freed else f"no {chain.name} here"
        return Outcome({"name": chain.name, "removed": bool(freed), "freed": freed}, text)
    before = time.perf_counter()
    install(chain, lambda text: print(text, file=sys.stderr, flush=True))
    row = _described(chain)
    row["seconds"] = round(time.perf_counter() - before, 1)
    return Outcome(
        row,
        f"{chain.name} {chain.version} is installed: {_size(row)} in {row['path']}"
        f" ({row['seconds']} s)",
    )


def _described(chain: Toolchain) -> dict[str, object]:
    from converters.toolchains import examine
    from converters.toolchains.place import folder_of

    state, mark = examine(chain)
    return {
        "name": chain.name,
        "version": chain.version,
        "about": chain.about,
        "state": state,
        "size": mark.size if mark else 0,
        "path": str(folder_of(chain)),
        "lock_sha256": chain.lock_sha256,
    }


def _size(row: dict[str, object]) -> str:
    return bytes_text(int(str(row["size"]))) if row["size"] else ""

"""``edge toolchain``: engines with environments of their own: what is there, install, remove."""

from __future__ import annotations

import argparse
import sys
import time
from typing import TYPE_CHECKING

from edge_sdk.cli.command import Outcome
from edge_sdk.spec import Word
from edge_sdk.text import bytes_text, table

if TYPE_CHECKING:
    from converters.toolchains import Toolchain

SUMMARY = "conversion engines that need an environment of their own: list, install, remove"


class Entry(Word, frozen=True, kw_only=True):
    """A toolchain, and whether it is here: what ``edge toolchain install`` prints.

    Attributes:
        name, version, about: which it is, and what for.
        state: ``installed``, ``damaged`` or ``missing``.
        size: bytes on the disk; 0 if it is missing.
        path: its folder, there or not.
        lock_sha256: digest of the lock file that it is built from.
        seconds: how long installing took; 0 where nothing was asked for.
    """

    name: str
    version: str
    about: str
    state: str
    size: int
    path: str
    lock_sha256: str
    seconds: float = 0.0


class Entries(Word, frozen=True, kw_only=True):
    """What ``edge toolchain list`` prints.

    Attributes:
        home: the folder they live in.
        toolchains: all there are, installed or not.
    """

    home: str
    toolchains: tuple[Entry, ...]


class Removal(Word, frozen=True, kw_only=True):
    """What ``edge toolchain remove`` prints.

    Attributes:
        name: which.
        removed: whether there was anything.
        freed: bytes.
    """

    name: str
    removed: bool
    freed: int


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
        entries = tuple(_entry(chain) for chain in CATALOGUE.values())
        return Outcome(Entries(home=str(home()), toolchains=entries), _listed(entries))
    chain = toolchain(args.name)
    if args.deed == "remove":
        freed = remove(chain)
        text = f"removed {chain.name}: {bytes_text(freed)}" if freed else f"no {chain.name} here"
        return Outcome(Removal(name=chain.name, removed=bool(freed), freed=freed), text)
    before = time.perf_counter()
    install(chain, lambda text: print(text, file=sys.stderr, flush=True))
    entry = _entry(chain, round(time.perf_counter() - before, 1))
    return Outcome(
        entry,
        f"{entry.name} {entry.version} is installed: {bytes_text(entry.size)} in {entry.path}",
    )


def _entry(chain: Toolchain, seconds: float = 0.0) -> Entry:
    from converters.toolchains import examine
    from converters.toolchains.place import folder_of

    state, mark = examine(chain)
    return Entry(
        name=chain.name,
        version=chain.version,
        about=chain.about,
        state=state,
        size=mark.size if mark else 0,
        path=str(folder_of(chain)),
        lock_sha256=chain.lock_sha256,
        seconds=seconds,
    )


def _listed(entries: tuple[Entry, ...]) -> str:
    """The list for a person."""
    from converters.toolchains import home

    rows = [
        (e.name, e.version, e.state, bytes_text(e.size) if e.size else "", e.about) for e in entries
    ]
    hints = [
        f"{'Get' if e.state == 'missing' else 'Mend'} it: edge toolchain install {e.name}"
        for e in entries
        if e.state != "installed"
    ]
    shown = table(("toolchain", "version", "state", "size", "what for"), rows, "<<<><")
    return "\n".join([shown, "", f"They live in {home()}.", *hints])

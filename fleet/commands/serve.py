"""``edge fleet serve``: run the fleet until it is told to end."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from edge_sdk.cli.announce import announce
from edge_sdk.cli.command import Outcome

FLAGS = (
    ("listen", "HOST:PORT", "of the API and the page (127.0.0.1:8080; port 0 takes a free one)"),
    ("broker", "URL", "a broker of yours instead of the embedded one"),
    ("broker-listen", "HOST:PORT", "of the embedded broker (127.0.0.1:1883)"),
    ("broker-public", "URL", "of the broker as devices see it"),
    ("database", "URL", "SQLAlchemy's; SQLite in the fleet's folder otherwise"),
    ("name", "NAME", "of the fleet, at its first start"),
)


def add_to(commands: Any) -> Iterator[argparse.ArgumentParser]:
    """Add the command."""
    parser = commands.add_parser(
        "serve",
        help="run the fleet",
        description="Run the fleet: broker, API, page. Ends on SIGTERM or Ctrl-C.",
    )
    for name, metavar, text in FLAGS:
        parser.add_argument(f"--{name}", metavar=metavar, help=text)
    parser.add_argument("--config", metavar="FILE", type=Path, help="settings in TOML")
    parser.set_defaults(act=run)
    yield parser


def run(args: argparse.Namespace) -> Outcome:
    """Serve. Says where, once everything answers."""
    from edge_sdk.errors import UnavailableError

    try:
        from fleet.app import serve
    except ModuleNotFoundError as error:
        raise UnavailableError(
            f"A fleet needs {error.name}, which is not installed.",
            "pip install 'edgeloop[fleet]'",
        ) from error
    import asyncio
    import logging

    from fleet.config import read_settings
    from fleet.folder import Address

    flags = {
        name.replace("-", "_"): value
        for name in ("data", *(flag[0] for flag in FLAGS))
        if (value := getattr(args, name.replace("-", "_"))) is not None
    }
    settings = read_settings(args.config, os.environ, flags).value
    logging.basicConfig(
        level=logging.INFO,
        stream=sys.stderr,
        format="%(asctime)s %(levelname)s %(name)s: %(message)s",
    )
    for loud in ("alembic", "uvicorn"):
        logging.getLogger(loud).setLevel(logging.WARNING)

    def ready(address: Address) -> None:
        announce(
            address,
            f"The fleet is ready.\n  page    {address.api}/#…   (the token is in "
            f"{address.token_file})\n  broker  {address.broker}",
        )

    asyncio.run(serve(settings, ready))
    return Outcome(None, "")

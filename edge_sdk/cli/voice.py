"""``edge voice``: this machine's ears for others."""

from __future__ import annotations

import argparse
import asyncio
import logging
import signal
import sys
from pathlib import Path
from urllib.parse import urlsplit

from edge_sdk.cli.announce import announce
from edge_sdk.cli.command import Outcome
from edge_sdk.errors import UsageError
from edge_sdk.text import nearest
from edge_sdk.voice.published import PUBLISHED

SUMMARY = "serve wake words to Home Assistant (Wyoming protocol)"
DEFAULT_LISTEN = "tcp://127.0.0.1:10400"


def configure(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``edge voice``."""
    commands = parser.add_subparsers(metavar="COMMAND", required=True, title="commands")
    about = "listen for wake words in what clients of the Wyoming protocol send"
    serve = commands.add_parser(
        "serve", help=about, description=f"Listen{about[6:]}.", allow_abbrev=False
    )
    serve.add_argument(
        "models",
        metavar="WORD",
        nargs="+",
        help=f"{', '.join(sorted(PUBLISHED))}, or a .tflite, whose name is the word's",
    )
    serve.add_argument(
        "--listen",
        metavar="URI",
        default=DEFAULT_LISTEN,
        help=f"tcp://HOST:PORT, port 0 takes a free one; {DEFAULT_LISTEN} unless given",
    )
    serve.add_argument(
        "--json",
        action="store_true",
        default=argparse.SUPPRESS,
        help="print the result as one JSON object",
    )


def run(args: argparse.Namespace) -> Outcome:
    """Serve until interrupted."""
    return serve_wake_words([wake_word(each) for each in args.models], args.listen)


def wake_word(named: str) -> Path:
    """The file of a wake word: itself, or by the name of one that the repository has.

    Raises:
        UsageError: neither.
        UnavailableError: a name, but edgeloop was installed from a wheel.
    """
    path = Path(named)
    if path.suffix or path.exists():
        return path
    if named not in PUBLISHED:
        raise UsageError(
            f"{named} is neither a file nor a wake word that is known.", nearest(named, PUBLISHED)
        )
    from edge_sdk.demos.assets import asset

    return Path(asset("wake-words")) / f"{named}.tflite"


def serve_wake_words(models: list[Path], uri: str) -> Outcome:
    """Serve until told to end; announces where once it listens."""
    host, port = read_uri(uri)
    words = {path.stem: path for path in models}
    if len(words) < len(models):
        raise UsageError("Two models have one name.", "Rename one: the file's name is the word's.")
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="edge: %(message)s")
    asyncio.run(_serve(words, host, port))
    return Outcome(None, "")


async def _serve(words: dict[str, Path], host: str, port: int) -> None:
    from edge_sdk.voice.server import WakeServer

    server = WakeServer(words)
    await server.start(host, port)
    uri = f"tcp://{host}:{server.port}"
    announce({"uri": uri, "wake_words": list(words)}, f"Listening on {uri} for {', '.join(words)}")
    told_to_end = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, told_to_end.set)
    await told_to_end.wait()
    await server.close()


def read_uri(uri: str) -> tuple[str, int]:
    """Host and port of ``tcp://HOST:PORT``."""
    try:
        parts = urlsplit(uri)
        host, port = parts.hostname, parts.port
    except ValueError:
        host = port = None
    if parts.scheme != "tcp" or not host or port is None or parts.path:
        raise UsageError(f"{uri} is no address to listen on.", f"For example {DEFAULT_LISTEN}")
    return host, port

"""The processes of a demo: ``edge`` commands that end, and servers that stay until told to go."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

from edge_sdk.errors import UnavailableError

Found = TypeVar("Found")
TAIL_LINES = 15


def command(*words: object) -> list[str]:
    """``edge WORDS`` as this very Python runs it."""
    return [sys.executable, "-m", "edge_sdk", *map(str, words)]


def edge(
    *words: object, allowed: tuple[int, ...] = (0,), say: Callable[[str], None] | None = None
) -> tuple[int, dict[str, Any]]:
    """Run one ``edge`` command for its JSON.

    Args:
        allowed: exit codes that are part of the story.
        say: hears each line of its progress as it comes.

    Returns:
        The exit code, and the object on stdout (empty if there is none).

    Raises:
        UnavailableError: it ended otherwise; its own words are in the message.
    """
    said: list[str] = []
    with (
        tempfile.TemporaryFile("w+", encoding="utf-8") as answer,
        subprocess.Popen(
            [*command(*words), "--json"], stdout=answer, stderr=subprocess.PIPE, text=True
        ) as process,
    ):
        for line in process.stderr or ():
            said.append(line.rstrip("\n"))
            if say is not None:
                say(f"  {said[-1]}")
        code = process.wait()
        answer.seek(0)
        text = answer.read()
    if code not in allowed:
        last = "\n".join(said[-TAIL_LINES:])
        raise UnavailableError(f"edge {' '.join(map(str, words))} ended with {code}:\n{last}")
    return code, json.loads(text) if text.strip() else {}


class Server:
    """A process that stays, with its output in a log file.

    Attributes:
        name: for messages.
        log: its stderr, and its stdout after the first line.
    """

    def __init__(self, name: str, words: list[str], log: Path) -> None:
        self.name = name
        self.log = log
        with log.open("ab") as file:
            self._process = subprocess.Popen(
                words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=file
            )

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    def first_line(self) -> str:
        """What it says when it is ready. Raises UnavailableError if it ends without a word."""
        if self._process.stdout is None:
            raise UnavailableError(f"{self.name} has no output.")
        line = self._process.stdout.readline().decode()
        if not line.strip():
            raise UnavailableError(f"{self.name} did not start:\n{self.tail()}")
        return line

    def check(self) -> None:
        """Raises UnavailableError if it has ended by itself."""
        if self._process.poll() is not None:
            raise UnavailableError(
                f"{self.name} ended with {self._process.returncode}:\n{self.tail()}"
            )

    def tail(self) -> str:
        """The end of its log."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-TAIL_LINES:])

    def stop(self, patience_s: float = 15.0) -> None:
        """End it as a service manager would: SIGTERM, and SIGKILL if it does not listen."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            try:
                self._process.wait(patience_s)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()


@contextmanager
def ended_with_us(servers: list[Server]) -> Iterator[None]:
    """Stop all servers at the end, the last one first, whatever happens."""
    try:
        yield
    finally:
        for server in reversed(servers):
            server.stop()


def wait_for(
    what: str, look: Callable[[], Found | None], patience_s: float, servers: list[Server]
) -> Found:
    """Look again and again until there is something to see.

    Args:
        what: for the error, to end the sentence "… did not happen".
        look: answers None as long as there is nothing.
        servers: those that must be alive meanwhile.

    Raises:
        UnavailableError: not within ``patience_s`` seconds, or a server ended.
    """
    deadline = time.monotonic() + patience_s
    while True:
        found = look()
        if found is not None:
            return found
        for server in servers:
            server.check()
        if time.monotonic() > deadline:
            logs = ", ".join(os.fspath(s.log) for s in servers)
            raise UnavailableError(
                f"{what} did not happen within {patience_s:.0f} s.", f"The logs: {logs}"
            )
        time.sleep(0.25)


def wait_to_be_told() -> None:
    """Wait for Ctrl-C or SIGTERM; either is a good end."""
    with suppress(KeyboardInterrupt):
        signal.pause()

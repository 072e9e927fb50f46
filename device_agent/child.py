"""Worker processes: one that runs an application's models, and one at a time to check a candidate.

A candidate's golden vectors are run in a process of their own. An engine that a model can take down
takes down that process; the running model does not so much as drop a frame.
"""

from __future__ import annotations

import asyncio
import logging
import signal
import socket
from asyncio.subprocess import Process
from pathlib import Path

from device_agent.ipc import (
    Check,
    Checked,
    Command,
    Configure,
    LineError,
    Notice,
    Stop,
    SupervisorEnd,
    arguments,
)
from edge_sdk.errors import UnavailableError
from edge_sdk.timeouts import timeout

_log = logging.getLogger(__name__)


class Worker:
    """One worker process and the line to it. Make with ``start``, end with ``stop`` or ``kill``."""

    def __init__(self, process: Process, line: SupervisorEnd) -> None:
        self._process = process
        self._line = line

    @classmethod
    async def start(cls, configure: Configure) -> Worker:
        """Start a worker and tell it what never changes.

        Raises:
            UnavailableError: this machine does not let us start a process.
        """
        ours, theirs = socket.socketpair()
        try:
            with theirs:
                process = await asyncio.create_subprocess_exec(
                    *arguments(theirs.fileno()),
                    stdin=asyncio.subprocess.DEVNULL,
                    pass_fds=(theirs.fileno(),),
                )
        except OSError as error:
            ours.close()
            raise UnavailableError(
                f"No worker can be started: {error.strerror or error}.",
                "free -m; ulimit -u   # is there memory, are processes allowed?",
            ) from error
        worker = cls(process, await SupervisorEnd.open(ours))
        await worker.send(configure)
        return worker

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    async def send(self, command: Command) -> None:
        """Say something; one that is gone is noticed by ``receive``."""
        await self._line.send(command)

    async def receive(self, silence_s: float) -> Notice | None:
        """The next word; None if it is gone, speaks nonsense, or is silent for too long."""
        try:
            async with timeout(silence_s):
                return await self._line.receive()
        except asyncio.TimeoutError:
            _log.error("worker %d said nothing for %g s; it is killed", self.pid, silence_s)
        except LineError as error:
            _log.error("worker %d: %s; it is killed", self.pid, error.message)
        return None

    async def stop(self) -> None:
        """Ask it to end; go on receiving until the line does."""
        await self.send(Stop())

    async def kill(self) -> str:
        """Make sure that it is gone; answers how it ended, in words."""
        if self._process.returncode is None:
            # One whose line has ended is ending; it gets a moment to say with which code.
            try:
                async with timeout(0.5):
                    await self._process.wait()
            except asyncio.TimeoutError:
                self._process.kill()
        code = await self._process.wait()
        await self._line.close()
        return _ending(code)


async def check(
    configure: Configure, slot: Path, digest: str, *, silence_s: float, timeout_s: float
) -> Checked:
    """Load an artifact in a process of its own and compare its golden answers.

    Args:
        configure: as for the application's worker.
        slot: the artifact's folder.
        digest: the artifact's.
        silence_s: a worker that says nothing for so long is hanging.
        timeout_s: for all of it.

    Raises:
        UnavailableError: no process can be started; nothing is known of the artifact.
    """
    worker = await Worker.start(configure)

    async def verdict() -> Checked | None:
        await worker.send(Check(slot=str(slot), artifact=digest))
        while True:
            notice = await worker.receive(silence_s)
            if notice is None or isinstance(notice, Checked):
                return notice

    found, reason = None, ""
    try:
        async with timeout(timeout_s):
            found = await verdict()
        if found is not None:
            await worker.stop()
    except asyncio.TimeoutError:
        reason = f"its check took longer than {timeout_s:g} s"
    finally:
        ended = await asyncio.shield(worker.kill())
    if found is None:
        return Checked(artifact=digest, ok=False, reason=reason or f"its check {ended}")
    return found


def _ending(code: int) -> str:
    if code >= 0:
        return f"ended with exit code {code}"
    try:
        return f"was ended by {signal.Signals(-code).name}"
    except ValueError:
        return f"was ended by signal {-code}"

"""The local socket ``STATE/agent.sock``: how it is, and the way back, for whoever is on the device.

One JSON object a line, each way. A question names its ``command``; the answer has ``ok`` and either
``status`` or ``error`` with its ``hint`` and ``exit_code``. The folder is the agent's user's alone,
and so is the socket.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Literal

import msgspec

from device_agent.link import Traffic
from device_agent.outbox import Waiting
from device_agent.runner import WorkerStatus
from edge_sdk.errors import EdgeError, FleetError, UnavailableError, UpdateError, UsageError
from edge_sdk.spec.bench import BenchReport
from edge_sdk.spec.deployment import AppState
from edge_sdk.spec.word import Word
from edge_sdk.timeouts import timeout

_log = logging.getLogger(__name__)

SOCKET = "agent.sock"
MAX_LINE_BYTES = 1 << 20
PATIENCE_S = 30.0


class AppStatus(Word, frozen=True, kw_only=True):
    """One application.

    Attributes:
        state: what the fleet is told of it.
        worker: how its worker is.
    """

    state: AppState
    worker: WorkerStatus = WorkerStatus()


class Status(Word, frozen=True, kw_only=True):
    """How an agent is.

    Attributes:
        device, fleet, broker: from its enrolment.
        pid, boot: of the agent, and of this run of it.
        connected: whether the broker has accepted us.
        refusal: why it has not; empty while connected.
        answered: whether the fleet has answered our hello.
        counter: of the newest Desired believed.
        apps: by name.
        outbox: what the fleet has not acknowledged.
        traffic: what went over the link since the agent began.
    """

    device: str
    fleet: str
    broker: str
    pid: int
    boot: str
    connected: bool
    refusal: str
    answered: bool
    counter: int
    apps: dict[str, AppStatus]
    outbox: Waiting
    traffic: Traffic


class Question(Word, frozen=True, kw_only=True):
    """What is asked. ``app`` is for ``rollback``, ``report`` is what ``bench`` tells the fleet."""

    command: Literal["status", "rollback", "bench"]
    app: str = ""
    report: BenchReport | None = None


class Reply(Word, frozen=True, kw_only=True):
    """The answer: the status after it was done, or what was wrong."""

    ok: bool
    status: Status | None = None
    error: str = ""
    hint: str = ""
    exit_code: int = 0


Answer = Callable[[Question], Awaitable[Status]]


async def serve(folder: Path, answer: Answer) -> asyncio.Server:
    """Listen until the server is closed.

    Raises:
        UsageError: the socket cannot be made.
    """

    async def converse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while line := await reader.readline():
                writer.write(msgspec.json.encode(await _reply(line, answer)) + b"\n")
                await writer.drain()
        except (ConnectionError, ValueError) as error:  # ValueError: a line over the limit
            _log.warning("a conversation on the control socket broke off: %s", error)
        finally:
            writer.close()

    with _short(folder) as path:
        with suppress(FileNotFoundError):
            path.unlink()  # of an agent that was killed; the lock says that none lives
        before = os.umask(0o177)
        try:
            return await asyncio.start_unix_server(converse, path=str(path), limit=MAX_LINE_BYTES)
        except OSError as error:
            raise UsageError(f"{folder / SOCKET} cannot be made: {error}.") from error
        finally:
            os.umask(before)


async def _reply(line: bytes, answer: Answer) -> Reply:
    try:
        question = msgspec.json.decode(line, type=Question)
        return Reply(ok=True, status=await answer(question))
    except msgspec.MsgspecError as error:
        return Reply(ok=False, error=f"That is no question: {error}.", exit_code=2)
    except EdgeError as error:
        return Reply(ok=False, error=error.message, hint=error.hint, exit_code=error.exit_code)


async def ask(folder: Path, question: Question) -> Status:
    """Ask the agent of a state folder.

    Raises:
        UnavailableError: none runs there.
        UpdateError, UsageError, FleetError: what the agent says is wrong.
    """
    try:
        with _short(folder) as path:
            reader, writer = await asyncio.open_unix_connection(
                path=str(path), limit=MAX_LINE_BYTES
            )
    except OSError as error:
        raise UnavailableError(
            f"No agent runs on the state folder {folder}.", "edge agent run --config FILE"
        ) from error
    try:
        writer.write(msgspec.json.encode(question) + b"\n")
        async with timeout(PATIENCE_S):
            line = await reader.readline()
        reply = msgspec.json.decode(line, type=Reply)
    except (OSError, asyncio.TimeoutError, msgspec.MsgspecError) as error:
        raise FleetError(
            f"The agent on {folder} did not answer: {error or 'it took too long'}.", "Try again."
        ) from error
    finally:
        writer.close()
    if reply.status is None:
        kind = {1: UpdateError, 2: UsageError}.get(reply.exit_code, FleetError)
        raise kind(reply.error, reply.hint)
    return reply.status


@contextmanager
def _short(folder: Path) -> Iterator[Path]:
    """The socket's path by way of an open descriptor: a socket's name has 107 bytes at most."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield Path(f"/proc/self/fd/{descriptor}/{SOCKET}")
    finally:
        os.close(descriptor)

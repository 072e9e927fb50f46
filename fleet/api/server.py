"""uvicorn in a loop that is not its own: our socket, our signals, our end."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from collections.abc import Iterator

import uvicorn

from edge_sdk.errors import UnavailableError
from fleet.api.application import application
from fleet.fleet import Fleet

GRACE_S = 2
"""For requests that are being answered when the fleet is told to end."""


class _Uvicorn(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Signals are the fleet's."""
        yield


class ApiServer:
    """A listening socket from the start, so that a taken port is found out at once.

    Attributes:
        url: where it answers.
    """

    def __init__(self, host: str, port: int) -> None:
        """Bind. Raises UnavailableError if that cannot be."""
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        try:
            self._socket = socket.create_server((host, port), family=family)
        except OSError as error:
            raise UnavailableError(
                f"The API cannot listen on {host}:{port}: {os.strerror(error.errno or 0)}.",
                f"ss -ltnp 'sport = :{port}'   # who has it? or: --listen {host}:0",
            ) from error
        reachable = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
        literal = f"[{reachable}]" if ":" in reachable else reachable
        self.url = f"http://{literal}:{self._socket.getsockname()[1]}"

    async def run(self, fleet: Fleet, token: str, stop: asyncio.Event) -> None:
        """Answer until ``stop`` is set."""
        server = _Uvicorn(
            uvicorn.Config(
                application(fleet, token, stop),
                log_config=None,
                access_log=False,
                server_header=False,
                timeout_graceful_shutdown=GRACE_S,
            )
        )
        serving = asyncio.create_task(server.serve(sockets=[self._socket]))
        stopping = asyncio.create_task(stop.wait())
        try:
            await asyncio.wait({serving, stopping}, return_when=asyncio.FIRST_COMPLETED)
            server.should_exit = True
            await serving
        finally:
            stopping.cancel()

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()

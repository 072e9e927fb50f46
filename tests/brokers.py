"""Real brokers for tests: started on a free port, cut, frozen, killed, and always ended.

    @over("nats", "mosquitto", "memory")
    async def test_something(server: Server) -> None:
        device = server.connect("cam-1")
        async with running(device): ...

Each scenario runs in an event loop of its own. When it is over, no task and no file descriptor may
be left that was not there before.
"""

import asyncio
import functools
import inspect
import os
import shutil
import signal
import socket
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Protocol

import pytest
from patience import async_turns

from edge_sdk.broker import Broker, Credentials, Pace, connect
from edge_sdk.broker.memory import Hub, hub
from edge_sdk.broker.users import device_user, fleet_user
from fleet.embedded import EmbeddedBroker

ROOT = Path(__file__).resolve().parents[1]
USERS = (fleet_user("f-secret"), device_user("cam-1", "1-secret"), device_user("cam-2", "2-secret"))
QUICK = Pace(keepalive_s=20, retry_s=0.05, longest_retry_s=0.2, refused_retry_s=0.05)
DEADLINE_S = 30.0


async def eventually(condition: Callable[[], object], what: str = "") -> None:
    """Wait until ``condition`` holds; fail if it never does."""
    async for _ in async_turns(DEADLINE_S):
        if condition():
            return
    pytest.fail(what or f"never: {inspect.getsource(condition).strip()}")


@asynccontextmanager
async def running(*brokers: Broker, wait: bool = True) -> AsyncIterator[None]:
    """Run connections, by default until all are up; end them afterwards."""
    tasks = [asyncio.ensure_future(broker.run()) for broker in brokers]
    try:
        if wait:
            await eventually(
                lambda: all(broker.connected for broker in brokers),
                f"not connected: {[broker.refusal for broker in brokers]}",
            )
        yield
    finally:
        for task in tasks:
            task.cancel()
        ended = await asyncio.gather(*tasks, return_exceptions=True)
    assert all(isinstance(each, asyncio.CancelledError) for each in ended), ended


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Server:
    """A broker that knows ``USERS``."""

    url: str

    def connect(self, user: str, *, password: str | None = None, pace: Pace = QUICK) -> Broker:
        known = next(each.password for each in USERS if each.name == user)
        credentials = Credentials(user, known if password is None else password)
        return connect(self.url, name=user, credentials=credentials, pace=pace)

    async def start(self) -> None:
        raise NotImplementedError

    async def kill(self) -> None:
        """End it at once and forget all it knew but its users."""
        raise NotImplementedError

    async def stop(self) -> None:
        raise NotImplementedError

    def freeze(self) -> None:
        """Stop it from answering, with every connection open."""
        raise NotImplementedError

    def thaw(self) -> None:
        raise NotImplementedError


class NatsServer(Server):
    """The broker that the fleet brings along."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder / "broker"
        self.embedded = EmbeddedBroker(self._folder, port=free_port(), users=USERS)
        self.url = self.embedded.url

    async def start(self) -> None:
        await self.embedded.start()

    async def kill(self) -> None:
        self._signal(signal.SIGKILL)
        await self.embedded.stop()
        shutil.rmtree(self._folder / "store")

    async def stop(self) -> None:
        await self.embedded.stop()

    def freeze(self) -> None:
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self._signal(signal.SIGCONT)

    def _signal(self, number: int) -> None:
        assert self.embedded.pid is not None
        os.kill(self.embedded.pid, number)


class MosquittoServer(Server):
    """Mosquitto, as ``scripts/mosquitto`` sets it up."""

    def __init__(self, folder: Path) -> None:
        self._port = free_port()
        self._users = folder / "users"
        self._log = folder / "log"
        self.url = f"mqtt://127.0.0.1:{self._port}"
        self._process: subprocess.Popen[bytes] | None = None

    async def start(self) -> None:
        if reason := without_mosquitto():
            pytest.skip(reason)
        self._users.write_text("".join(f"{each.name}:{each.password}\n" for each in USERS))
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [ROOT / "scripts" / "mosquitto", self._users, str(self._port)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={**os.environ, "TMPDIR": str(self._users.parent)},
                start_new_session=True,
            )
        await eventually(self._listens, "Mosquitto does not listen")

    def _listens(self) -> bool:
        assert self._process is not None
        if self._process.poll() is not None:
            pytest.fail(f"Mosquitto ended: {self._log.read_text()}")
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self._port)) == 0

    async def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    async def stop(self) -> None:
        await self.kill()

    def freeze(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)


class MemoryServer(Server):
    """The one inside the process."""

    def __init__(self, folder: Path) -> None:
        self.hub: Hub = hub(folder.name)
        self.hub.set_users(USERS)
        self.url = f"memory://{folder.name}"

    async def start(self) -> None:
        self.hub.restore()

    async def kill(self) -> None:
        self.hub.cut()

    async def stop(self) -> None:
        self.hub.cut()


@functools.cache
def without_mosquitto() -> str:
    """Why Mosquitto cannot run here; empty if it can. As root, it gets installed."""
    done = subprocess.run(
        [ROOT / "scripts" / "apt", "mosquitto"], capture_output=True, text=True, check=False
    )
    return f"no Mosquitto: {done.stderr.strip()}" if done.returncode else ""


class _Kind(Protocol):
    def __call__(self, folder: Path) -> Server: ...


KINDS: dict[str, _Kind] = {
    "nats": NatsServer,
    "mosquitto": MosquittoServer,
    "memory": MemoryServer,
}
OVER_NETWORK = ("nats", "mosquitto")
ALL = (*OVER_NETWORK, "memory")

Scenario = Callable[[Server], Awaitable[None]]


def over(*kinds: str, start: bool = True) -> Callable[[Scenario], Callable[..., None]]:
    """Make a test for each kind of broker out of ``async def test_it(server)``."""

    def decorate(scenario: Scenario) -> Callable[..., None]:
        @pytest.mark.parametrize("kind", kinds)
        def test(kind: str, tmp_path: Path) -> None:
            asyncio.run(_play(scenario, KINDS[kind], tmp_path, start=start))

        test.__name__ = getattr(scenario, "__name__", "test")
        test.__doc__ = scenario.__doc__
        return test

    return decorate


async def _play(scenario: Scenario, kind: _Kind, folder: Path, *, start: bool) -> None:
    await asyncio.get_running_loop().getaddrinfo("127.0.0.1", 1)  # its thread comes once
    bugs: list[dict[str, object]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: bugs.append(context))
    before = open_descriptors()
    server = kind(folder)
    try:
        if start:
            await server.start()
        await scenario(server)
    finally:
        await server.stop()
    await eventually(lambda: len(asyncio.all_tasks()) == 1, f"tasks left: {asyncio.all_tasks()}")
    assert not bugs
    left = open_descriptors()
    assert len(left) <= len(before), f"descriptors left: {set(left.items()) - set(before.items())}"


def open_descriptors() -> dict[str, str]:
    """What this process has open, by number."""
    found = {}
    for each in Path("/proc/self/fd").iterdir():
        try:
            found[each.name] = str(each.readlink())
        except FileNotFoundError:
            continue  # the one that lists
    return found

"""The broker that the fleet brings along: its process, its users, its leftovers, TLS."""

import asyncio
import contextlib
import os
import signal
import socket
import ssl
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from brokers import QUICK, USERS, NatsServer, Server, eventually, over, running
from tls_samples import write_certificates

from edge_sdk.broker import Credentials, Pace, connect
from edge_sdk.broker.users import device_user
from edge_sdk.errors import FleetError, UnavailableError
from edge_sdk.spec.wire import UP_OF_ALL, down, up
from fleet.embedded import EmbeddedBroker
from fleet.nats_config import Tls, subjects
from fleet.nats_process import _servers_on


def embedded(server: Server) -> EmbeddedBroker:
    assert isinstance(server, NatsServer)
    return server.embedded


@over("nats")
async def test_a_device_gets_in_once_it_is_enrolled_and_out_once_it_is_revoked(
    server: Server,
) -> None:
    credentials = Credentials("cam-3", "3-secret")
    device = connect(server.url, name="cam-3", credentials=credentials, pace=QUICK)
    other = server.connect("cam-1")
    connections: list[None] = []
    other.on_connected(lambda: connections.append(None))
    async with running(other), running(device, wait=False):
        await eventually(lambda: "not authorized" in device.refusal)
        await embedded(server).set_users([*USERS, device_user("cam-3", "3-secret")])
        await eventually(lambda: device.connected)
        await device.publish(up("cam-3"), b"", qos=1)
        await embedded(server).set_users(USERS)
        await embedded(server).set_users(USERS)  # nothing changed: answered too
        await eventually(lambda: "not authorized" in device.refusal)
        await other.publish(up("cam-1"), b"", qos=1)
    assert len(connections) == 1


@over("nats")
async def test_users_are_set_while_the_server_dies(server: Server) -> None:
    broker = embedded(server)
    credentials = Credentials("cam-3", "3-secret")
    device = connect(server.url, name="cam-3", credentials=credentials, pace=QUICK)
    assert broker.pid is not None
    os.kill(broker.pid, signal.SIGKILL)
    await broker.set_users([*USERS, device_user("cam-3", "3-secret")])
    async with running(device):
        await device.publish(up("cam-3"), b"", qos=1)


@over("nats")
async def test_passwords_are_for_the_owner_alone(
    server: Server,
) -> None:
    folder = embedded(server)._folder
    config = folder / "nats.json"
    assert "1-secret" in config.read_text()
    assert stat.S_IMODE(config.stat().st_mode) == 0o600
    await embedded(server).set_users(USERS[:1])
    assert stat.S_IMODE(config.stat().st_mode) == 0o600
    assert "1-secret" not in config.read_text()


def test_a_server_that_dies_is_started_again_and_that_is_said(tmp_path: Path) -> None:
    async def scenario() -> None:
        said: list[str] = []
        server = NatsServer(tmp_path)
        broker = server.embedded
        broker._report = said.append
        await broker.start()
        device = server.connect("cam-1")
        async with running(device):
            for _ in range(2):
                first = broker.pid
                assert first is not None
                os.kill(first, signal.SIGKILL)
                await eventually(lambda first=first: broker.pid not in (None, first))
                await eventually(lambda: device.connected)
        await broker.stop()
        assert broker.pid is None
        assert said == [
            "The embedded broker ended by itself (code -9); restarting it.",
            "The embedded broker is back.",
        ] * 2  # fmt: skip

    asyncio.run(scenario())


def test_a_port_in_use_is_named(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        broker = EmbeddedBroker(tmp_path, port=port, users=USERS)
        with pytest.raises(UnavailableError, match=f"127.0.0.1:{port}: Address already in use"):
            asyncio.run(broker.start())


def test_a_server_that_does_not_start_says_why(tmp_path: Path) -> None:
    async def scenario() -> None:
        server = NatsServer(tmp_path)
        (tmp_path / "broker").mkdir()
        (tmp_path / "broker" / "store").write_text("a file, where a folder should be")
        with pytest.raises(UnavailableError, match=r"did not start: .* is not a directory"):
            await server.start()

    asyncio.run(scenario())


def test_a_server_killed_while_it_starts_gets_a_second_chance(tmp_path: Path) -> None:
    async def scenario() -> None:
        server = NatsServer(tmp_path)
        config = tmp_path / "broker" / "nats.json"
        starting = asyncio.create_task(server.start())
        await eventually(lambda: _servers_on(config))
        (first,) = _servers_on(config)
        os.kill(first, signal.SIGKILL)
        try:
            await starting
            await eventually(lambda: server.embedded.pid not in (None, first))
        finally:
            await server.stop()

    asyncio.run(scenario())


def test_one_folder_serves_one_fleet(tmp_path: Path) -> None:
    async def scenario() -> None:
        first, second = NatsServer(tmp_path), NatsServer(tmp_path)
        await first.start()
        device = first.connect("cam-1")
        async with running(device):
            with pytest.raises(UnavailableError, match="Another fleet"):
                await second.start()
            await device.publish(up("cam-1"), b"", qos=1)
        await first.stop()
        await second.start()
        await second.stop()

    asyncio.run(scenario())


def test_what_a_killed_fleet_left_running_is_ended(tmp_path: Path) -> None:
    """A fleet in a process of its own, killed; the next one takes the same folder and port."""
    folder = tmp_path / "a folder" / "bröker"
    server = NatsServer(tmp_path)
    port = int(server.url.rpartition(":")[2])
    program = (
        "import asyncio, sys, pathlib\n"
        "from fleet.embedded import EmbeddedBroker\n"
        "async def main():\n"
        f"    broker = EmbeddedBroker(pathlib.Path({str(folder)!r}), port={port})\n"
        "    await broker.start()\n"
        "    print(broker.pid, flush=True)\n"
        "    await asyncio.Event().wait()\n"
        "asyncio.run(main())\n"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE) as fleet:
        assert fleet.stdout is not None
        orphan = int(fleet.stdout.readline())
        fleet.kill()
    os.kill(orphan, 0)  # it lives on

    async def scenario() -> None:
        said: list[str] = []
        broker = EmbeddedBroker(folder, port=port, users=USERS, report=said.append)
        await broker.start()
        try:
            assert said == [f"A broker that an earlier fleet left running is ended (pid {orphan})."]
            async with running(server.connect("cam-1")):
                pass
        finally:
            await broker.stop()

    asyncio.run(scenario())


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_certificates(tmp_path_factory.mktemp("tls"))


@pytest.mark.parametrize("mutual", [False, True])
def test_over_tls(tmp_path: Path, certificates: Path, mutual: bool) -> None:
    def file(name: str) -> str:
        return str(certificates / name)

    def client(ca: str, **own: str) -> Credentials:
        return Credentials("cam-1", "1-secret", ca_file=file(ca), **own)

    own = {"cert_file": file("client.crt"), "key_file": file("client.key")} if mutual else {}

    async def scenario() -> None:
        port = int(NatsServer(tmp_path).url.rpartition(":")[2])
        tls = Tls(
            certificates / "server.crt",
            certificates / "server.key",
            certificates / "ca.crt" if mutual else None,
        )
        broker = EmbeddedBroker(tmp_path / "tls", port=port, users=USERS, tls=tls)
        await broker.start()
        assert broker.url == f"mqtts://127.0.0.1:{port}"
        device = connect(broker.url, name="cam-1", credentials=client("ca.crt", **own), pace=QUICK)
        wary = connect(broker.url, name="wary", credentials=client("foreign.crt"), pace=QUICK)
        plain = connect(f"mqtt://127.0.0.1:{port}", name="plain", pace=QUICK)
        fleet = connect(
            broker.url,
            name="fleet",
            credentials=Credentials("fleet", "f-secret", ca_file=file("ca.crt"), **own),
            pace=QUICK,
        )
        heard: list[bytes] = []
        device.subscribe(down("cam-1"), lambda message: heard.append(message.payload))
        sent = [bytes([number]) * 60_000 for number in range(20)]
        try:
            async with running(device, fleet), running(wary, plain, wait=False):
                for payload in sent:
                    await fleet.publish(down("cam-1"), payload)
                await eventually(lambda: heard == sent)
                await eventually(lambda: "is not trusted" in wary.refusal)
                await eventually(lambda: plain.refusal)
                assert not plain.connected
            for turns in range(0, 400, 8):
                task = asyncio.ensure_future(device.run())
                for _ in range(turns):
                    await asyncio.sleep(0)
                task.cancel()
                await asyncio.wait({task})
            if mutual:
                nobody = connect(broker.url, name="cam-1", credentials=client("ca.crt"), pace=QUICK)
                async with running(nobody, wait=False):
                    await eventually(lambda: nobody.refusal)
                    assert not nobody.connected
        finally:
            await broker.stop()

    asyncio.run(scenario())


def test_all_messages_of_one_tls_record_are_read(certificates: Path) -> None:
    """Once it is decrypted, the socket has nothing left to wake the loop with."""
    many = [b"%03d" % number for number in range(500)]

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1_000)  # CONNECT
        writer.write(b"\x20\x02\x00\x00")
        asked = await reader.read(1_000)  # SUBSCRIBE, its number first
        writer.write(b"\x90\x03" + asked[2:4] + b"\x00")
        writer.write(b"".join(b"\x30\x06\x00\x01a" + each for each in many))
        await reader.read()
        writer.close()

    async def scenario() -> None:
        tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        tls.load_cert_chain(certificates / "server.crt", certificates / "server.key")
        server = await asyncio.start_server(answer, "127.0.0.1", 0, ssl=tls)
        port = server.sockets[0].getsockname()[1]
        credentials = Credentials(ca_file=str(certificates / "ca.crt"))
        device = connect(f"mqtts://127.0.0.1:{port}", name="cam-1", credentials=credentials)
        heard: list[bytes] = []
        device.subscribe("a", lambda message: heard.append(message.payload))
        async with running(device):
            await eventually(lambda: heard == many)
        server.close()
        await server.wait_closed()

    asyncio.run(scenario())


class SlowLink:
    """A way to a broker that lets so many bytes a second through, each way."""

    def __init__(self, port: int, bytes_a_second: int) -> None:
        self._port = port
        self._rate = bytes_a_second
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> str:
        # Small buffers: what waits, waits at the sender.
        listening = socket.create_server(("127.0.0.1", 0))
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)
        self._server = await asyncio.start_server(self._carry, sock=listening, limit=4096)
        return f"mqtt://127.0.0.1:{listening.getsockname()[1]}"

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        onward = await asyncio.open_connection("127.0.0.1", self._port, limit=4096)
        for source, sink in ((reader, onward[1]), (onward[0], writer)):
            self._tasks.add(asyncio.ensure_future(self._copy(source, sink)))

    async def _copy(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        try:
            while piece := await source.read(self._rate // 50):
                sink.write(piece)
                await sink.drain()
                await asyncio.sleep(len(piece) / self._rate)
        finally:
            sink.close()


@over("nats")
async def test_a_large_message_on_a_slow_link_does_not_pass_for_silence(server: Server) -> None:
    """The answer to the ping stands behind it; the broker itself counts on pings all the while."""
    fleet = server.connect("fleet")
    ends: list[str] = []
    heard: list[int] = []
    port = int(server.url.rpartition(":")[2])
    async with SlowLink(port, 80_000) as url, running(fleet):
        pace = Pace(keepalive_s=2, retry_s=0.05, longest_retry_s=0.1)
        device = connect(url, name="cam-1", credentials=Credentials("cam-1", "1-secret"), pace=pace)
        device.subscribe(down("cam-1"), lambda message: heard.append(len(message.payload)))
        device.on_connected(lambda: ends.append("connected"))
        async with running(device):
            await fleet.publish(down("cam-1"), bytes(420_000))
            await eventually(lambda: heard)
    assert heard == [420_000]
    assert ends == ["connected"]


@over("nats")
async def test_a_broker_that_sends_too_much_is_left(server: Server) -> None:
    """No memory is spent on it: a hostile broker could fill a small machine's."""
    fleet = server.connect("fleet")

    async def flood(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):  # it leaves with bytes unread: a reset
            await reader.read(100)  # CONNECT
            writer.write(b"\x20\x02\x00\x00" + b"\x30\xff\xff\xff\x7f" + bytes(1_000))
            await writer.drain()
            await reader.read()
        writer.close()

    hostile = await asyncio.start_server(flood, "127.0.0.1", 0)
    port = hostile.sockets[0].getsockname()[1]
    device = connect(f"mqtt://127.0.0.1:{port}", name="cam-1", pace=QUICK)
    async with running(fleet), running(device, wait=False):
        await eventually(lambda: "sends a message of 268435455 bytes" in device.refusal)
    hostile.close()
    await hostile.wait_closed()


@pytest.mark.parametrize(
    "said", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"\x20\x02", b"", bytes(100)]
)
def test_what_is_no_broker_is_survived(said: bytes) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            await reader.read(100)
            writer.write(said)
            await writer.drain()
        writer.close()

    async def scenario() -> None:
        server = await asyncio.start_server(answer, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        device = connect(f"mqtt://127.0.0.1:{port}", name="cam-1", pace=QUICK)
        async with running(device, wait=False):
            await eventually(lambda: device.refusal)
            assert not device.connected
            with pytest.raises(FleetError):
                await device.publish(up("cam-1"), b"")
        server.close()
        await server.wait_closed()

    asyncio.run(scenario())


def test_patterns_as_subjects() -> None:
    assert subjects(UP_OF_ALL) == ["edge.v1.*.*.up"]
    assert subjects("edge/v1/#") == ["edge.v1", "edge.v1.>"]

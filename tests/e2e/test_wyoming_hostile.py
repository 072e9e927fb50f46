"""The wake-word service among strangers: malformed messages, full houses, peers that are lost."""

from __future__ import annotations

import asyncio
import errno
import json
import logging
import random
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from edge_sdk.voice.server import MAX_CLIENTS, WakeServer
from edge_sdk.voice.wyoming import MAX_LINE_BYTES
from examples.assets import asset
from tests.patience import turns
from tests.wyoming_service import PATIENCE_S, Service


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    running = Service(tmp_path / "log")
    yield running
    running.close()


def connect(service: Service) -> socket.socket:
    return socket.create_connection(("127.0.0.1", service.port), PATIENCE_S)


def message(kind: Any, data: Any = None, payload: bytes = b"", **head: Any) -> bytes:
    told = {"type": kind, "data": data, "payload_length": len(payload), **head}
    return json.dumps(told).encode() + b"\n" + payload


def told(client: socket.socket) -> list[dict[str, Any]]:
    """All that a client is told until the service hangs up."""
    with client.makefile("rb") as file:
        lines = iter(file.readline, b"")
        found = []
        for line in lines:
            head = json.loads(line)
            found.append({**head, **json.loads(file.read(head.get("data_length", 0)) or b"{}")})
    return found


def answer_to(service: Service, said: bytes) -> list[dict[str, Any]]:
    with connect(service) as client:
        client.sendall(said)
        client.shutdown(socket.SHUT_WR)
        return told(client)


def test_it_ends_while_a_client_does_not_read(service: Service) -> None:
    with connect(service) as client:
        client.settimeout(2)
        with pytest.raises(TimeoutError):  # it takes no more, for nobody reads its answers
            while True:
                client.sendall(message("describe") * 500)
        service.end()


STRANGE: dict[str, bytes] = {
    "names of objects": message("detect", {"names": [{}]}),
    "names of lists": message("detect", {"names": [["okay_nabu"]]}),
    "names in an object": message("detect", {"names": {"okay_nabu": 1}}),
    "half a surrogate pair for a name": message("detect", {"names": ["\ud800"]}),
    "a ping of a number": message("ping", {"text": 7}),
    "no type": message(None),
    "a length that is true": message("describe", data_length=True),
    "a length with a fraction": message("describe", data_length=1.5),
    "a length in a text": message("describe", payload_length="12"),
    "a length of a thousand digits": b'{"type": "describe", "data_length": ' + b"9" * 1000 + b"}\n",
    "data that is a list": message("describe", [1]),
    "data that is a zero": message("describe", 0),
    "a rate of no kind": message("audio-start", {"rate": "16000", "width": 2, "channels": 1}),
    "a rate of nothing": message("audio-start", {"rate": 0, "width": 2, "channels": 1}),
    "no channels": message("audio-start", {"rate": 16000, "width": 2, "channels": 0}),
    "channels that are true": message("audio-start", {"rate": 16000, "width": 2, "channels": True}),
    "a width of lists": message("audio-start", {"rate": 16000, "width": [[2]], "channels": 1}),
}


@pytest.mark.parametrize("case", STRANGE)
def test_what_makes_no_sense_is_told_to_who_sent_it(case: str, shared: Service) -> None:
    (error,) = answer_to(shared, STRANGE[case])
    assert error["type"] == "error"
    assert error["text"]
    assert len(error["text"]) < 300


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    running = Service(tmp_path_factory.mktemp("shared") / "log")
    yield running
    log = running.end()
    assert "Traceback" not in log
    assert "exception" not in log.lower()


def test_half_a_surrogate_pair_comes_back(shared: Service) -> None:
    (pong,) = answer_to(shared, message("ping", {"text": "\ud800"}))
    assert pong["text"] == "\ud800"


def test_names_said_a_thousand_times_are_one(shared: Service) -> None:
    sound = {"rate": 16000, "width": 2, "channels": 1, "timestamp": 10**4000}
    said = message("detect", {"names": ["alexa"] * 5000}) + message("audio-start", sound)
    (answer,) = answer_to(shared, said + message("audio-stop"))
    assert answer["type"] == "not-detected"


def test_the_error_arrives_though_the_client_goes_on_sending(shared: Service) -> None:
    with connect(shared) as client:
        client.sendall(message("detect", {"names": ["computer"]}))
        client.sendall(message("audio-chunk", {}, b"\0" * 2048) * 100)
        client.shutdown(socket.SHUT_WR)
        (error,) = told(client)
    assert "computer" in error["text"]


KINDS = ("describe", "ping", "detect", "audio-start", "audio-chunk", "audio-stop", "x", "", 7, None)
FORMATS = ({"rate": 16000, "width": 2, "channels": 1}, {"rate": 44100, "width": 2, "channels": 2})
ANYTHING: tuple[Callable[[random.Random], Any], ...] = (
    lambda _: None,
    lambda dice: dice.choice([True, False, 0, 1, 2, -1, 16000, 2**31, 2**63, 10**400, 1e308, 0.5]),
    lambda dice: dice.choice([float("nan"), float("inf"), -float("inf")]),
    lambda dice: dice.choice(["", "okay_nabu", "\ud800", "\0", "\n", "é", "x" * 5000]),
    lambda dice: [anything(dice) for _ in range(dice.randrange(3))],
    lambda dice: {dice.choice(["", "a", "names"]): anything(dice)},
    lambda _: deep(200),
)


def anything(dice: random.Random) -> Any:
    return dice.choice(ANYTHING)(dice)


def deep(levels: int) -> list[Any]:
    nest: list[Any] = []
    for _ in range(levels):
        nest = [nest]
    return nest


def strange(dice: random.Random) -> bytes:
    """A message of which some parts are right, so that the others are looked at."""
    fields = ("rate", "width", "channels", "timestamp", "names", "text")
    data: Any = dict(dice.choice(FORMATS)) if dice.random() < 0.7 else {}
    for _ in range(dice.randrange(3)):
        data[dice.choice(fields)] = anything(dice)
    data = anything(dice) if dice.random() < 0.1 else data
    payload = dice.randbytes(dice.choice([0, 0, 1, 2, 3, 7, 640, 2049, 60_000]))
    head: dict[str, Any] = {"type": dice.choice(KINDS[:6] * 3 + KINDS), "version": anything(dice)}
    after = b""
    if dice.random() < 0.5:
        after = json.dumps(data).encode()
        head["data_length"] = len(after)
    else:
        head["data"] = data
    if payload or dice.random() < 0.5:
        head["payload_length"] = len(payload)
    if dice.random() < 0.1:
        head[dice.choice(["data_length", "payload_length", "data", "type"])] = anything(dice)
    whole = json.dumps(head).encode() + b"\n" + after + payload
    return whole[: dice.randrange(len(whole))] if dice.random() < 0.05 else whole


def test_messages_of_all_kinds_leave_no_traceback(service: Service) -> None:
    dice = random.Random(6)
    for _ in range(300):
        said = b"".join(strange(dice) for _ in range(dice.randrange(1, 6)))
        assert {each["type"] for each in answer_to(service, said)} <= {
            *("info", "pong", "error", "not-detected", "detection")
        }
    nested = b'{"type": "ping", "data": {"text": %s%s}}\n'
    for depth in (*range(900, 1000, 3), 5000):
        answer_to(service, nested % (b"[" * depth, b"]" * depth))
    (ours,) = answer_to(service, message("describe"))
    assert ours["type"] == "info"
    log = service.end()
    assert "Traceback" not in log
    assert "exception" not in log.lower()


def test_a_full_house_says_so(service: Service) -> None:
    guests = [connect(service) for _ in range(MAX_CLIENTS)]
    try:
        for guest in guests:
            guest.sendall(message("ping"))
            assert guest.recv(1)  # it has been let in, and is silent from now on
        for _ in range(3):
            (error,) = answer_to(service, message("describe"))
            assert error["type"] == "error"
            assert "full" in error["text"]
        guests.pop().close()
        for _ in turns(PATIENCE_S):
            (answer,) = answer_to(service, message("describe"))
            if answer["type"] == "info":
                break
        assert answer["type"] == "info"
    finally:
        for guest in guests:
            guest.close()
    assert service.end().count("turned away") >= 1


def test_a_full_house_is_logged_once(service: Service) -> None:
    guests = [connect(service) for _ in range(MAX_CLIENTS)]
    try:
        for guest in guests:
            guest.sendall(message("ping"))
            assert guest.recv(1)
        for _ in range(3):
            answer_to(service, message("describe"))
        assert service.log.read_text().count("turned away") == 1
    finally:
        for guest in guests:
            guest.close()


def test_the_system_asks_after_a_silent_client(service: Service) -> None:
    """The kernel's table: timer 2 of a connection is the one that keeps it alive."""
    with connect(service) as client:
        client.sendall(message("ping"))
        assert client.recv(1)
        ours = [f"0100007F:{port:04X}" for port in (service.port, client.getsockname()[1])]
        rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()]
        (timer,) = (row[5].partition(":")[0] for row in rows if row[1:3] == ours)
    assert timer == "02"


def test_a_peer_lost_to_the_network_is_a_line_of_the_log(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """As asyncio hands it on when the system gives a connection up: no ConnectionError."""
    caplog.set_level(logging.INFO)
    unhandled: list[dict[str, Any]] = []

    async def lose() -> None:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: unhandled.append(context))
        server = WakeServer({"alexa": asset("wake-words") / "alexa.tflite"})
        with socket.create_server(("127.0.0.1", 0)) as listening:
            theirs = socket.create_connection(listening.getsockname())
            ours, _ = listening.accept()
        _, writer = await asyncio.open_connection(sock=ours)
        reader = asyncio.StreamReader(limit=MAX_LINE_BYTES)
        reader.set_exception(TimeoutError(errno.ETIMEDOUT, "Connection timed out"))
        await server._welcome(reader, writer)
        theirs.close()

    asyncio.run(lose())
    assert not unhandled
    assert "Connection timed out" in caplog.text

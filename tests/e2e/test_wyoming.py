"""The wake-word service, asked by the protocol's own client, and by clients that misbehave."""

from __future__ import annotations

import asyncio
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from wyoming.audio import AudioChunk, AudioStart, AudioStop
from wyoming.client import AsyncTcpClient
from wyoming.event import Event
from wyoming.info import Describe, Info
from wyoming.ping import Ping, Pong
from wyoming.wake import Detect, Detection, NotDetected

from edge_sdk.voice.wyoming import info
from examples.assets import asset
from tests.spoken import heard, speak
from tests.wyoming_service import PATIENCE_S, Service


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    running = Service(tmp_path_factory.mktemp("service") / "log")
    yield running
    if running.process.poll() is None:
        running.end()


@pytest.fixture(scope="module")
def two_words(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The wake word twice, with what is no wake word before, between and after."""
    folder = tmp_path_factory.mktemp("words")
    word = heard(speak("okay nabu", folder / "word.wav"))
    read = heard(sorted(asset("speech").glob("*.wav"))[0])
    gap = np.zeros(16_000, np.int16)
    return np.concatenate([read, gap, word, gap, gap, word, gap]).tobytes()


async def stream(client: AsyncTcpClient, pcm: bytes, chunk: int, pause_s: float = 0.0) -> None:
    await client.write_event(AudioStart(16_000, 2, 1).event())
    for at in range(0, len(pcm), chunk):
        await client.write_event(AudioChunk(16_000, 2, 1, pcm[at : at + chunk]).event())
        if pause_s:
            await asyncio.sleep(pause_s)
    await client.write_event(AudioStop().event())
    await client.write_event(Describe().event())  # whose answer comes after all detections


async def answers(client: AsyncTcpClient) -> list[Event]:
    found: list[Event] = []
    while True:
        event = await asyncio.wait_for(client.read_event(), PATIENCE_S)
        assert event is not None
        if Info.is_type(event.type):
            return found
        found.append(event)


def test_a_word_of_which_nothing_is_known() -> None:
    (program,) = Info.from_event(Event("info", info(["hey_house"]).data)).wake
    (model,) = program.models
    assert (model.name, model.phrase, model.languages) == ("hey_house", "Hey House", [])
    assert (model.attribution.name, model.version) == ("unknown", None)


def ask(service: Service, pcm: bytes, names: list[str], chunk: int = 2048) -> list[Event]:
    async def talk() -> list[Event]:
        async with AsyncTcpClient("127.0.0.1", service.port) as client:
            await client.write_event(Detect(names=names).event())
            await stream(client, pcm, chunk)
            return await answers(client)

    return asyncio.run(talk())


def test_it_says_what_it_knows(service: Service) -> None:
    async def talk() -> None:
        async with AsyncTcpClient("127.0.0.1", service.port) as client:
            await client.write_event(Describe().event())
            event = await asyncio.wait_for(client.read_event(), PATIENCE_S)
            assert event is not None
            (program,) = Info.from_event(event).wake
            assert [model.name for model in program.models] == ["okay_nabu", "alexa"]
            assert all(model.installed for model in program.models)
            assert [model.phrase for model in program.models] == ["Okay Nabu", "Alexa"]
            assert {model.attribution.name for model in program.models} == {"Kevin Ahrendt"}
            await client.write_event(Ping(text="there?").event())
            event = await asyncio.wait_for(client.read_event(), PATIENCE_S)
            assert event is not None
            assert Pong.from_event(event).text == "there?"

    asyncio.run(talk())


@pytest.mark.parametrize("chunk", [320, 2048, 100_000])
def test_one_detection_a_word_faster_than_real_time(
    service: Service, two_words: bytes, chunk: int
) -> None:
    found = ask(service, two_words, ["okay_nabu"], chunk)
    detections = [Detection.from_event(event) for event in found]
    assert [detection.name for detection in detections] == ["okay_nabu"] * 2
    first, second = (detection.timestamp or 0 for detection in detections)
    assert second - first == pytest.approx(len(two_words) / 32 - first - 1000, abs=1000)


def test_a_word_that_was_not_asked_for(service: Service, two_words: bytes) -> None:
    assert [event.type for event in ask(service, two_words, ["alexa"])] == [
        NotDetected().event().type
    ]


def test_two_clients_at_once_and_another_rate(service: Service, two_words: bytes) -> None:
    async def talk() -> list[list[Event]]:
        async def one() -> list[Event]:
            async with AsyncTcpClient("127.0.0.1", service.port) as client:
                await stream(client, two_words, 4096)
                return await answers(client)

        return await asyncio.gather(one(), one())

    for found in asyncio.run(talk()):
        assert [event.type for event in found] == ["detection", "detection"]


MISBEHAVIOUR = {
    "gone before a word": b"",
    "cut off in a line": b'{"type": "descr',
    "cut off in a payload": b'{"type": "audio-chunk", "payload_length": 2048}\n\0\0\0',
    "no JSON": b"GET / HTTP/1.1\r\n\r\n",
    "no object": b"[1]\n",
    "a payload without end": b'{"type": "audio-chunk", "payload_length": 99999999999}\n',
    "a negative length": b'{"type": "audio-chunk", "data_length": -1}\n',
    "an endless line": b"x" * 200_000,
    "deep JSON": b"[" * 60_000 + b"\n",
    "8-bit sound": b'{"type": "audio-start", "data": {"rate": 8000, "width": 1, "channels": 1}}\n',
    "no such word": b'{"type": "detect", "data": {"names": ["computer"]}}\n',
    "names that are none": b'{"type": "detect", "data": {"names": 7}}\n',
    "sound of no format": b'{"type": "audio-chunk", "payload_length": 2}\n\0\0',
}


def test_clients_that_misbehave_or_disappear(tmp_path: Path, two_words: bytes) -> None:
    service = Service(tmp_path / "log")
    try:
        for said in MISBEHAVIOUR.values():
            with socket.create_connection(("127.0.0.1", service.port), PATIENCE_S) as client:
                client.sendall(said)
        with socket.create_connection(("127.0.0.1", service.port), PATIENCE_S) as client:
            linger = b"\1\0\0\0\0\0\0\0"
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)  # closing is a reset
            client.sendall(b'{"type": "describe"}\n' * 50)
        assert len(ask(service, two_words, ["okay_nabu"])) == 2  # it serves all the same
    finally:
        log = service.end()
    assert "Traceback" not in log
    assert "exception" not in log.lower()
    assert "the client 127.0.0.1:" in log
    assert "has gone" in log
    assert "computer" in log


def test_an_address_that_is_taken(service: Service) -> None:
    model = str(asset("wake-words") / "alexa.tflite")
    taken = f"tcp://127.0.0.1:{service.port}"
    done = subprocess.run(
        [sys.executable, "-m", "edge_sdk", "voice", "serve", model, "--listen", taken],
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE_S,
    )
    assert done.returncode == 3
    assert "cannot be listened on: Address already in use." in done.stderr
    assert done.stderr.count(str(service.port)) == 1
    assert "--listen" not in done.stderr  # edge demo voice --wyoming says the same

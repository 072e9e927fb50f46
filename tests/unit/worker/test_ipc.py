"""The line between supervisor and worker: every word crosses it, what is no word is refused."""

import asyncio
import socket
import struct
import subprocess
import sys
import threading
from collections.abc import Iterator

import pytest

from device_agent import ipc
from edge_sdk.spec.placement import Attempt, Placement
from edge_sdk.spec.sketch import Comparison, LogHistogram, Window

PLACEMENT = Placement(
    backend="litert",
    backend_version="2",
    requested=("gpu",),
    attempts=(Attempt(delegate="gpu", active=False, reason="none here"),),
    operations=7,
    threads=1,
)
WINDOW = Window(
    app="a",
    artifact="0" * 64,
    role="shadow",
    started_ms=1,
    ended_ms=2,
    boot="b",
    monotonic_ms=3,
    latency=LogHistogram(counts={-3: 1, 250: 2}),
    classes={0: 3},
    comparison=Comparison(compared=3, disagreed=1),
)
COMMANDS = [
    ipc.Configure(
        app="a",
        source=ipc.Source(kind="video", path="/v.mp4", interval_ms=50),
        boot="b",
        window_s=2.5,
        delegates=("gpu", "xnnpack"),
        threads=2,
    ),
    ipc.Check(slot="/slots/0", artifact="0" * 64),
    ipc.Serve(slot="/slots/0", artifact="0" * 64),
    ipc.Shadow(slot="/slots/1", artifact="1" * 64),
    ipc.StopShadow(),
    ipc.Stop(),
]
NOTICES = [
    ipc.Checked(artifact="0", ok=False, reason="no", placement=PLACEMENT, differences={"y": None}),
    ipc.Serving(artifact="0", placement=PLACEMENT),
    ipc.Shadowing(artifact="0", placement=PLACEMENT),
    ipc.Failed(what="serve", reason="no engine", artifact="0"),
    ipc.Closed(window=WINDOW),
    ipc.Beat(monotonic_ms=5, artifact="0", inferences=1, errors=2, last_error="x", unread=3),
    ipc.Beat(monotonic_ms=5, refused={"dark": 2}, unrecorded=4, no_input="a", no_record="b"),
]


@pytest.fixture
def ends() -> Iterator[tuple[socket.socket, socket.socket]]:
    ours, theirs = socket.socketpair()
    yield ours, theirs
    ours.close()
    theirs.close()


def test_every_word_crosses(ends) -> None:
    worker = ipc.WorkerEnd(ends[1])
    received: list[ipc.Command | None] = []

    def work() -> None:
        received.extend(worker.receive() for _ in COMMANDS)
        for notice in NOTICES:
            worker.send(notice)
        worker.close()

    async def supervise() -> list[ipc.Notice | None]:
        supervisor = await ipc.SupervisorEnd.open(ends[0])
        for command in COMMANDS:
            await supervisor.send(command)
        heard = [await supervisor.receive() for _ in (*NOTICES, None)]
        await supervisor.close()
        return heard

    thread = threading.Thread(target=work)
    thread.start()
    heard = asyncio.run(supervise())
    thread.join()
    assert received == COMMANDS
    assert heard == [*NOTICES, None]


def test_a_word_of_many_packets_crosses(ends) -> None:
    large = ipc.Failed(what="serve", reason="x" * 900_000, artifact="0")

    async def supervise() -> ipc.Notice | None:
        supervisor = await ipc.SupervisorEnd.open(ends[0])
        heard = await supervisor.receive()
        await supervisor.close()
        return heard

    thread = threading.Thread(target=ipc.WorkerEnd(ends[1]).send, args=(large,))
    thread.start()
    assert asyncio.run(supervise()) == large
    thread.join()


def test_what_is_too_large_is_not_sent(ends) -> None:
    with pytest.raises(ipc.LineError, match="over the limit"):
        ipc.WorkerEnd(ends[1]).send(ipc.Failed(what="serve", reason="x" * 2_000_000, artifact="0"))


NO_WORDS = [b"\x93\x01\x02\x03", b"\x81\xa4word\xa3sing", b"\xc1", b"\x81\xa4word\xa5serve"]


@pytest.mark.parametrize("body", NO_WORDS)
def test_what_is_no_word_is_refused_by_the_worker(ends, body: bytes) -> None:
    ends[0].sendall(struct.pack(">I", len(body)) + body)
    with pytest.raises(ipc.LineError, match="no word"):
        ipc.WorkerEnd(ends[1]).receive()


@pytest.mark.parametrize("frame", [*(struct.pack(">I", len(b)) + b for b in NO_WORDS)])
def test_what_is_no_word_is_refused_by_the_supervisor(ends, frame: bytes) -> None:
    async def supervise() -> None:
        supervisor = await ipc.SupervisorEnd.open(ends[0])
        try:
            await supervisor.receive()
        finally:
            await supervisor.close()

    ends[1].sendall(frame)
    with pytest.raises(ipc.LineError, match="no word"):
        asyncio.run(supervise())


@pytest.mark.parametrize("length", [0, 1 << 20 | 1, 0xFFFFFFFF])
def test_an_absurd_length_is_refused(ends, length: int) -> None:
    ends[0].sendall(struct.pack(">I", length))
    with pytest.raises(ipc.LineError, match="not in step"):
        ipc.WorkerEnd(ends[1]).receive()


@pytest.mark.parametrize("rest", [b"", b"\0\0", b"\0\0\0\x20half"])
def test_an_end_in_the_middle_is_an_end(ends, rest: bytes) -> None:
    ends[0].sendall(rest)
    ends[0].close()
    assert ipc.WorkerEnd(ends[1]).receive() is None


def test_it_imports_nothing_heavy() -> None:
    code = "import sys, device_agent.ipc; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"asyncio", "numpy", "cv2", "ai_edge_litert"} & set(done.stdout.split())

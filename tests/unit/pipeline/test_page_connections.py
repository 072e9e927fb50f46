"""The live page and those who talk to it badly, by raw sockets: many, slow, silent, malformed."""

from __future__ import annotations

import logging
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from edge_sdk.errors import UsageError
from edge_sdk.pipeline import Frame, Pipeline
from edge_sdk.pipeline.outputs import LivePage, page_server
from edge_sdk.pipeline.outputs.page_server import MOST_CONNECTIONS
from edge_sdk.pipeline.sources import Synthetic


@pytest.fixture
def page() -> Iterator[LivePage]:
    with LivePage(port=0) as page:
        yield page


def call(page: LivePage, said: bytes = b"") -> socket.socket:
    host, port = page._server.server_address[:2]
    connection = socket.create_connection((str(host), int(port)), timeout=20)
    connection.sendall(said)
    return connection


def heard(connection: socket.socket) -> bytes:
    """All that comes until the other end hangs up."""
    found = b""
    try:
        while block := connection.recv(65536):
            found += block
    except ConnectionResetError:
        pass  # hung up with something of ours unread
    finally:
        connection.close()
    return found


def get(page: LivePage, path: str = "/", host: str = "localhost") -> bytes:
    return heard(call(page, f"GET {path} HTTP/1.0\r\nHost: {host}\r\n\r\n".encode()))


def eventually(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def talking() -> int:
    """Threads that serve a connection."""
    return sum("process_request_thread" in thread.name for thread in threading.enumerate())


@pytest.mark.parametrize(
    ("host", "status"),
    [
        *(("LOCALHOST", 200), ("LocalHost:8089", 200), ("127.0.0.1:1", 200)),
        *(("[::1]:99", 200), ("[::1]", 200)),
        *(("evil.example", 403), ("127.0.0.1.evil.example", 403), ("localhost.evil.example", 403)),
        *(("", 403), ("[", 403), ("[localhost]", 403)),
    ],
)
def test_the_hosts_that_it_is_asked_as(page: LivePage, host: str, status: int) -> None:
    assert get(page, host=host).startswith(f"HTTP/1.0 {status} ".encode())


def test_two_pages_of_one_pipeline_have_two_names() -> None:
    class Dark:
        name = "dark"

        def process(self, frame: Frame) -> Frame:
            return frame.shows(np.zeros_like(frame.picture))

    source = Synthetic(64, 48, frames=3, live=False)
    pages = [LivePage(port=0, name="porch"), LivePage(port=0, name="porch dark")]
    report = Pipeline(source, [Dark()], pages).run()
    assert {"porch", "porch dark"} <= report.stages.keys()
    pages = [LivePage(port=0), LivePage(port=0)]
    with pytest.raises(UsageError, match="are called 'page'"):
        Pipeline(source, [], pages)
    for page in pages:
        page._server.server_close()


def test_of_many_who_say_nothing_some_are_kept_and_others_served(page: LivePage) -> None:
    silent = [call(page) for _ in range(600)]  # a short backlog would keep these for minutes
    assert get(page).startswith(b"HTTP/1.0 200 ")
    eventually(lambda: talking() <= MOST_CONNECTIONS)
    assert heard(silent[0]) == b""  # who had been silent longest
    silent[-1].sendall(b"GET / HTTP/1.0\r\nHost: localhost\r\n\r\n")
    assert heard(silent[-1]).startswith(b"HTTP/1.0 200 ")
    for each in silent:
        each.close()


def test_where_all_are_at_work_one_more_is_hung_up_on(page: LivePage) -> None:
    wish = b"GET /frame.jpg HTTP/1.0\r\nHost: localhost\r\n\r\n"
    waiting = [call(page, wish) for _ in range(MOST_CONNECTIONS)]
    server = page._server
    eventually(lambda: len(server._open) == MOST_CONNECTIONS and not server._silent)
    assert get(page) == b""
    page.take(Frame(np.zeros((8, 8, 3), np.uint8), Path("x"), 0, 0.0, stream="x"))
    for each in waiting:
        assert heard(each).startswith(b"HTTP/1.0 200 ")
    assert get(page).startswith(b"HTTP/1.0 200 ")


@pytest.mark.parametrize(
    "drip", [b"", b"G", b"GET / HTTP/1.0\r\nX: "], ids=["none", "line", "head"]
)
def test_a_request_that_does_not_come_to_its_end(
    page: LivePage, drip: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(page_server, "REQUEST_S", 0.2)
    connection = call(page, drip)
    connection.settimeout(0.05)
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:  # as if it were going to be said
        try:
            if drip:
                connection.sendall(b"a")
            if not connection.recv(4096):
                break
        except TimeoutError:
            continue
        except ConnectionError:
            break
    else:
        pytest.fail("It may drip for ever.")
    connection.close()
    eventually(lambda: talking() == 0)


def test_who_goes_away_is_no_event_and_a_bug_is_told(
    page: LivePage, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    page.take(Frame(np.zeros((480, 640, 3), np.uint8), Path("x"), 0, 0.0, stream="x"))
    for said in (b"", b"GE", b"\x00\xff\r\n\r\n", b"GET /stream.mjpg HTTP/1.0\r\nHost: localhost"):
        call(page, said).close()
    viewer = call(page, b"GET /stream.mjpg HTTP/1.0\r\nHost: localhost\r\n\r\n")
    assert viewer.recv(100)
    viewer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")  # a reset
    viewer.close()

    def shown() -> bool:
        page.take(Frame(np.zeros((480, 640, 3), np.uint8), Path("x"), 0, 0.0, stream="x"))
        return talking() == 0

    eventually(shown)
    assert get(page, "http://[/").startswith(b"HTTP/1.0 400 ")
    assert not caplog.records
    assert page.viewers == 0

    def bug() -> bytes:
        raise ZeroDivisionError("ours")

    monkeypatch.setattr(page, "metrics", bug)
    assert get(page, "/metrics.json") == b""
    (record,) = caplog.records
    assert record.levelno == logging.ERROR
    assert record.exc_info is not None
    assert record.exc_info[0] is ZeroDivisionError
    assert get(page).startswith(b"HTTP/1.0 200 ")


def test_so_many_viewers_and_no_more(page: LivePage) -> None:
    page.take(Frame(np.zeros((8, 8, 3), np.uint8), Path("x"), 0, 0.0, stream="x"))
    wish = b"GET /stream.mjpg HTTP/1.0\r\nHost: localhost\r\n\r\n"
    viewers = [call(page, wish) for _ in range(8)]
    assert all(viewer.recv(12) == b"HTTP/1.0 200" for viewer in viewers)
    assert get(page, "/stream.mjpg").startswith(b"HTTP/1.0 503 ")
    for viewer in viewers:
        viewer.close()


def test_at_the_end_nobody_is_waited_for() -> None:
    with LivePage(port=0) as page:
        silent = call(page)
        eventually(lambda: len(page._server._silent) == 1)
    assert heard(silent) == b""
    eventually(lambda: talking() == 0)

"""Who talks to the live page: its connections, and what each of them is answered.

A connection is one request and one thread, and there are ``MOST_CONNECTIONS`` at most. Who has not
said all of its request after ``REQUEST_S`` is hung up on, however it drips; where one more comes
than there is room for, the one that has been silent longest goes first, and the newcomer if none
is.
"""

from __future__ import annotations

import logging
import socket
import sys
import threading
import time
from contextlib import AbstractContextManager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import TCPServer
from typing import Any, Protocol, TypeAlias
from urllib.parse import parse_qs, urlsplit

import msgspec

MOST_CONNECTIONS = 64
REQUEST_S = 5.0
"""Seconds that a request may take to arrive."""
_BOUNDARY = "frame"
_LOOPBACK = ("127.0.0.1", "localhost", "::1")
_LOG = logging.getLogger(__name__)

# What socketserver calls a request is a connection.
Connection: TypeAlias = socket.socket


class Page(Protocol):
    """What is served: a ``LivePage``."""

    @property
    def streams(self) -> list[str]:
        """Those that there are."""

    @property
    def closed(self) -> bool:
        """Whether the run is over."""

    def html(self) -> bytes:
        """The page itself."""

    def metrics(self) -> bytes:
        """The pipeline's report, as JSON."""

    def next_jpeg(self, after: int, stream: str | None = None) -> tuple[int, bytes] | None:
        """The newest picture that is newer than number ``after``; None if none comes."""

    def looking(self) -> AbstractContextManager[bool]:
        """A viewer looks meanwhile; whether there was room for another."""


class PageServer(ThreadingHTTPServer):
    """The page's own server.

    Args:
        host, port: where to listen; port 0 takes a free one.
        page: what is served.

    Raises:
        OSError, OverflowError: it cannot listen there.
    """

    daemon_threads = True
    request_queue_size = 1024
    """Connections that the system holds until they are accepted; five are socketserver's own."""

    def __init__(self, host: str, port: int, page: Page) -> None:
        self.page = page
        self.local_only = host.lower() in _LOOPBACK
        self._mutex = threading.Lock()
        self._open: set[Connection] = set()
        self._silent: dict[Connection, float] = {}  # since when, longest first
        self.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        super().__init__((host, port), _Visit)

    def server_bind(self) -> None:
        """Without HTTPServer's question to the name server, which may take its time."""
        TCPServer.server_bind(self)
        self.server_name, self.server_port = str(self.server_address[0]), self.server_address[1]

    def process_request(self, request: Any, client_address: Any) -> None:
        """Make room, and a thread; who finds none is hung up on."""
        with self._mutex:
            room = len(self._open) < MOST_CONNECTIONS
            if not room and self._silent:
                self._hang_up(next(iter(self._silent)))
                room = True
            if room:
                self._open.add(request)
                self._silent[request] = time.monotonic()
        if room:
            super().process_request(request, client_address)
        else:
            self.shutdown_request(request)

    def service_actions(self) -> None:
        """Called several times a second: hang up on those whose request does not come."""
        with self._mutex:
            late = time.monotonic() - REQUEST_S
            for connection in [each for each, since in self._silent.items() if since < late]:
                self._hang_up(connection)

    def heard(self, connection: Connection) -> None:
        """Its request is here."""
        with self._mutex:
            self._silent.pop(connection, None)

    def shutdown_request(self, request: Any) -> None:
        """Close a connection."""
        with self._mutex:
            self._open.discard(request)
            self._silent.pop(request, None)
        super().shutdown_request(request)

    def server_close(self) -> None:
        """Listen no longer, and wait for no more requests."""
        super().server_close()
        with self._mutex:
            for connection in list(self._silent):
                self._hang_up(connection)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A browser that goes away in the middle is no event; all else is a bug of ours."""
        if not isinstance(sys.exc_info()[1], ConnectionError | TimeoutError):
            _LOG.exception("The live page failed to answer a request.")

    def _hang_up(self, connection: Connection) -> None:
        """Its thread sees the end of it and closes it; its place is free at once."""
        self._open.discard(connection)
        self._silent.pop(connection, None)
        with suppress(OSError):  # it has gone by itself
            connection.shutdown(socket.SHUT_RDWR)


class _Visit(BaseHTTPRequestHandler):
    server: PageServer
    timeout = 20
    """Seconds that a viewer may take nothing before it is let go."""

    def do_HEAD(self) -> None:
        """Answer one request, without what it asks for."""
        self.do_GET()

    def do_GET(self) -> None:
        """Answer one request."""
        self.server.heard(self.connection)
        try:
            address = urlsplit(self.path)
        except ValueError:  # brackets that hold no address
            self._say(400, b"That is no address.\n", "text/plain")
            return
        if self._host_is_ours():
            self._answer(address.path, parse_qs(address.query).get("stream", [None])[0])
        else:
            self._say(403, b"This address is not served under that name.\n", "text/plain")

    def _answer(self, path: str, stream: str | None) -> None:
        page = self.server.page
        if path == "/":
            self._say(200, page.html(), "text/html; charset=utf-8")
        elif path == "/metrics.json":
            self._say(200, page.metrics(), "application/json")
        elif path == "/streams.json":
            self._say(200, msgspec.json.encode(page.streams), "application/json")
        elif stream is not None and stream not in page.streams:
            self._say(404, b"No picture of such a stream has come.\n", "text/plain")
        elif path == "/frame.jpg":
            found = page.next_jpeg(0, stream)
            if found is None:
                self._say(503, b"No picture has come yet.\n", "text/plain")
            else:
                self._say(200, found[1], "image/jpeg")
        elif path == "/stream.mjpg":
            with page.looking() as admitted:
                if admitted:
                    self._stream(page, stream)
                else:
                    self._say(503, b"Enough are looking already.\n", "text/plain")
        else:
            there = b"There is / and /stream.mjpg, /frame.jpg, /metrics.json, /streams.json.\n"
            self._say(404, there, "text/plain")

    def _stream(self, page: Page, stream: str | None) -> None:
        self.send_response(200)
        self.send_header("Content-Type", f"multipart/x-mixed-replace; boundary={_BOUNDARY}")
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        number = 0
        while self.command != "HEAD" and not page.closed:
            found = page.next_jpeg(number, stream)
            if found is None:
                continue
            number, jpeg = found
            self.wfile.write(
                f"--{_BOUNDARY}\r\nContent-Type: image/jpeg\r\n"
                f"Content-Length: {len(jpeg)}\r\n\r\n".encode()
            )
            self.wfile.write(jpeg + b"\r\n")

    def _host_is_ours(self) -> bool:
        if not self.server.local_only:
            return True
        try:
            return urlsplit(f"//{self.headers.get('Host', '')}").hostname in _LOOPBACK
        except ValueError:
            return False

    def _say(self, code: int, body: bytes, kind: str) -> None:
        self.send_response(code)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing: the console belongs to the command."""

"""A live page: the pictures as they come (MJPEG over HTTP), and the pipeline's numbers beside them.

    GET /               the page
    GET /stream.mjpg    the pictures without an end, for <img> and for other programs
    GET /frame.jpg      the newest picture
    GET /metrics.json   ``PipelineReport``
    GET /streams.json   the names of the streams; of several, ``?stream=NAME`` chooses one above

It listens on this machine alone unless another address is named: who can reach it, sees what the
camera sees. Pictures are encoded only while somebody looks, once for all of them; a browser that is
slow gets fewer. Requests that name another host than the one listened on are refused, so that no
website can look through its visitor's browser.
"""

from __future__ import annotations

import socket
import threading
from dataclasses import dataclass
from html import escape
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from socketserver import TCPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import msgspec

from edge_sdk.errors import UnavailableError, UsageError
from edge_sdk.pipeline.frames import Frame
from edge_sdk.pipeline.parts import Running
from edge_sdk.processing.opencv import import_cv2

MOST_VIEWERS = 8
QUALITY = 80
_BOUNDARY = "frame"
_LOOPBACK = ("127.0.0.1", "localhost", "::1")


class LivePage:
    """The page as a sink.

    Args:
        host, port: where to listen; port 0 takes a free one.
        title: of the page.

    Raises:
        UnavailableError: the address is not this machine's, or taken.
    """

    name = "page"

    def __init__(self, host: str = "127.0.0.1", port: int = 8089, title: str = "edgeloop") -> None:
        self._cv2 = import_cv2("The live page")
        self.title = title
        self._running: Running | None = None
        self._news = threading.Condition()
        self._shown: dict[str, _Shown] = {}
        self._closed = False
        self.viewers = 0
        try:
            self._server = _Server((host, port), _Visit)
        except (OSError, OverflowError) as error:
            raise UnavailableError(
                f"The live page cannot listen on {host}:{port}: "
                f"{getattr(error, 'strerror', None) or error}.",
                "--live 127.0.0.1:0   # takes a free port",
            ) from error
        self._server.page = self
        self._server.local_only = host in _LOOPBACK
        shown = f"[{host}]" if ":" in host else host
        self.url = f"http://{shown}:{self._server.server_address[1]}/"

    def begin(self, running: Running) -> None:
        """Called by the pipeline."""
        self._running = running

    def take(self, frame: Frame) -> None:
        """Show the frame to whoever looks."""
        with self._news:
            before = self._shown.get(frame.stream)
            if before is None:
                self._shown[frame.stream] = _Shown(frame)
            else:
                before.frame, before.number = frame, before.number + 1
            self._news.notify_all()

    def __enter__(self) -> LivePage:
        threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.1}, daemon=True
        ).start()
        return self

    def __exit__(self, *_: object) -> None:
        with self._news:
            self._closed = True
            self._news.notify_all()
        self._server.shutdown()
        self._server.server_close()

    def next_jpeg(
        self, after: int, stream: str | None = None, timeout_s: float = 5.0
    ) -> tuple[int, bytes] | None:
        """The newest picture that is newer than number ``after``; None if none comes, or the end.

        The encoding is shared: whoever asks first does it for the others.

        Args:
            after: 0 for the first.
            stream: which; None is the one that came first.
            timeout_s: how long to wait.
        """
        with self._news:
            self._news.wait_for(lambda: self._number(stream) > after or self._closed, timeout_s)
            if self._closed or self._number(stream) <= after:
                return None
            shown = self._shown[self.streams[0] if stream is None else stream]
            if shown.encoded[0] != shown.number:
                wish = [self._cv2.IMWRITE_JPEG_QUALITY, QUALITY]
                jpeg = self._cv2.imencode(".jpg", shown.frame.bgr(), wish)[1].tobytes()
                shown.encoded = shown.number, jpeg
            return shown.encoded

    def _number(self, stream: str | None) -> int:
        """Of the newest picture; 0 if none has come."""
        if stream is None:
            stream = next(iter(self._shown), "")
        return self._shown[stream].number if stream in self._shown else 0

    @property
    def streams(self) -> list[str]:
        """Those of which a picture has come, in that order."""
        return list(self._shown)

    @property
    def closed(self) -> bool:
        """Whether the run is over."""
        return self._closed

    def html(self) -> bytes:
        """The page itself."""
        text = Path(__file__).with_name("live_page.html").read_text(encoding="utf-8")
        return text.replace("TITLE", escape(self.title)).encode()

    def metrics(self) -> bytes:
        """The report, as JSON."""
        return msgspec.json.encode({} if self._running is None else self._running.report())


@dataclass
class _Shown:
    """One stream: its newest picture, and that as a JPEG if somebody has asked."""

    frame: Frame
    number: int = 1
    encoded: tuple[int, bytes] = (0, b"")


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    page: LivePage
    local_only = True

    def __init__(self, address: tuple[str, int], visit: type[BaseHTTPRequestHandler]) -> None:
        self.address_family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        super().__init__(address, visit)

    def server_bind(self) -> None:
        """Without HTTPServer's question to the name server, which may take its time."""
        TCPServer.server_bind(self)
        self.server_name, self.server_port = str(self.server_address[0]), self.server_address[1]

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A browser that goes away in the middle is no event."""


class _Visit(BaseHTTPRequestHandler):
    server: _Server
    timeout = 20
    """Seconds that a viewer may take nothing before it is let go."""

    def do_HEAD(self) -> None:
        """Answer one request, without what it asks for."""
        self.do_GET()

    def do_GET(self) -> None:
        """Answer one request."""
        page = self.server.page
        address = urlsplit(self.path)
        stream = parse_qs(address.query).get("stream", [None])[0]
        if not self._host_is_ours():
            self._say(403, b"This address is not served under that name.\n", "text/plain")
        elif address.path == "/":
            self._say(200, page.html(), "text/html; charset=utf-8")
        elif address.path == "/metrics.json":
            self._say(200, page.metrics(), "application/json")
        elif address.path == "/streams.json":
            self._say(200, msgspec.json.encode(page.streams), "application/json")
        elif stream is not None and stream not in page.streams:
            self._say(404, b"No picture of such a stream has come.\n", "text/plain")
        elif address.path == "/frame.jpg":
            found = page.next_jpeg(0, stream)
            if found is None:
                self._say(503, b"No picture has come yet.\n", "text/plain")
            else:
                self._say(200, found[1], "image/jpeg")
        elif address.path == "/stream.mjpg":
            self._stream(page, stream)
        else:
            there = b"There is / and /stream.mjpg, /frame.jpg, /metrics.json, /streams.json.\n"
            self._say(404, there, "text/plain")

    def _stream(self, page: LivePage, stream: str | None) -> None:
        if page.viewers >= MOST_VIEWERS:
            self._say(503, b"Enough are looking already.\n", "text/plain")
            return
        self.send_response(200)
        self.send_header("Content-Type", f"multipart/x-mixed-replace; boundary={_BOUNDARY}")
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        if self.command == "HEAD":
            return
        page.viewers += 1
        number = 0
        try:
            while not page.closed:
                found = page.next_jpeg(number, stream)
                if found is None:
                    continue
                number, jpeg = found
                self.wfile.write(
                    f"--{_BOUNDARY}\r\nContent-Type: image/jpeg\r\n"
                    f"Content-Length: {len(jpeg)}\r\n\r\n".encode()
                )
                self.wfile.write(jpeg + b"\r\n")
        except OSError:
            pass  # gone
        finally:
            page.viewers -= 1

    def _host_is_ours(self) -> bool:
        if not self.server.local_only:
            return True
        host = self.headers.get("Host", "").rsplit(":", 1)[0].strip("[]")
        return host in _LOOPBACK

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


def parse_address(text: str) -> tuple[str, int]:
    """``HOST:PORT``, ``:PORT`` or ``PORT`` as a pair.

    Raises:
        UsageError: it is neither.
    """
    host, _, port = text.rpartition(":")
    if not port.isdecimal() or int(port) > 65535:
        raise UsageError(f"{text!r} is no HOST:PORT.", "--live 127.0.0.1:8089")
    return host.strip("[]") or "127.0.0.1", int(port)

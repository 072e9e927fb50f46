"""A live page: the pictures as they come (MJPEG over HTTP), and the pipeline's numbers beside them.

    GET /               the page
    GET /stream.mjpg    the pictures without an end, for <img> and for other programs
    GET /frame.jpg      the newest picture
    GET /metrics.json   ``PipelineReport``
    GET /streams.json   the names of the streams; of several, ``?stream=NAME`` chooses one above

It listens on this machine alone unless another address is named: who can reach it, sees what the
camera sees. Pictures are encoded only while somebody looks, once for all of them; a browser that is
slow gets fewer. Requests that name another host than the one listened on are refused, so that no
website can look through its visitor's browser. How many it talks to at once is ``page_server``'s.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from html import escape
from pathlib import Path

import msgspec

from edge_sdk.errors import UnavailableError, UsageError
from edge_sdk.pipeline.frames import Frame
from edge_sdk.pipeline.outputs.page_server import PageServer
from edge_sdk.pipeline.parts import Running
from edge_sdk.processing.opencv import import_cv2

MOST_VIEWERS = 8
QUALITY = 80


class LivePage:
    """The page as a sink.

    Args:
        host, port: where to listen; port 0 takes a free one.
        title: of the page.
        name: of the sink; two pages of one pipeline need two.

    Raises:
        UnavailableError: the address is not this machine's, or taken.
    """

    def __init__(
        self,
        host: str = "127.0.0.1",
        port: int = 8089,
        title: str = "edgeloop",
        name: str = "page",
    ) -> None:
        self._cv2 = import_cv2("The live page")
        self.name = name
        self.title = title
        self._running: Running | None = None
        self._news = threading.Condition()
        self._shown: dict[str, _Shown] = {}
        self._closed = False
        self.viewers = 0
        try:
            self._server = PageServer(host, port, self)
        except (OSError, OverflowError) as error:
            raise UnavailableError(
                f"The live page cannot listen on {host}:{port}: "
                f"{getattr(error, 'strerror', None) or error}.",
                "--live 127.0.0.1:0   # takes a free port",
            ) from error
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

    @contextmanager
    def looking(self) -> Iterator[bool]:
        """A viewer looks meanwhile; whether there was room for another."""
        with self._news:
            admitted = self.viewers < MOST_VIEWERS
            self.viewers += admitted
        try:
            yield admitted
        finally:
            with self._news:
                self.viewers -= admitted

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


def parse_address(text: str) -> tuple[str, int]:
    """``HOST:PORT``, ``:PORT`` or ``PORT`` as a pair.

    Raises:
        UsageError: it is neither.
    """
    host, _, port = text.rpartition(":")
    if not port.isdecimal() or int(port) > 65535:
        raise UsageError(f"{text!r} is no HOST:PORT.", "--live 127.0.0.1:8089")
    return host.strip("[]") or "127.0.0.1", int(port)

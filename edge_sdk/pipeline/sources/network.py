"""A stream over the network: RTSP, or HTTP, by OpenCV's FFmpeg.

FFmpeg waits for ever by itself. Here opening and every read have a limit, so that a server that
accepts and then says nothing is noticed, and tried again as ``LiveSource`` says.
"""

from __future__ import annotations

import os
from pathlib import PurePosixPath
from urllib.parse import urlsplit, urlunsplit

from edge_sdk.errors import UnavailableError, UsageError
from edge_sdk.pipeline.parts import Running
from edge_sdk.pipeline.picture_file import quiet
from edge_sdk.pipeline.sources.limited import OPEN_TIMEOUT_S, READ_TIMEOUT_S
from edge_sdk.pipeline.sources.live import PATIENCE_S, RETRY_S, Capture, LiveSource, Quiet
from edge_sdk.processing.opencv import import_cv2

SCHEMES = ("rtsp", "rtsps", "http", "https", "rtmp", "udp", "tcp")
_FILES = frozenset({".avi", ".m4v", ".mkv", ".mov", ".mp4", ".ts", ".webm"})


class NetworkStream(LiveSource):
    """A stream by its address. A video file on a web server is read to its end, and not live.

    Args:
        url: one of ``SCHEMES``; a password in it is used and never shown.
        open_timeout_s, read_timeout_s: how long the other end may say nothing.
        patience_s, retry_s: as ``LiveSource``.

    Raises:
        UsageError: it is no such address.
    """

    def __init__(
        self,
        url: str,
        *,
        open_timeout_s: float = OPEN_TIMEOUT_S,
        read_timeout_s: float = READ_TIMEOUT_S,
        patience_s: float | None = PATIENCE_S,
        retry_s: float = RETRY_S,
    ) -> None:
        shown = address_shown(url)
        super().__init__(shown, shown, patience_s=patience_s, retry_s=retry_s)
        self._url = url
        parts = urlsplit(url)
        suffix = PurePosixPath(parts.path).suffix.lower()
        self.live = not (parts.scheme.startswith("http") and suffix in _FILES)
        self._announced = 0
        self._open_timeout_s = open_timeout_s
        self._read_timeout_s = read_timeout_s

    def open(self) -> Capture:
        """See ``LiveSource.open``."""
        cv2 = import_cv2("A stream")
        # FFmpeg writes to stderr from C; this variable is the only way to its level of logging.
        os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
        limits = [
            *(cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, round(1000 * self._open_timeout_s)),
            *(cv2.CAP_PROP_READ_TIMEOUT_MSEC, round(1000 * self._read_timeout_s)),
        ]
        with quiet(cv2):
            capture = cv2.VideoCapture(self._url, cv2.CAP_FFMPEG, limits)
        if not capture.isOpened():
            raise UnavailableError(
                f"{self.address} cannot be opened: nobody is there, nobody answers "
                f"within {self._open_timeout_s:g} s, or what comes is no video.",
                f"ffprobe {self.address}   # says what is there",
            )
        self.fps = max(0.0, float(capture.get(cv2.CAP_PROP_FPS)))
        if not self.live:
            self._announced = max(0, int(capture.get(cv2.CAP_PROP_FRAME_COUNT)))
        return Quiet(cv2, capture)

    def at_end(self, running: Running, index: int) -> bool:
        """See ``LiveSource.at_end``. A file that breaks off cannot go on where it was."""
        if not self.live and index < self._announced:
            running.metrics.warn(
                f"{self.address} broke off after {index} of {self._announced} frames."
            )
        return not self.live


def address_shown(url: str) -> str:
    """The address without its password.

    Raises:
        UsageError: it is none of a stream.
    """
    without = url.rsplit("@", maxsplit=1)[-1]
    try:
        parts = urlsplit(url)
        name, password, host = parts.username, parts.password, parts.hostname
        port = f":{parts.port}" if parts.port else ""
    except ValueError as error:
        raise UsageError(f"{without!r} is no address: {error}.", _EXAMPLE) from error
    if parts.scheme not in SCHEMES or not host:
        raise UsageError(f"{without!r} is no address of a stream.", _EXAMPLE)
    if password is None and name is None:
        return url
    who = f"{name}:***@" if password is not None else f"{name}@"
    host = f"[{host}]" if ":" in host else host
    return urlunsplit(parts._replace(netloc=f"{who}{host}{port}"))


_EXAMPLE = "For example rtsp://192.168.1.20:554/stream1"

"""A real RTSP server for tests, on a free port of this machine: frozen, thawed, killed, started."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

from tests.brokers import free_port
from tests.patience import turns

DEADLINE_S = 20.0


class RtspServer:
    """Publishes the videos of a folder. Use as a context manager."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        self._process: subprocess.Popen[bytes] | None = None

    def url(self, video: str, times: int = 100) -> str:
        """The address of a video that begins again so often."""
        return f"rtsp://127.0.0.1:{self.port}/{video}/play_count_{times}"

    def start(self) -> None:
        program = Path(sys.executable).with_name("rtsp-server")
        words = [program, "-d", self.folder, "-H", "127.0.0.1", "-p", self.port, "-cp", free_port()]
        self._process = subprocess.Popen(
            [os.fspath(word) if isinstance(word, Path) else str(word) for word in words],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        for _ in turns(DEADLINE_S):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            assert self._process.poll() is None, "the RTSP server has ended"
        raise AssertionError("the RTSP server does not listen")

    def freeze(self) -> None:
        self._send(signal.SIGSTOP)

    def thaw(self) -> None:
        self._send(signal.SIGCONT)

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def __enter__(self) -> RtspServer:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    def _send(self, number: int) -> None:
        assert self._process is not None
        self._process.send_signal(number)

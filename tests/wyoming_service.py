"""``edge voice serve`` as a process, and what is said to it without the protocol's own client."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from examples.assets import asset
from tests.patience import ended

PATIENCE_S = 20


class Service:
    """``edge voice serve`` as a process of its own."""

    def __init__(self, log: Path) -> None:
        words = ["okay_nabu", str(asset("wake-words") / "alexa.tflite")]  # by name and by file
        command = [sys.executable, "-m", "edge_sdk", "voice", "serve", *words]
        self.log = log
        with log.open("wb") as file:
            self.process = subprocess.Popen(
                [*command, "--listen", "tcp://127.0.0.1:0", "--json"],
                stdout=subprocess.PIPE,
                stderr=file,
            )
        assert self.process.stdout is not None
        announced = json.loads(self.process.stdout.readline())
        self.port = int(announced["uri"].rpartition(":")[2])
        assert announced["wake_words"] == ["okay_nabu", "alexa"]

    def end(self) -> str:
        """Tell it to go; answers what it has logged."""
        self.process.terminate()
        assert ended(self.process, PATIENCE_S) == 0
        self.close()
        return self.log.read_text()

    def close(self) -> None:
        """End it, whatever it does."""
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        if self.process.stdout is not None:
            self.process.stdout.close()

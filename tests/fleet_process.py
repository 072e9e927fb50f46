"""``edge fleet serve`` as a process of its own, operated by its own commands."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import stat
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import msgspec
from patience import ended

from edge_sdk.spec.enrolment import Enrolment

EDGE = (sys.executable, "-m", "edge_sdk")


class FleetProcess:
    """A fleet over one folder; can be killed and started again.

    Attributes:
        folder: where its log is, and the enrolments that it writes.
        data: the fleet's own folder.
        words: more words for ``edge fleet serve``.
        address: what it said when it was ready.
    """

    def __init__(self, folder: Path, *words: str) -> None:
        self.folder = folder
        self.data = folder / "fleet"
        self.words = words
        self.process: subprocess.Popen[bytes] | None = None
        self.address: dict[str, Any] = {}

    @property
    def log(self) -> str:
        return (self.folder / "log").read_text()

    def start(self) -> None:
        self.launch()
        self.await_ready()

    def launch(self) -> None:
        """Start it, and do not wait until it answers."""
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [
                    *EDGE,
                    *("fleet", "serve", "--data", str(self.data), "--json"),
                    *("--listen", "127.0.0.1:0", "--broker-listen", "127.0.0.1:0"),
                    *self.words,
                ],
                stdout=subprocess.PIPE,
                stderr=log,
            )

    def await_ready(self) -> None:
        assert self.process is not None
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, self.log
        self.address = json.loads(line)

    def broker(self) -> int | None:
        """Process id of the embedded broker; None while there is none."""
        config = os.fsencode(self.data / "broker" / "nats.json")
        for each in Path("/proc").glob("[0-9]*"):
            try:
                words = (each / "cmdline").read_bytes().split(b"\0")
            except OSError:
                continue  # it ended meanwhile
            if b"nats-server" in words[0] and config in words:
                return int(each.name)
        return None

    def kill(self) -> None:
        """As a power cut would, as far as the fleet is concerned."""
        self._end(signal.SIGKILL)

    def stop(self) -> int:
        return self._end(signal.SIGTERM)

    def _end(self, number: int) -> int:
        assert self.process is not None
        self.process.send_signal(number)
        code = ended(self.process, 30)
        assert self.process.stdout is not None
        self.process.stdout.close()
        self.process = None
        return code

    def edge(self, *words: str, code: int = 0) -> Any:
        """One command's JSON; of a failed one, the error."""
        done = run("fleet", "--data", str(self.data), *words)
        assert done.returncode == code, done.stdout + done.stderr
        return json.loads(done.stdout or done.stderr.splitlines()[-1])

    async def ask(self, *words: str, code: int = 0) -> Any:
        return await asyncio.to_thread(lambda: self.edge(*words, code=code))

    def enroll(self, device: str) -> Enrolment:
        path = self.folder / f"{device}.enrolment.json"
        self.edge("enroll", device, "-o", str(path), "--label", "site=lab")
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        return msgspec.json.decode(path.read_bytes(), type=Enrolment)

    def http(self, path: str, method: str = "GET", **headers: str) -> tuple[int, bytes]:
        request = urllib.request.Request(
            self.address["api"] + path,
            method=method,
            headers={name.replace("_", "-"): value for name, value in headers.items()},
        )
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read()

    def told(self, *words: str) -> str:
        """What a command prints for a person."""
        command = [*EDGE, "fleet", "--data", str(self.data), *words]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout

    def page(self) -> str:
        """The page as a browser that has said the token sees it."""
        token = Path(self.address["token_file"]).read_text().strip()
        request = urllib.request.Request(
            self.address["api"] + "/session",
            method="POST",
            headers={"Authorization": f"Bearer {token}"},
        )
        with urllib.request.urlopen(request, timeout=30) as answer:
            cookie = answer.headers["set-cookie"].partition(";")[0]
        code, content = self.http("/", Cookie=cookie)
        assert code == 200
        return content.decode()


def run(*words: str) -> subprocess.CompletedProcess[str]:
    """One command of ``edge``, in JSON."""
    return subprocess.run(
        [*EDGE, *words, "--json"], capture_output=True, text=True, check=False, timeout=120
    )

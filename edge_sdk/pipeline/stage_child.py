"""The process of a stage, as the pipeline holds it: started afresh, and surely ended."""

from __future__ import annotations

import signal
import socket
import subprocess
import threading
from collections.abc import Sequence
from contextlib import suppress

from edge_sdk.errors import UnavailableError
from edge_sdk.pipeline.passing import Connection, SharedMemory

_PATIENCE_S = 2.0
"""How long a child may take to end by itself before it is told to, and then made to."""


class StageChild:
    """The process, and the line to it."""

    def __init__(self, python: str, paths: Sequence[str]) -> None:
        memory = SharedMemory()
        ours, theirs = socket.socketpair()
        given = theirs.fileno(), memory.descriptor
        try:
            with theirs:
                self._process = subprocess.Popen(
                    _command(python, paths, *given),
                    stdin=subprocess.DEVNULL,
                    stdout=2,  # stdout is for results
                    pass_fds=given,
                    start_new_session=True,  # Ctrl-C is the parent's to hear
                )
        except OSError as error:
            ours.close()
            memory.close()
            raise UnavailableError(
                f"No process can be started with {python}: {error.strerror or error}.",
                f"{python} -V; free -m; ulimit -u   # is it there, is memory, are processes?",
            ) from error
        self.line = Connection(ours, memory)
        self.pid = self._process.pid
        self._ending = threading.Lock()
        self._ended = False

    def end(self, patience_s: float = _PATIENCE_S) -> str:
        """Make sure that it is gone, and its memory; answers how it ended, in words.

        Two may call it at once: who ends the run, and the thread that waited for an answer.
        """
        self.line.hang_up()
        for tell in (self._process.terminate, self._process.kill):
            try:
                self._process.wait(patience_s)
            except subprocess.TimeoutExpired:
                tell()
        code = self._process.wait()
        with self._ending:
            if not self._ended:
                self.line.close()
                self._ended = True
        return _ending(code)


def _ending(code: int) -> str:
    if code >= 0:
        return f"it ended with exit code {code}"
    with suppress(ValueError):
        return f"it was ended by {signal.Signals(-code).name}"
    return f"it was ended by signal {-code}"


def _command(python: str, paths: Sequence[str], end: int, memory: int) -> list[str]:
    """The command line of a child.

    Args:
        python: the interpreter.
        paths: where it imports from, before its own places.
        end, memory: descriptors of its end of the socket, and of the shared memory.
    """
    begin = (
        f"import sys; sys.path[:0] = {list(paths)!r}; "
        f"from edge_sdk.pipeline.stage_process import main; main({end}, {memory})"
    )
    return [python, "-c", begin]

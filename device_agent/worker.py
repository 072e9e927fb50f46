"""The inference worker: the process that is allowed to die.

    python -m device_agent.worker FD

An engine, a delegate or a decoder that crashes takes down this process and no other. The supervisor
starts it with one end of a socket pair (``ipc``), tells it what to run, and starts another one if
it dies. Three threads:

    main      runs models on pictures, beats, closes windows     (``serving``)
    loader    loads, warms and proves models, one command after the other
    reader    hears the supervisor, and ends the process when the supervisor is gone

Signals that a terminal or an init system sends to all of a service's processes are ignored: the
supervisor decides when the worker ends, and a worker that died first would look like a crash.
"""

from __future__ import annotations

import os
import queue
import signal
import socket
import sys
import threading
from typing import TYPE_CHECKING, TypeAlias

from device_agent import ipc

if TYPE_CHECKING:
    from device_agent.inference import Model
    from device_agent.post import Role
    from device_agent.serving import Order, Serving

EXIT_ORPHANED, EXIT_BUG = 3, 70

Task: TypeAlias = ipc.Check | ipc.Serve | ipc.Shadow | ipc.StopShadow


class Loader:
    """Carries out commands in order, beside the main loop."""

    def __init__(self, configuration: ipc.Configure, line: ipc.WorkerEnd, serving: Serving) -> None:
        self.commands: queue.SimpleQueue[Task] = queue.SimpleQueue()
        self._configuration = configuration
        self._line = line
        self._serving = serving
        self._placed: dict[Role, str] = {}

    def run(self) -> None:
        """Work until the process ends."""
        from device_agent.serving import Swap

        while True:
            command = self.commands.get()
            match command:
                case ipc.Check():
                    self._line.send(self._check(command))
                case ipc.Serve():
                    self._place("serve", command)
                case ipc.Shadow():
                    self._place("shadow", command)
                case ipc.StopShadow():
                    self._placed.pop("shadow", None)
                    self._serving.orders.put(Swap("shadow", None))

    def _load(self, command: ipc.Check | ipc.Serve | ipc.Shadow) -> Model:
        from device_agent.inference import load_model

        return load_model(
            command.slot,
            command.artifact,
            source=self._configuration.source,
            delegates=self._configuration.delegates,
            threads=self._configuration.threads,
            guard=self._configuration.guard,
        )

    def _place(self, role: Role, command: ipc.Serve | ipc.Shadow) -> None:
        from device_agent.serving import Confirm, Swap

        if self._placed.get(role) == command.artifact:
            self._serving.orders.put(Confirm(role))
            return
        try:
            model = self._load(command)
        except Exception as error:  # noqa: BLE001 - whatever an engine raises, the worker goes on
            reason = ipc.sentence(error)
            self._line.send(ipc.Failed(what=role, artifact=command.artifact, reason=reason))
            return
        self._placed[role] = command.artifact
        self._serving.orders.put(Swap(role, model))

    def _check(self, command: ipc.Check) -> ipc.Checked:
        try:
            model = self._load(command)
            try:
                found = model.prove()
            finally:
                model.close()
        except Exception as error:  # noqa: BLE001 - whatever an engine raises, the worker goes on
            return ipc.Checked(artifact=command.artifact, ok=False, reason=ipc.sentence(error))
        return ipc.Checked(
            artifact=command.artifact,
            ok=found is None or found.status == "passed",
            reason=found.reason if found else "",
            placement=model.placement,
            differences=found.differences if found else {},
        )


def read(line: ipc.WorkerEnd, loader: Loader, orders: queue.SimpleQueue[Order]) -> None:
    """Hand on what the supervisor says; end the process when it says nothing any more.

    Raises:
        LineError: what it says makes no sense.
    """
    from device_agent.serving import End

    while True:
        command = line.receive()
        match command:
            case None:
                os._exit(EXIT_ORPHANED)
            case ipc.Stop():
                orders.put(End())  # past the loader, which may be busy for long
                return
            case ipc.Configure():
                raise ipc.LineError("A worker is configured once.")
            case _:
                loader.commands.put(command)


def _give_up(failure: threading.ExceptHookArgs) -> None:
    """A thread ended that never should: without it the worker would be deaf."""
    threading.__excepthook__(failure)
    sys.stderr.flush()
    os._exit(EXIT_BUG)


def main(descriptor: int) -> int:
    """Run one application's models until ``Stop``; the process's exit code."""
    for ignored in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(ignored, signal.SIG_IGN)
    os.dup2(2, 1)  # engines print, and stdout is the agent's
    threading.excepthook = _give_up
    line = ipc.WorkerEnd(socket.socket(fileno=descriptor))
    configuration = line.receive()
    if not isinstance(configuration, ipc.Configure):
        return EXIT_ORPHANED
    # To be set before numpy and OpenCV are imported, which else start a thread for each core.
    for variable in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "OPENCV_FOR_THREADS_NUM"):
        os.environ.setdefault(variable, str(configuration.threads))
    from device_agent.serving import Serving

    serving = Serving(configuration, line)
    loader = Loader(configuration, line, serving)
    threading.Thread(target=loader.run, name="loader", daemon=True).start()
    threading.Thread(
        target=read, args=(line, loader, serving.orders), name="reader", daemon=True
    ).start()
    try:
        serving.run()
    except OSError as error:
        print(f"worker: the supervisor is gone: {error}", file=sys.stderr, flush=True)
        return EXIT_ORPHANED
    line.close()
    return 0


if __name__ == "__main__":
    code = main(int(sys.argv[1]))
    sys.stderr.flush()
    # Not through the interpreter's end: the loader may be inside an engine.
    os._exit(code)

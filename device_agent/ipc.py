"""Between the supervisor and a worker: the words, and their frames on a socket pair.

The two halves of the agent share nothing but this line. The supervisor says what should run, the
worker says what does; every word names the artifact it is about, so that an answer which comes
after its question was overtaken does no harm. A frame is the length of a word, four bytes, most
significant first, and the word in MessagePack. Nothing here is kept on disk or sent to anybody
else: both ends always come from the same installation.

    supervisor                                   worker (``python -m device_agent.worker FD``)
      Configure                            ->      once, first of all
      Check       slot, artifact           ->      Checked
      Serve       slot, artifact           ->      Serving, or Failed(what="serve")
      Shadow      slot, artifact           ->      Shadowing, or Failed(what="shadow")
      StopShadow                           ->      the shadow's last Closed
      Stop                                 ->      a last Closed for each role; then the line ends
                                           <-      Beat every second, Closed every window

A worker whose line ends without ``Stop`` has crashed; one whose supervisor is gone ends itself. The
main thread of a worker, which runs the models, is the one that beats: no Beat for long means that
an inference hangs. Models are loaded beside it, so loading holds up neither answers nor beats.

This module imports neither numpy nor an engine nor, for the worker's sake, asyncio.
"""

from __future__ import annotations

import socket
import struct
import sys
import threading
from typing import TYPE_CHECKING, Literal, TypeAlias

import msgspec
from msgspec import field

from edge_sdk.errors import EdgeError
from edge_sdk.spec.guard import InputLimits
from edge_sdk.spec.placement import Placement
from edge_sdk.spec.sketch import Window
from edge_sdk.spec.word import Word

if TYPE_CHECKING:
    import asyncio

MAX_FRAME_BYTES = 1 << 20
_LENGTH = struct.Struct(">I")


class LineError(EdgeError):
    """What came over the line is no word: the ends are not of one installation, or it is a bug."""


class Source(Word, frozen=True, kw_only=True):
    """Where an application's inputs come from.

    Attributes:
        kind: a folder of pictures or arrays, or a video file; both are repeated for ever.
        path: absolute.
        interval_ms: from the beginning of one inference to the beginning of the next, at least.
    """

    kind: Literal["folder", "video"]
    path: str
    interval_ms: int = 0


class Configure(Word, frozen=True, kw_only=True, tag_field="word", tag="configure"):
    """What never changes while a worker lives.

    Attributes:
        app: the application's name.
        boot: of the agent's run, for the windows.
        window_s: length of a telemetry window in seconds.
        delegates: as ``edge_sdk.load`` takes them; none for the engine's best CPU path.
        threads: for CPU kernels; a device has other work to do.
        audit: the log that every served answer leaves a record in; empty for none.
        guard: what inputs are held to: an artifact's own limits, none, or these.
    """

    app: str
    source: Source
    boot: str
    window_s: float = 60.0
    delegates: tuple[str, ...] = ()
    threads: int = 1
    audit: str = ""
    guard: InputLimits | bool = True


class Check(Word, frozen=True, kw_only=True, tag_field="word", tag="check"):
    """Load an artifact and run its golden vectors; what serves goes on serving.

    Attributes:
        slot: the artifact: an absolute path of its folder, or of an ``.edge`` file.
        artifact: its digest; a slot that holds another is refused.
    """

    slot: str
    artifact: str


class Serve(Word, frozen=True, kw_only=True, tag_field="word", tag="serve"):
    """Let this artifact answer. What answered before goes on until the new one is warm.

    Serving what serves already changes nothing and is answered again.
    """

    slot: str
    artifact: str


class Shadow(Word, frozen=True, kw_only=True, tag_field="word", tag="shadow"):
    """Run this artifact on the same inputs beside the one that serves, and compare.

    Shadowing what is in shadow already changes nothing and is answered again.
    """

    slot: str
    artifact: str


class StopShadow(Word, frozen=True, kw_only=True, tag_field="word", tag="stop-shadow"):
    """No shadow any more; none is fine too."""


class Stop(Word, frozen=True, kw_only=True, tag_field="word", tag="stop"):
    """Close the windows and end."""


class Checked(Word, frozen=True, kw_only=True, tag_field="word", tag="checked"):
    """How an artifact did on its golden vectors.

    Attributes:
        ok: it loads and answers within its tolerances; without golden vectors, that it loads.
        reason: why not.
        placement: where its operations ran; None if it did not load.
        differences: greatest absolute difference by output; None where that is not finite.
    """

    artifact: str
    ok: bool
    reason: str = ""
    placement: Placement | None = None
    differences: dict[str, float | None] = field(default_factory=dict)


class Serving(Word, frozen=True, kw_only=True, tag_field="word", tag="serving"):
    """From now on this artifact answers, and no other does any more."""

    artifact: str
    placement: Placement


class Shadowing(Word, frozen=True, kw_only=True, tag_field="word", tag="shadowing"):
    """From now on this artifact runs in shadow."""

    artifact: str
    placement: Placement


class Failed(Word, frozen=True, kw_only=True, tag_field="word", tag="failed"):
    """Something did not work; the worker goes on with what it had.

    Attributes:
        what: the role for which it was not loaded; what ran before still runs.
        artifact: which one.
        reason: one sentence.
    """

    what: Literal["serve", "shadow"]
    reason: str
    artifact: str


class Closed(Word, frozen=True, kw_only=True, tag_field="word", tag="closed"):
    """A telemetry window, complete."""

    window: Window


class Beat(Word, frozen=True, kw_only=True, tag_field="word", tag="beat"):
    """The worker lives, once a second.

    Attributes:
        monotonic_ms: now.
        artifact: what serves; empty if nothing does.
        inferences, errors: of it, answered and failed since it began to serve.
        last_error: the newest failure's message.
        unread: inputs that the source could not give since then; not the artifact's fault.
        waiting: whether the last one was of those, or of the refused: the next may take a while.
        refused: inputs that its limits did not let through since then, by reason.
        unrecorded: its answers that should have left a record since then, and could not.
        no_input: why it is asked nothing, and since when; empty if it is.
        no_record: why answers leave no record, and since when; empty if they do, or need not.
        shadow: what runs in shadow; empty if nothing does.
        shadow_inferences, shadow_errors, shadow_last_error, shadow_no_input: of that.
    """

    monotonic_ms: int
    artifact: str = ""
    inferences: int = 0
    errors: int = 0
    last_error: str = ""
    unread: int = 0
    waiting: bool = False
    refused: dict[str, int] = field(default_factory=dict)
    unrecorded: int = 0
    no_input: str = ""
    no_record: str = ""
    shadow: str = ""
    shadow_inferences: int = 0
    shadow_errors: int = 0
    shadow_last_error: str = ""
    shadow_no_input: str = ""

    @property
    def refused_in_all(self) -> int:
        """For whatever reason."""
        return sum(self.refused.values())


Command: TypeAlias = Configure | Check | Serve | Shadow | StopShadow | Stop
Notice: TypeAlias = Checked | Serving | Shadowing | Failed | Closed | Beat

_encoder = msgspec.msgpack.Encoder()
_commands: msgspec.msgpack.Decoder[Command] = msgspec.msgpack.Decoder(Command)
_notices: msgspec.msgpack.Decoder[Notice] = msgspec.msgpack.Decoder(Notice)


def sentence(error: Exception) -> str:
    """What is said of an error over the line."""
    return error.message if isinstance(error, EdgeError) else f"{type(error).__name__}: {error}"


def arguments(descriptor: int) -> list[str]:
    """The command that starts a worker which inherits ``descriptor``, its end of the socket pair.

    Pass the descriptor on (``pass_fds``) and close it here afterwards, or the end of the line will
    never be seen.
    """
    return [sys.executable, "-m", "device_agent.worker", str(descriptor)]


class SupervisorEnd:
    """The supervisor's end of the line, in asyncio's loop."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def open(cls, line: socket.socket) -> SupervisorEnd:
        """Take over one end of a ``socket.socketpair()``."""
        import asyncio

        line.setblocking(False)
        return cls(*await asyncio.open_connection(sock=line))

    async def send(self, command: Command) -> None:
        """Say something; a worker that is gone is not an error here, ``receive`` tells of it."""
        try:
            self._writer.write(_framed(command))
            await self._writer.drain()
        except ConnectionError:
            return

    async def receive(self) -> Notice | None:
        """The next word; None at the end of the line: the worker is gone.

        Raises:
            LineError: what came is no word.
        """
        import asyncio

        try:
            head = await self._reader.readexactly(_LENGTH.size)
            body = await self._reader.readexactly(_length(head))
        except (asyncio.IncompleteReadError, ConnectionError):
            return None
        try:
            return _notices.decode(body)
        except msgspec.MsgspecError as error:
            raise LineError(f"A worker sent what is no word: {error}.") from error

    async def close(self) -> None:
        """Close this end; a worker that is left ends itself."""
        self._writer.close()
        try:
            await self._writer.wait_closed()
        except ConnectionError:
            return


class WorkerEnd:
    """The worker's end of the line: one thread receives, any thread sends."""

    def __init__(self, line: socket.socket) -> None:
        line.setblocking(True)
        self._line = line
        self._sending = threading.Lock()

    def send(self, notice: Notice) -> None:
        """Say something.

        Raises:
            OSError: the supervisor is gone.
        """
        frame = _framed(notice)
        with self._sending:
            self._line.sendall(frame)

    def receive(self) -> Command | None:
        """Wait for the next word; None at the end of the line: the supervisor is gone.

        Raises:
            LineError: what came is no word.
        """
        head = self._exactly(_LENGTH.size)
        body = head and self._exactly(_length(head))
        if not body:
            return None
        try:
            return _commands.decode(body)
        except msgspec.MsgspecError as error:
            raise LineError(f"The supervisor sent what is no word: {error}.") from error

    def close(self) -> None:
        """Close this end."""
        self._line.close()

    def _exactly(self, count: int) -> bytes:
        """That many bytes; none at the end of the line."""
        received = bytearray()
        while len(received) < count:
            try:
                piece = self._line.recv(count - len(received))
            except ConnectionError:
                return b""
            if not piece:
                return b""
            received += piece
        return bytes(received)


def _framed(word: Command | Notice) -> bytes:
    body = _encoder.encode(word)
    if len(body) > MAX_FRAME_BYTES:
        raise LineError(f"A {type(word).__name__} of {len(body)} bytes is over the limit.")
    return _LENGTH.pack(len(body)) + body


def _length(head: bytes) -> int:
    length: int = _LENGTH.unpack(head)[0]
    if not 0 < length <= MAX_FRAME_BYTES:
        raise LineError(f"The line speaks of a word of {length} bytes; the ends are not in step.")
    return length

"""A wake-word service that speaks Wyoming: every connection has ears of its own.

    describe                             -> info
    detect {names}                       which words to listen for; all unless told
    audio-start, audio-chunk …           -> detection {name, timestamp}, once a word said
    audio-stop                           -> not-detected, if nothing was
    ping                                 -> pong

Time is counted in samples, so sound that comes faster than real time gives the same detections. A
connection's ears work in a thread, one message after the other: who sends faster than they listen
is held back by TCP, and nobody else is. Clients come and go as they please; that one is cut off in
the middle of a message is no error of anybody's, and is one line of the log.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

from edge_sdk.errors import EdgeError, UnavailableError, UsageError
from edge_sdk.text import nearest
from edge_sdk.voice.audio import Resampler
from edge_sdk.voice.wake import Wake, WakeWord
from edge_sdk.voice.wyoming import MAX_LINE_BYTES, Malformed, Message, info, read_message

MAX_CLIENTS = 32
_LOG = logging.getLogger(__name__)


class WakeServer:
    """Serves wake words over TCP, from ``start`` to ``close``.

    Attributes:
        port: where it listens, once started.
    """

    def __init__(self, models: Mapping[str, Path]) -> None:
        """Take the models, by word; each is loaded once to see that it can be.

        Raises:
            UsageError: no model, or one that is no wake word.
        """
        if not models:
            raise UsageError("There is no wake word to serve.", "edge voice serve okay_nabu.tflite")
        for path in models.values():
            WakeWord(path).close()
        self._models = dict(models)
        self._server: asyncio.Server | None = None
        self._clients: set[asyncio.Task[None]] = set()
        self.port = 0

    async def start(self, host: str, port: int) -> None:
        """Listen. Raises UnavailableError if the address cannot be had."""
        try:
            self._server = await asyncio.start_server(
                self._welcome, host, port, limit=MAX_LINE_BYTES
            )
        except OSError as error:
            raise UnavailableError(
                f"{host}:{port} cannot be listened on: {error.strerror}.",
                "Choose another port: --listen tcp://127.0.0.1:0 takes a free one",
            ) from error
        self.port = self._server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        """Hang up and stop listening."""
        if self._server is not None:
            self._server.close()
        for task in tuple(self._clients):
            task.cancel()
        await asyncio.gather(*self._clients, return_exceptions=True)

    async def _welcome(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is None or len(self._clients) >= MAX_CLIENTS:
            _LOG.warning("a client was turned away: %d are here", len(self._clients))
            writer.close()
            return
        self._clients.add(task)
        peer = writer.get_extra_info("peername")
        ears = _Ears(self._models)
        try:
            while (message := await read_message(reader)) is not None:
                for answer in await asyncio.to_thread(ears.take, message):
                    writer.write(answer.encode())
                await writer.drain()
        except (Malformed, ConnectionError) as error:
            _LOG.info("the client %s has gone: %s", peer, error)
        except EdgeError as error:
            _LOG.warning("the client %s sent what cannot be used: %s", peer, error.message)
            with suppress(ConnectionError):
                writer.write(Message("error", {"text": error.message}).encode())
                await writer.drain()
        except asyncio.CancelledError:
            pass  # close() waits for us; there is nobody else to tell
        finally:
            self._clients.discard(task)
            ears.close()
            writer.close()
            with suppress(ConnectionError, asyncio.CancelledError):
                await writer.wait_closed()


class _Ears:
    """One client's stream: messages in, messages out."""

    def __init__(self, models: Mapping[str, Path]) -> None:
        self._models = models
        self._chosen = list(models)
        self._listening: list[WakeWord] = []
        self._resampler: Resampler | None = None
        self._format: tuple[int, int] | None = None
        self._began_ms = 0
        self._detected = False

    def take(self, message: Message) -> list[Message]:
        """Answer a message. Raises EdgeError for what makes no sense."""
        if message.type == "describe":
            return [info(list(self._models))]
        if message.type == "ping":
            return [Message("pong", {"text": message.data.get("text")})]
        if message.type == "detect":
            self._choose(message.data.get("names") or list(self._models))
        elif message.type == "audio-start":
            self._begin(message.data)
        elif message.type == "audio-chunk":
            if not self._listening:
                self._begin(message.data)
            return self._hear(message)
        elif message.type == "audio-stop":
            return self._end()
        return []

    def close(self) -> None:
        """Give back the models."""
        with ExitStack() as stack:
            for word in self._listening:
                stack.callback(word.close)
        self._listening = []

    def _choose(self, names: Any) -> None:
        if not isinstance(names, list):
            raise UsageError(f"{names!r} is no list of wake words.", "Send their names.")
        if unknown := [name for name in names if name not in self._models]:
            raise UsageError(
                f"There is no wake word {unknown[0]!r}.", nearest(str(unknown[0]), self._models)
            )
        if self._listening and names != self._chosen:
            self.close()
        self._chosen = list(names)

    def _begin(self, data: dict[str, Any]) -> None:
        rate, width, channels = (data.get(key) for key in ("rate", "width", "channels"))
        if width != 2 or not isinstance(rate, int) or not isinstance(channels, int):
            raise UsageError(
                f"Sound of {rate} Hz, {width} bytes, {channels} channels cannot be heard.",
                "Send 16-bit PCM.",
            )
        self._resampler, self._format = Resampler(rate, channels), (rate, channels)
        stamp = data.get("timestamp")
        self._began_ms = stamp if isinstance(stamp, int) else 0
        self._detected = False
        if self._listening:
            for word in self._listening:
                word.reset()
        else:
            self._listening = [WakeWord(self._models[name]) for name in self._chosen]

    def _hear(self, message: Message) -> list[Message]:
        if self._resampler is None or self._format is None:
            return []
        frame = 2 * self._format[1]
        whole = len(message.payload) // frame * frame
        block = self._resampler.take(message.payload[:whole])
        return [self._detection(wake) for word in self._listening for wake in word.hear(block)]

    def _detection(self, wake: Wake) -> Message:
        self._detected = True
        stamp = self._began_ms + int(wake.time_s * 1000)
        return Message("detection", {"name": wake.word, "timestamp": stamp})

    def _end(self) -> list[Message]:
        answers = []
        if self._resampler is not None:
            block = self._resampler.take(b"", last=True)
            answers = [
                self._detection(wake) for word in self._listening for wake in word.hear(block)
            ]
        self._resampler = None
        return answers if self._detected else [*answers, Message("not-detected")]

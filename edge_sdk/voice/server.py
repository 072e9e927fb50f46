"""A wake-word service that speaks Wyoming: every connection has ears of its own.

    describe                             -> info
    detect {names}                       which words to listen for; all unless told
    audio-start, audio-chunk …           -> detection {name, timestamp}, once a word said
    audio-stop                           -> not-detected, if nothing was
    ping                                 -> pong

Time is counted in samples, so sound that comes faster than real time gives the same detections. A
connection's ears work in a thread, one message after the other: who sends faster than they listen
is held back by TCP, and nobody else is. Clients come and go as they please; that one is cut off in
the middle of a message is no error of anybody's, and is one line of the log. One that sends what
makes no sense, or for which there is no room, is told so by an ``error`` before it is hung up on.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from reprlib import repr as short
from typing import Any

from edge_sdk.errors import EdgeError, UnavailableError, UsageError
from edge_sdk.text import nearest
from edge_sdk.voice.audio import Resampler, Samples
from edge_sdk.voice.connection import hang_up, keep_alive, name_of, refuse
from edge_sdk.voice.wake import WakeWord
from edge_sdk.voice.wyoming import MAX_LINE_BYTES, Malformed, Message, info, read_message

MAX_CLIENTS = 32
MAX_STAMP_MS = 2**63
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
        self._tasks: set[asyncio.Task[None]] = set()
        self._served = 0
        self._was_full = False
        self.port = 0

    async def start(self, host: str, port: int) -> None:
        """Listen. Raises UnavailableError if the address cannot be had."""
        try:
            self._server = await asyncio.start_server(
                self._welcome, host, port, limit=MAX_LINE_BYTES
            )
        except OSError as error:  # asyncio's own words say the address again
            number = error.errno or 0  # a resolver's are negative, and its words are its own
            why = os.strerror(number) if number > 0 else error.strerror
            raise UnavailableError(
                f"{host}:{port} cannot be listened on: {why}.",
                "Choose another: tcp://127.0.0.1:0 takes a free port",
            ) from error
        self.port = self._server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        """Hang up and stop listening."""
        if self._server is not None:
            self._server.close()
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _welcome(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is not None:
            self._tasks.add(task)
        try:
            if self._served >= MAX_CLIENTS:
                await self._turn_away(reader, writer)
            else:
                await self._serve(reader, writer)
        except asyncio.CancelledError:  # close() waits for us; there is nobody else to tell
            writer.transport.abort()
        finally:
            await hang_up(writer)
            self._tasks.discard(task)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._served += 1
        peer = name_of(writer)
        ears = _Ears(self._models)
        try:
            keep_alive(writer)
            while (message := await read_message(reader)) is not None:
                for answer in await asyncio.to_thread(ears.take, message):
                    writer.write(answer.encode())
                await writer.drain()
        except Malformed as error:
            _LOG.info("the client %s has gone: it sent %s", peer, error)
            await refuse(reader, writer, f"That is no message of the Wyoming protocol: {error}.")
        except EdgeError as error:
            _LOG.warning("the client %s sent what cannot be used: %s", peer, error.message)
            await refuse(reader, writer, error.message)
        except OSError as error:  # a reset, or lost to the network
            _LOG.info("the client %s has gone: %s", peer, error)
        finally:
            self._served -= 1
            self._was_full = False
            ears.close()

    async def _turn_away(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if not self._was_full:  # said once, not once a second about one that tries again
            _LOG.warning("clients are turned away: %d are here", self._served)
        self._was_full = True
        await refuse(reader, writer, f"This service is full: it has {self._served} clients.")


class _Ears:
    """One client's stream: messages in, messages out."""

    def __init__(self, models: Mapping[str, Path]) -> None:
        self._models = models
        self._chosen = list(models)
        self._listening: list[WakeWord] = []
        self._resampler: Resampler | None = None
        self._format = (0, 0)
        self._rest = b""
        self._began_ms = 0
        self._detected = False

    def take(self, message: Message) -> list[Message]:
        """Answer a message. Raises EdgeError for what makes no sense."""
        if message.type == "describe":
            return [info(list(self._models))]
        if message.type == "ping":
            text = message.data.get("text")
            if text is not None and not isinstance(text, str):
                raise UsageError(f"{short(text)} is no text of a ping.", "Send a text.")
            return [Message("pong", {"text": text})]
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
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            raise UsageError(f"{short(names)} is no list of wake words.", "Send their names.")
        if unknown := [name for name in names if name not in self._models]:
            raise UsageError(
                f"There is no wake word {short(unknown[0])}.",
                nearest(unknown[0], self._models),
            )
        chosen = list(dict.fromkeys(names))
        if self._listening and chosen != self._chosen:
            self.close()
        self._chosen = chosen

    def _begin(self, data: dict[str, Any]) -> None:
        self._resampler = None
        self._take_format(data)
        stamp = data.get("timestamp")
        self._began_ms = stamp if type(stamp) is int and abs(stamp) <= MAX_STAMP_MS else 0
        self._detected = False
        if self._listening:
            for word in self._listening:
                word.reset()
        else:
            self._listening = [WakeWord(self._models[name]) for name in self._chosen]

    def _take_format(self, data: dict[str, Any]) -> None:
        rate, width, channels = (data.get(key) for key in ("rate", "width", "channels"))
        if self._resampler is not None and (rate, channels) == self._format and width == 2:
            return
        if width != 2 or type(rate) is not int or type(channels) is not int:
            raise UsageError(
                f"Sound of {short(rate)} Hz, {short(width)} bytes, {short(channels)} channels "
                "cannot be heard.",
                "Send 16-bit PCM.",
            )
        self._resampler, self._format, self._rest = Resampler(rate, channels), (rate, channels), b""

    def _hear(self, message: Message) -> list[Message]:
        if self._resampler is None or not self._listening:
            self._begin(message.data)
        elif {"rate", "width", "channels"} & message.data.keys():
            self._take_format(message.data)
        if self._resampler is None:
            return []
        pcm = self._rest + message.payload
        whole = len(pcm) - len(pcm) % (2 * self._format[1])
        self._rest = pcm[whole:]
        return self._listen(self._resampler.take(pcm[:whole]))

    def _listen(self, block: Samples) -> list[Message]:
        found = [wake for word in self._listening for wake in word.hear(block)]
        self._detected = self._detected or bool(found)
        return [
            Message(
                "detection",
                {"name": wake.word, "timestamp": self._began_ms + int(wake.time_s * 1000)},
            )
            for wake in found
        ]

    def _end(self) -> list[Message]:
        answers = []
        if self._resampler is not None:
            answers = self._listen(self._resampler.take(b"", last=True))
        self._resampler = None
        return answers if self._detected else [*answers, Message("not-detected")]

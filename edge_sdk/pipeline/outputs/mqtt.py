"""Answers to an MQTT broker, for home automation and dashboards.

The newest answer counts: messages go out at QoS 0, one after another, and what has not gone out
when the next ``WAITING`` are there is dropped and counted. A broker that is away holds nothing up.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING

import msgspec

from edge_sdk.errors import EdgeError, UsageError
from edge_sdk.pipeline.frames import Frame
from edge_sdk.pipeline.outputs.answers import frame_answers
from edge_sdk.pipeline.parts import Running
from edge_sdk.timeouts import timeout

if TYPE_CHECKING:
    from edge_sdk.broker import Credentials

WAITING = 8
"""How many messages may wait for the network."""
_FIRST_WORDS_S = 2.0
"""How long the beginning of a run waits for the broker to answer, or to be found away."""
_LAST_WORDS_S = 2.0
"""How long the end of a run waits for the network to take what is left."""


class MqttTopic:
    """Publishes every frame's answers (``FrameAnswers``, JSON) on one topic.

    Args:
        url: ``mqtt://HOST[:PORT]`` or ``mqtts://…``.
        topic: where to; one, and no pattern of several.
        credentials: who we are to the broker.
        name: for errors and metrics.

    Raises:
        UsageError: the URL or the topic cannot be used.
        UnavailableError: paho-mqtt is not installed.
    """

    def __init__(
        self, url: str, topic: str, *, credentials: Credentials | None = None, name: str = "mqtt"
    ) -> None:
        from edge_sdk.broker import Credentials, connect

        self.name = name
        if not topic or set(topic) & set("#+\0") or len(topic.encode()) > 65535:
            raise UsageError(f"{topic!r} is no topic to publish on.", "home/porch/camera")
        self.topic = topic
        self._broker = connect(url, name="edge-pipeline", credentials=credentials or Credentials())
        self._messages: deque[bytes] = deque()
        self._lock = threading.Lock()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._work, name="mqtt", daemon=True)
        self._news: asyncio.Event | None = None
        self._settled = threading.Event()
        self._ending = False
        self._running: Running | None = None

    def begin(self, running: Running) -> None:
        """Called by the pipeline: the first frames would be lost before there is a connection."""
        self._running = running
        self._settled.wait(_FIRST_WORDS_S)

    def take(self, frame: Frame) -> None:
        """Queue the message of a frame; never waits."""
        if self._running is None:
            return
        message = msgspec.json.encode(frame_answers(frame, self._running.clock.now()))
        with self._lock:
            if len(self._messages) >= WAITING:
                self._messages.popleft()
                self._running.metrics.miss(self.name, "the broker did not take it in time")
            self._messages.append(message)
        self._wake()

    def __enter__(self) -> MqttTopic:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ending = True
        self._wake()
        self._thread.join(2 * _LAST_WORDS_S)
        if self._running is not None:
            self._running.metrics.miss(self.name, "the broker was away", len(self._messages))
            if self._messages and self._broker.refusal:
                self._running.metrics.warn(f"MQTT: {self._broker.refusal}")

    def _wake(self) -> None:
        if self._news is not None:
            with suppress(RuntimeError):  # the loop may have ended
                self._loop.call_soon_threadsafe(self._news.set)

    def _work(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_until_complete(self._publish())
        finally:
            self._loop.close()

    async def _publish(self) -> None:
        self._news = asyncio.Event()
        connection = asyncio.ensure_future(self._broker.run())
        deadline: float | None = None
        try:
            while True:
                self._news.clear()
                if self._broker.connected or self._broker.refusal:
                    self._settled.set()
                await self._send_what_waits()
                if self._ending:
                    deadline = deadline or self._loop.time() + _LAST_WORDS_S
                    if not self._messages or self._loop.time() > deadline:
                        return
                with suppress(asyncio.TimeoutError):
                    async with timeout(0.1):
                        await self._news.wait()
        finally:
            connection.cancel()
            with suppress(asyncio.CancelledError, EdgeError):
                await connection

    async def _send_what_waits(self) -> None:
        while self._messages and self._broker.connected:
            with self._lock:
                message = self._messages.popleft() if self._messages else None
            if message is None:
                return
            try:
                await self._broker.publish(self.topic, message)
            except EdgeError as error:
                if self._running is not None:
                    self._running.metrics.miss(self.name, "the broker refused it")
                    self._running.metrics.warn(f"MQTT: {error.message}")
                return

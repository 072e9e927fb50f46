"""A ``Broker`` at the other end of a network: MQTT 3.1.1 by paho-mqtt, over TCP or TLS."""

from __future__ import annotations

import asyncio
import logging
import random
import secrets
from collections.abc import Callable, Coroutine
from typing import Any

from edge_sdk.broker.base import Credentials, OnConnected, OnMessage
from edge_sdk.broker.link import Link
from edge_sdk.broker.pace import Pace
from edge_sdk.broker.sockets import open_socket, tls_context
from edge_sdk.broker.subscriptions import Subscriptions, tell
from edge_sdk.broker.topics import check_message
from edge_sdk.errors import EdgeError, FleetError, UnavailableError, UsageError

_log = logging.getLogger(__name__)


class PahoBroker:
    """Keeps one connection up; see ``edge_sdk.broker.base.Broker``.

    The client id is the given name and 64 random bits: brokers let whoever knows a client id push
    its owner off.
    """

    def __init__(
        self,
        host: str,
        port: int,
        *,
        tls: bool,
        name: str,
        credentials: Credentials,
        pace: Pace,
        random: Callable[[], float] = random.random,
    ) -> None:
        self._address = (host, port)
        self._tls = tls_context(credentials) if tls else None
        self._client_id = f"{name}-{secrets.token_hex(8)}"
        self._credentials = credentials
        self._pace = pace
        self._random = random
        self._subscriptions = Subscriptions()
        self._on_connected: list[OnConnected] = []
        self._link: Link | None = None
        self._asking: set[asyncio.Future[None]] = set()
        self._running = False
        self._connected = False
        self._refusal = ""

    @property
    def connected(self) -> bool:
        """Whether the broker has accepted us and nothing has broken since."""
        return self._connected and self._link is not None and not self._link.lost.done()

    @property
    def refusal(self) -> str:
        """Why the broker last refused us, or we could not reach it; empty while connected."""
        return self._refusal

    def subscribe(self, pattern: str, on_message: OnMessage, *, qos: int = 0) -> None:
        """Hear a topic pattern, now and after every reconnection."""
        if self._subscriptions.add(pattern, on_message, qos):
            link = self._link
            if link is not None and link.accepted:
                self._ask(link, {pattern: qos})

    def on_connected(self, callback: OnConnected) -> None:
        """Be told after every connection, once all subscriptions are granted."""
        self._on_connected.append(callback)

    async def publish(self, topic: str, payload: bytes, *, qos: int = 0) -> None:
        """Send. With QoS 1, returns when the broker has it."""
        check_message(topic, payload, qos)
        if self._link is None or not self.connected:
            raise FleetError(f"The message was not sent: {self._refusal or 'not connected.'}")
        await self._link.publish(topic, payload, qos)

    async def run(self) -> None:
        """Keep connected until cancelled; then disconnect cleanly."""
        if self._running:
            raise UsageError("This connection runs already.")
        self._running = True
        loop = asyncio.get_running_loop()
        failures = 0
        try:
            while True:
                started = loop.time()
                ended = await self._one_connection()
                settled = loop.time() - started > self._pace.settled_s
                failures = 1 if settled else failures + 1
                self._refusal = ended.message
                _log.info("%s", ended.message)
                await asyncio.sleep(
                    self._pace.delay_s(
                        failures, refused=isinstance(ended, FleetError), random=self._random
                    )
                )
        finally:
            self._running = False

    async def _one_connection(self) -> EdgeError:
        """Connect, stay, and return what ended it."""
        try:
            link = await _within(self._pace.open_timeout_s, self._establish())
            self._refusal = ""
            self._connected = True
            tell(self._on_connected)
            return await asyncio.shield(link.lost)
        except EdgeError as error:
            return error
        finally:
            self._connected = False
            ended, self._link = self._link, None
            if ended is not None:
                await ended.close()

    async def _establish(self) -> Link:
        host, port = self._address
        sock = await open_socket(host, port, self._tls)
        link = self._link = Link(
            sock, self._client_id, self._credentials, self._pace, self._subscriptions.deliver
        )
        await link.open()
        if wanted := self._subscriptions.wanted():
            self._ask(link, wanted)
        while self._asking:  # more may be asked meanwhile
            await asyncio.wait(self._asking)
        if link.lost.done():
            raise link.lost.result()
        return link

    def _ask(self, link: Link, patterns: dict[str, int]) -> None:
        asked = link.subscribe(patterns)
        self._asking.add(asked)
        asked.add_done_callback(self._asking.discard)


async def _within(seconds: float, work: Coroutine[Any, Any, Link]) -> Link:
    """The result of ``work``, or UnavailableError. (Before 3.12 ``wait_for`` can lose a cancel.)"""
    task = asyncio.ensure_future(work)
    try:
        await asyncio.wait({task}, timeout=seconds)
    finally:
        if not task.done():
            task.cancel()
            await asyncio.wait({task})
        if not task.cancelled():
            task.exception()
    if task.cancelled():
        raise UnavailableError(f"The broker has not answered within {seconds:g} s.")
    return task.result()

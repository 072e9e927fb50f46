"""One MQTT connection from CONNECT to its end: paho's protocol on a socket in asyncio's loop.

paho-mqtt reads and writes the packets; the loop says when. Neither paho's thread nor its
``select()`` runs, which cannot serve a process that has 1,024 descriptors open. A link connects
once and is thrown away when it ends, and with it everything paho would have sent again: whoever
published has been told that it failed.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from paho.mqtt import client as mqtt
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode, MQTTProtocolVersion
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from edge_sdk.broker.base import Credentials, Incoming
from edge_sdk.broker.pace import Pace
from edge_sdk.errors import EdgeError, FleetError, UnavailableError
from edge_sdk.spec.wire import MAX_MESSAGE_BYTES

if TYPE_CHECKING:
    from paho.mqtt.client import SocketLike

MAX_IN_FLIGHT = 20
_PACKETS_A_TURN = 16
_MAX_INCOMING_BYTES = 2 * MAX_MESSAGE_BYTES

_log = logging.getLogger(__name__)


class _Client(mqtt.Client):
    """paho's client on a socket that is connected already; all that touches its inside is here."""

    def __init__(self, sock: socket.socket, client_id: str) -> None:
        super().__init__(
            CallbackAPIVersion.VERSION2,
            client_id=client_id,
            clean_session=True,
            protocol=MQTTProtocolVersion.MQTTv311,
            reconnect_on_failure=False,
        )
        self._connected_socket = sock

    def _create_socket(self) -> socket.socket:
        return self._connected_socket

    @property
    def announced_bytes(self) -> int:
        """Size of the packet that is arriving; paho itself would take 256 MB."""
        return self._in_packet["remaining_length"]

    def close(self) -> None:
        """Close the socket, whatever is still to send."""
        self._sock_close()


class Link:
    """One connection. Made, opened, used and closed in one event loop."""

    def __init__(
        self,
        sock: socket.socket,
        client_id: str,
        credentials: Credentials,
        pace: Pace,
        on_message: Callable[[Incoming], None],
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._pace = pace
        self._on_message = on_message
        self._inbox: list[Incoming] = []
        self._accepted: asyncio.Future[None] = self._loop.create_future()
        self._asked: dict[int, tuple[asyncio.Future[None], list[str]]] = {}
        self._sent: dict[int, asyncio.Future[None]] = {}
        self._slots = asyncio.Semaphore(MAX_IN_FLIGHT)
        self._timer: asyncio.TimerHandle | None = None
        self._tls = sock if isinstance(sock, ssl.SSLSocket) else None
        self.lost: asyncio.Future[EdgeError] = self._loop.create_future()
        """Done when the connection has ended: a FleetError if the broker refused something."""

        client = self._client = _Client(sock, client_id)
        client.max_inflight_messages_set(2 * MAX_IN_FLIGHT)
        if credentials.username:
            client.username_pw_set(credentials.username, credentials.password)
        client.on_connect = self._connack
        client.on_subscribe = self._suback
        client.on_publish = self._published
        client.on_message = self._arrived
        client.on_disconnect = self._disconnected
        client.on_socket_open = self._may_read
        client.on_socket_close = self._no_read
        client.on_socket_register_write = self._may_write
        client.on_socket_unregister_write = self._no_write

    async def open(self) -> None:
        """Say CONNECT and wait for the answer.

        Raises:
            FleetError: the broker refused us.
            UnavailableError: it closed the connection instead of answering.
        """
        # The address is for paho's checks alone: the socket is connected.
        self._client.connect("broker", 1, keepalive=self._pace.keepalive_s)
        self._tick()
        await self._accepted

    @property
    def accepted(self) -> bool:
        """Whether the broker has said yes, and may be asked more."""
        return self._accepted.done() and not self.lost.done()

    def subscribe(self, patterns: Mapping[str, int]) -> asyncio.Future[None]:
        """Ask for patterns and their QoS; done when the broker answers. A refusal ends the link."""
        granted: asyncio.Future[None] = self._loop.create_future()
        _, number = self._client.subscribe(list(patterns.items()))
        if number is None:
            raise FleetError("The broker cannot be asked for a subscription: not connected.")
        self._asked[number] = (granted, list(patterns))
        self._write()
        return granted

    async def publish(self, topic: str, payload: bytes, qos: int) -> None:
        """Send; with QoS 0 until it is written to the socket, with QoS 1 until it is acknowledged.

        Raises:
            FleetError: the connection broke first.
        """
        await self._slots.acquire()
        try:
            sent = self._send(topic, payload, qos)
        except BaseException:
            self._slots.release()
            raise
        sent.add_done_callback(self._settled)
        # A caller that no longer waits does not free the slot: the message is still on its way.
        await asyncio.shield(sent)
        if qos == 0:
            await asyncio.sleep(0)  # the socket may take all; others want their turn

    def _send(self, topic: str, payload: bytes, qos: int) -> asyncio.Future[None]:
        if self.lost.done():
            raise _broken(self.lost.result())
        message = self._client.publish(topic, payload, qos)
        if message.rc != MQTTErrorCode.MQTT_ERR_SUCCESS:
            raise FleetError(f"A message to {topic} could not be sent: {message.rc.name}.")
        sent = self._sent[message.mid] = self._loop.create_future()
        self._write()
        return sent

    def _settled(self, sent: asyncio.Future[None]) -> None:
        self._slots.release()
        sent.exception()  # its caller may have gone

    async def close(self) -> None:
        """Say goodbye if there is time, and close the socket."""
        try:
            if not self.lost.done():
                self._client.disconnect()
                self._write()
                await asyncio.wait({self.lost}, timeout=self._pace.close_timeout_s)
        finally:
            self.lose(UnavailableError("The connection to the broker was closed."))
            self._client.close()

    def lose(self, why: EdgeError) -> None:
        """End the connection and tell everybody who waits. The first reason counts."""
        if self.lost.done():
            return
        self.lost.set_result(why)
        if self._timer is not None:
            self._timer.cancel()
        if not self._accepted.done():
            self._accepted.set_exception(why)
            self._accepted.exception()
        for granted, _ in self._asked.values():
            granted.cancel()
        for sent in self._sent.values():
            if not sent.done():
                sent.set_exception(_broken(why))
        self._asked.clear()
        self._sent.clear()
        self._loop.call_soon(self._client.close)  # not now: paho may be in the middle of a callback

    # What the loop calls.

    def _read(self) -> None:
        self._drive(self._read_packets)
        arrived, self._inbox = self._inbox, []
        for message in arrived:
            self._on_message(message)

    def _read_packets(self) -> None:
        for _ in range(_PACKETS_A_TURN):
            before = len(self._inbox)
            self._client.loop_read()
            if self._client.announced_bytes > _MAX_INCOMING_BYTES:
                self.lose(
                    FleetError(
                        f"The broker sends a message of {self._client.announced_bytes} bytes; "
                        f"{_MAX_INCOMING_BYTES} is the most."
                    )
                )
            if self.lost.done():
                return
            if len(self._inbox) == before:
                break
        if self._tls and self._tls.pending():  # decrypted already: the loop would not see it
            self._loop.call_soon(self._read)

    def _write(self) -> None:
        self._drive(self._client.loop_write)

    def _tick(self) -> None:
        self._timer = self._loop.call_later(min(1.0, self._pace.keepalive_s / 8), self._tick)
        self._drive(self._client.loop_misc)

    def _drive(self, work: Callable[[], object]) -> None:
        if self.lost.done():
            return
        try:
            work()
        except Exception as error:  # noqa: BLE001  (whatever paho makes of a broker's bytes)
            _log.debug("paho failed", exc_info=True)
            self.lose(UnavailableError(f"What the broker sent is not MQTT 3.1.1: {error!r}."))

    # What paho calls.

    def _may_read(self, _client: mqtt.Client, _userdata: Any, sock: SocketLike) -> None:
        self._loop.add_reader(sock, self._read)

    def _no_read(self, _client: mqtt.Client, _userdata: Any, sock: SocketLike) -> None:
        self._loop.remove_reader(sock)

    def _may_write(self, _client: mqtt.Client, _userdata: Any, sock: SocketLike) -> None:
        self._loop.add_writer(sock, self._write)

    def _no_write(self, _client: mqtt.Client, _userdata: Any, sock: SocketLike) -> None:
        self._loop.remove_writer(sock)

    def _connack(
        self, _client: mqtt.Client, _userdata: Any, _flags: Any, reason: ReasonCode, _: Any
    ) -> None:
        if not reason.is_failure:
            if not self._accepted.done():
                self._accepted.set_result(None)
            return
        self.lose(FleetError(f"The broker refused the connection: {str(reason).lower()}."))

    def _suback(
        self, _client: mqtt.Client, _userdata: Any, mid: int, reasons: list[ReasonCode], _: Any
    ) -> None:
        granted, patterns = self._asked.pop(mid, (None, []))
        refused = [
            each for each, reason in zip(patterns, reasons, strict=False) if reason.is_failure
        ]
        if refused:
            self.lose(FleetError(f"The broker refused to let us hear {', '.join(refused)}."))
        if granted is not None and not granted.done():
            granted.set_result(None)

    def _published(
        self, _client: mqtt.Client, _userdata: Any, mid: int, _reason: ReasonCode, _: Properties
    ) -> None:
        sent = self._sent.pop(mid, None)
        if sent is not None and not sent.done():
            sent.set_result(None)

    def _arrived(self, _client: mqtt.Client, _userdata: Any, message: mqtt.MQTTMessage) -> None:
        try:
            topic = message.topic
        except UnicodeDecodeError:
            _log.warning("A message was dropped: its topic is not UTF-8.")
            return
        self._inbox.append(Incoming(topic, bytes(message.payload)))

    def _disconnected(
        self, _client: mqtt.Client, _userdata: Any, _flags: Any, reason: ReasonCode, _: Any
    ) -> None:
        said = str(reason).lower()
        if said == "keep alive timeout":
            why = f"The broker has said nothing for {2 * self._pace.keepalive_s} s."
        elif self._accepted.done():
            why = "The connection to the broker was lost."
        else:
            why = "The broker closed the connection without an answer."
        self.lose(UnavailableError(why))


def _broken(why: EdgeError) -> FleetError:
    return FleetError(f"The message was not sent: {why.message}", why.hint)

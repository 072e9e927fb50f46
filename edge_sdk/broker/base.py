"""The seam to MQTT brokers: one narrow connection, whatever is at the other end.

A ``Broker`` is one client's connection that keeps itself up: it connects, subscribes anew after
every reconnection, backs off with jitter, and hands over what comes in. It promises little, since
brokers promise little: a QoS 0 message may be lost; a QoS 1 message is at the broker when
``publish`` returns, and may be lost behind it. Whoever needs more counts on acknowledgements of
its own.

To add one: satisfy ``Broker``, name its URL scheme in ``edge_sdk.broker.SCHEMES``, and run
``tests/contract/test_brokers.py`` over it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Incoming:
    """A message that arrived."""

    topic: str
    payload: bytes


OnMessage = Callable[[Incoming], None]
OnConnected = Callable[[], None]


@dataclass(frozen=True, slots=True)
class Credentials:
    """Who a client is to the broker.

    Attributes:
        username, password: empty for a broker that asks for none.
        ca_file: the authority that signed the broker's certificate; empty for the system's.
        cert_file, key_file: the client's own certificate, for mutual TLS.
    """

    username: str = ""
    password: str = ""
    ca_file: str = ""
    cert_file: str = ""
    key_file: str = ""


class Broker(Protocol):
    """One client's connection. Everything runs in, and is called from, one event loop."""

    @property
    def connected(self) -> bool:
        """Whether the broker has accepted us and nothing has broken since."""

    @property
    def refusal(self) -> str:
        """Why the broker last refused us, or we could not reach it; empty while connected."""

    def subscribe(self, pattern: str, on_message: OnMessage, *, qos: int = 0) -> None:
        """Hear a topic pattern, now and after every reconnection, at most at ``qos``.

        QoS 1 costs some brokers a durable queue for each subscriber; what devices hear is QoS 0.
        ``on_message`` must not block; what it raises is logged and drops that message alone.

        Raises:
            UsageError: it is no pattern, or it overlaps another one of this client's, of which
                some brokers would send two copies.
        """

    def on_connected(self, callback: OnConnected) -> None:
        """Be told after every connection, once all subscriptions are granted."""

    async def publish(self, topic: str, payload: bytes, *, qos: int = 0) -> None:
        """Send. With QoS 1, returns when the broker has it.

        Raises:
            FleetError: not connected, the connection broke first, or the topic or size is not
                allowed; nothing is queued, so ask again.
        """

    async def run(self) -> None:
        """Keep connected until cancelled; then disconnect cleanly."""

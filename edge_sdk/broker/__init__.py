"""Connections to MQTT brokers, by URL: ``connect("mqtt://host:1883", name="agent")``.

``base`` has the seam and what it promises; ``docs/brokers.md`` says which brokers do what.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import urlsplit

from edge_sdk.broker.base import Broker, Credentials, Incoming, OnConnected, OnMessage
from edge_sdk.broker.pace import Pace
from edge_sdk.errors import UnavailableError, UsageError
from edge_sdk.text import nearest

__all__ = [
    "SCHEMES",
    "Address",
    "Broker",
    "Credentials",
    "Incoming",
    "OnConnected",
    "OnMessage",
    "Pace",
    "connect",
]

_NAME = re.compile(r"[A-Za-z0-9_-]{1,80}")


@dataclass(frozen=True, slots=True)
class Address:
    """Where a broker is, and what a connection to it needs."""

    host: str
    port: int | None
    name: str
    credentials: Credentials
    pace: Pace
    random: Callable[[], float]


def connect(
    url: str,
    *,
    name: str,
    credentials: Credentials = Credentials(),  # noqa: B008  (frozen)
    pace: Pace = Pace(),  # noqa: B008
    random: Callable[[], float] = random.random,
) -> Broker:
    """A connection to the broker at ``url``, which starts when its ``run`` does.

    Args:
        url: ``mqtt://HOST[:PORT]``, ``mqtts://HOST[:PORT]``, or ``memory://NAME`` in tests.
        name: what the broker's log calls the client; a random suffix is added.
        credentials: who we are.
        pace: how patient to be.
        random: draws from [0, 1), for the delays between attempts.

    Raises:
        UsageError: the URL, the name, or a file of the credentials cannot be used.
        UnavailableError: paho-mqtt is not installed.
    """
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise UsageError(f"{url!r} is no broker's URL: {error}.", _EXAMPLE) from error
    if parts.scheme not in SCHEMES:
        raise UsageError(
            f"{url!r} has no scheme of a broker. {nearest(parts.scheme, SCHEMES)}", _EXAMPLE
        )
    if not parts.hostname or parts.path.strip("/") or parts.query or parts.username is not None:
        raise UsageError(
            "A broker's URL is a scheme, a host and a port; credentials stay out of it.", _EXAMPLE
        )
    if not _NAME.fullmatch(name):
        raise UsageError(f"{name!r} is no client name: letters, digits, '-' and '_', at most 80.")
    return SCHEMES[parts.scheme](Address(parts.hostname, port, name, credentials, pace, random))


_EXAMPLE = "For example mqtt://127.0.0.1:1883 or mqtts://broker.example.com"


def _over_tcp(address: Address) -> Broker:
    return _by_paho(address, tls=False, port=1883)


def _over_tls(address: Address) -> Broker:
    return _by_paho(address, tls=True, port=8883)


def _by_paho(address: Address, *, tls: bool, port: int) -> Broker:
    try:
        from edge_sdk.broker.paho import PahoBroker
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] != "paho":
            raise
        raise UnavailableError(
            "MQTT needs paho-mqtt, which is not installed.", "pip install 'edgeloop[agent]'"
        ) from error
    return PahoBroker(
        address.host,
        port if address.port is None else address.port,
        tls=tls,
        name=address.name,
        credentials=address.credentials,
        pace=address.pace,
        random=address.random,
    )


def _in_memory(address: Address) -> Broker:
    from edge_sdk.broker.memory import MemoryBroker, hub

    return MemoryBroker(hub(address.host), address.credentials)


SCHEMES: dict[str, Callable[[Address], Broker]] = {
    "mqtt": _over_tcp,
    "mqtts": _over_tls,
    "memory": _in_memory,
}
"""Who makes the connection, by scheme; add to it to plug in another."""

"""Who may say and hear what: the users that every broker of a fleet must know.

A device publishes to its own uplink and hears its own downlink, nothing else; the fleet publishes
and hears everything below ``edge/v1``. ``docs/brokers.md`` has the same as Mosquitto's ACL.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from edge_sdk.errors import UsageError
from edge_sdk.spec.wire import DEVICE_ID, down, up

FLEET = "fleet"
EVERYTHING = "edge/v1/#"


@dataclass(frozen=True, slots=True)
class User:
    """One name and password, and the topic patterns it may publish to and subscribe to."""

    name: str
    password: str = field(repr=False)
    publish: tuple[str, ...]
    subscribe: tuple[str, ...]


def device_user(device: str, password: str) -> User:
    """The user of a device, named as the device.

    Raises:
        UsageError: it is no device id, or the one name that is the fleet's own.
    """
    if not DEVICE_ID.fullmatch(device) or device == FLEET:
        raise UsageError(
            f"{device[:80]!r} cannot be a device's id.",
            f"Use a-z, 0-9 and '-', at most 63, but not {FLEET!r}.",
        )
    return User(device, password, publish=(up(device),), subscribe=(down(device),))


def fleet_user(password: str) -> User:
    """The fleet's own user."""
    return User(FLEET, password, publish=(EVERYTHING,), subscribe=(EVERYTHING,))

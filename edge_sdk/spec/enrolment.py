"""Enrolment: all that a device must be given once, by hand, to belong to a fleet.

``edge fleet enroll DEVICE`` writes it, a person carries it to the device, ``edge agent run`` reads
it. It says where the broker is and who the device is there, and it pins the two keys by which the
device will believe anything at all: TUF's root for what it installs, the director's for what it
should run. Whoever can write this file owns the device; whoever can read it can speak as it. So
it is one file, of mode 0600, and nothing in it is ever sent anywhere.
"""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from edge_sdk.spec.word import Word

DeviceId = Annotated[str, Meta(pattern=r"^[a-z0-9-]{1,63}$(?!\n)")]
SUFFIX = ".enrolment.json"


class BrokerLogin(Word, frozen=True, kw_only=True):
    """Who the device is to the broker.

    Attributes:
        username, password: its own; empty for a broker that asks for none.
        ca: the authority that signed the broker's certificate, PEM; empty for the system's.
    """

    username: str = ""
    password: str = ""
    ca: str = ""

    def __repr__(self) -> str:
        """Without the password, which must not end up in a log."""
        return f"BrokerLogin(username={self.username!r}, password='…', ca={len(self.ca)} bytes)"


class Enrolment(Word, frozen=True, kw_only=True):
    """One device's membership of one fleet. Bytes are base64 in its JSON.

    Attributes:
        device: its name in the fleet, for ever.
        fleet: the fleet's name, for people.
        broker: URL of the broker (``mqtt://HOST:PORT``, ``mqtts://HOST:PORT``).
        credentials: for that broker.
        root: TUF's ``root.json`` at the time; later roots are trusted by being signed by it.
        director: the 32 bytes of the Ed25519 public key that signs Desired.
    """

    device: DeviceId
    broker: str
    root: Annotated[bytes, Meta(min_length=1)]
    director: Annotated[bytes, Meta(min_length=32, max_length=32)]
    fleet: str = ""
    credentials: BrokerLogin = BrokerLogin()

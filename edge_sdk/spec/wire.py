"""The wire: one envelope, a handful of messages, three topics a device. ``docs/wire.md`` explains.

Everything between a device and its fleet is MQTT 3.1.1 and MessagePack. The envelope carries what
MQTT 5 would (type, version, correlation, expiry), so that any broker will do. Reliability is ours:

* downlink is QoS 0; whatever matters is said again when the device says hello;
* uplink that must not be lost is kept by the device until the fleet acknowledges its sequence
  number; a broker's PUBACK proves nothing;
* everything is idempotent, so saying it twice does no harm.

Formats here are for ever: fields may be added, never changed or reused. Golden messages in
``tests/contract/wire`` hold this.
"""

from __future__ import annotations

import hashlib
import re
from typing import ClassVar

import msgspec

from edge_sdk.spec.bench import BenchReport
from edge_sdk.spec.deployment import Reported, Signed
from edge_sdk.spec.profile import DeviceProfile
from edge_sdk.spec.sketch import Window
from edge_sdk.spec.word import Word

VERSION = 1
SHARDS = 16
MAX_MESSAGE_BYTES = 512 * 1024
"""No message is larger; brokers are set to take a little more."""
CHUNK_BYTES = 128 * 1024
DEVICE_ID = re.compile(r"[a-z0-9-]{1,63}")


class Message(Word, frozen=True, kw_only=True):
    """A body that travels in an envelope, under a type name of its own."""

    TYPE: ClassVar[str] = ""


class Hello(Message, frozen=True, kw_only=True):
    """Device, on every connection: here I am, this is what I hold. Answered by Desired."""

    TYPE: ClassVar[str] = "hello"
    boot: str
    profile: DeviceProfile
    reported: Reported


class DesiredMessage(Message, frozen=True, kw_only=True):
    """Fleet: this is the goal. Said again until a report carries its counter."""

    TYPE: ClassVar[str] = "desired"
    desired: Signed


class ReportedMessage(Message, frozen=True, kw_only=True):
    """Device: something changed. Durable."""

    TYPE: ClassVar[str] = "reported"
    at_ms: int
    reported: Reported


class TelemetryMessage(Message, frozen=True, kw_only=True):
    """Device: a window closed. Durable."""

    TYPE: ClassVar[str] = "telemetry"
    windows: tuple[Window, ...]


class BenchMessage(Message, frozen=True, kw_only=True):
    """Device: this is what a model costs here. Durable."""

    TYPE: ClassVar[str] = "bench"
    at_ms: int
    report: BenchReport


class ChunkRequest(Message, frozen=True, kw_only=True):
    """Device: send me these bytes of that file. Answered by Chunk, or asked again."""

    TYPE: ClassVar[str] = "chunk-request"
    path: str
    offset: int
    length: int = CHUNK_BYTES


class Chunk(Message, frozen=True, kw_only=True):
    """Fleet: the bytes; or why there are none.

    Attributes:
        size: of the whole file.
        missing: there is no such file.
    """

    TYPE: ClassVar[str] = "chunk"
    path: str
    offset: int
    size: int = 0
    data: bytes = b""
    missing: bool = False


class Acknowledged(Message, frozen=True, kw_only=True):
    """Fleet: these durable messages are stored; the device may forget them.

    Attributes:
        outbox: whose sequence numbers these are.
        sequences: of messages stored, now or before.
    """

    TYPE: ClassVar[str] = "acknowledged"
    outbox: str
    sequences: tuple[int, ...]


class Dismissed(Message, frozen=True, kw_only=True):
    """Fleet, to a hello: no device of that name belongs to me. For people alone: it is not signed,
    so a device changes nothing of what it does, and goes on saying hello.
    """

    TYPE: ClassVar[str] = "dismissed"


class Envelope(Word, frozen=True, kw_only=True):
    """What every MQTT payload is, in MessagePack.

    Attributes:
        version: of this envelope.
        type: of the body.
        id: of this message, unique to its sender.
        sent_ms: the sender's wall clock.
        expires_ms: after it, on the sender's clock, the message is not worth reading; 0 is never.
        answers: id of the message that this one answers; empty if none.
        outbox, sequence: set on durable messages: which device outbox, and its number there.
        body: the message, MessagePack, left as it is until its type is known.
    """

    type: str
    id: str
    sent_ms: int
    body: msgspec.Raw
    version: int = VERSION
    expires_ms: int = 0
    answers: str = ""
    outbox: str = ""
    sequence: int = 0


BODIES: dict[str, type[Message]] = {
    kind.TYPE: kind
    for kind in (
        Hello,
        DesiredMessage,
        ReportedMessage,
        TelemetryMessage,
        BenchMessage,
        ChunkRequest,
        Chunk,
        Acknowledged,
        Dismissed,
    )
}


def shard(device: str) -> int:
    """The uplink shard of a device: consumers share out shards, on any broker."""
    return hashlib.sha256(device.encode()).digest()[0] % SHARDS


def up(device: str) -> str:
    """Topic of a device's uplink; durable messages QoS 1, requests QoS 0."""
    return f"edge/v1/{shard(device):02}/{device}/up"


def down(device: str) -> str:
    """Topic of a device's downlink, QoS 0."""
    return f"edge/v1/{shard(device):02}/{device}/dn"


UP_OF_ALL = "edge/v1/+/+/up"


def device_of(topic: str) -> str | None:
    """The device that an uplink topic belongs to; None for any other topic."""
    parts = topic.split("/")
    if len(parts) == 5 and parts[4] == "up" and up(parts[3]) == topic:
        return parts[3]
    return None

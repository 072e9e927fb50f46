"""Envelopes: whatever is sealed can be opened; a hostile broker's bytes are only FleetErrors."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_sdk.errors import FleetError
from edge_sdk.spec.envelope import has_expired, open_, read, seal
from edge_sdk.spec.wire import (
    MAX_MESSAGE_BYTES,
    SHARDS,
    VERSION,
    Acknowledged,
    Chunk,
    Message,
    device_of,
    down,
    shard,
    up,
)

pack = msgspec.msgpack.encode
GOOD = {"type": "acknowledged", "id": "1", "sent_ms": 5, "body": {"outbox": "o", "sequences": [1]}}
DEEP = b"\x91" * 100_000 + b"\xc0"


def payload(**raw: bytes) -> bytes:
    """A good envelope, but for fields whose MessagePack is given."""
    fields = {**{name: pack(value) for name, value in GOOD.items()}, **raw}
    return bytes([0x80 | len(fields)]) + b"".join(pack(k) + v for k, v in fields.items())


@settings(max_examples=25)
@given(st.data())
def test_round_trip(any_message: st.SearchStrategy[Message], data: st.DataObject) -> None:
    message = data.draw(any_message)
    envelope = open_(seal(message, id="7", sent_ms=1, answers="6", outbox="o", sequence=3))
    assert read(envelope) == message
    assert (envelope.type, envelope.id, envelope.sent_ms) == (message.TYPE, "7", 1)
    assert (envelope.answers, envelope.outbox, envelope.sequence) == ("6", "o", 3)


def test_the_forger_knows_our_form() -> None:
    assert read(open_(payload())) == Acknowledged(outbox="o", sequences=(1,))


def test_unknown_fields_and_types_are_let_pass() -> None:
    body = pack({"outbox": "o", "sequences": [1], "future": {"deep": [1]}})
    assert read(open_(payload(future=b"\xc0", body=body))) == Acknowledged(
        outbox="o", sequences=(1,)
    )
    assert read(open_(payload(type=pack("from-the-future")))) is None


@pytest.mark.parametrize(
    "hostile",
    [
        b"",
        b"\xc1",
        pack([1, 2, 3]),
        b"\xdf\xff\xff\xff\xff",
        payload()[:-1],
        payload(future=DEEP),
        payload(body=DEEP),
        payload(id=b"\xa1\xff"),
        payload(sent_ms=pack("now")),
        payload(sent_ms=pack(1.5)),
        bytes(MAX_MESSAGE_BYTES + 1),
    ],
    ids=lambda hostile: repr(hostile[:24]),
)
def test_hostile_envelopes(hostile: bytes) -> None:
    with pytest.raises(FleetError):
        open_(hostile)


@pytest.mark.parametrize(
    "body",
    [
        pack(None),
        pack({"outbox": "o"}),
        pack({"outbox": "o", "sequences": ["1"]}),
        b"\x82" + pack("outbox") + b"\xa1\xff" + pack("sequences") + b"\x90",
        b"\x82" + pack("outbox") + pack("o") + pack("sequences") + b"\xdd\xff\xff\xff\xff",
        b"\x81" + pack("future") + b"\x91" * 900 + b"\xc0",
    ],
    ids=lambda body: repr(body[:24]),
)
def test_hostile_bodies(body: bytes) -> None:
    with pytest.raises(FleetError):
        read(open_(payload(body=body)))


@settings(max_examples=300)
@given(st.binary(max_size=80), st.integers(0, len(payload())))
def test_any_bytes_at_all(data: bytes, at: int) -> None:
    for mixed in (data, payload()[:at] + data, payload()[:at] + data + payload()[at + len(data) :]):
        try:
            found: Any = read(open_(mixed))
        except FleetError:
            continue
        assert found is None or isinstance(found, Message)


def test_newer_envelopes() -> None:
    with pytest.raises(FleetError, match="is of version 2; this edgeloop reads up to 1") as raised:
        open_(payload(version=pack(VERSION + 1)))
    assert raised.value.hint == "pip install --upgrade edgeloop"


def test_a_message_too_large_to_send() -> None:
    with pytest.raises(FleetError, match="over the limit"):
        seal(Chunk(path="x", offset=0, data=bytes(MAX_MESSAGE_BYTES)), id="1", sent_ms=1)


def test_expiry_is_by_the_senders_word() -> None:
    def envelope(expires_ms: int) -> Any:
        return open_(payload(expires_ms=pack(expires_ms)))

    assert not has_expired(envelope(0), 10**15)
    assert not has_expired(envelope(100), 100)
    assert has_expired(envelope(100), 101)


def test_topics() -> None:
    """Where a device speaks and listens never changes, or old devices are lost."""
    assert up("lamp-1") == "edge/v1/06/lamp-1/up"
    assert down("lamp-1") == "edge/v1/06/lamp-1/dn"
    assert device_of(up("lamp-1")) == "lamp-1"
    assert {shard(f"device-{number}") for number in range(500)} == set(range(SHARDS))


@pytest.mark.parametrize(
    "topic",
    [
        "",
        "edge/v1/06/lamp-1/dn",
        "edge/v1/02/lamp-1/up",
        "edge/v2/03/lamp-1/up",
        "edge/v1/06/lamp-1/up/more",
        "edge/v1/6/lamp-1/up",
    ],
)
def test_topics_of_nobody(topic: str) -> None:
    assert device_of(topic) is None

"""Sealing and opening envelopes: messages to the bytes of an MQTT payload, and back.

Opening is two steps, so that a relay or a store never needs to understand what it carries:
``open_`` reads the envelope and leaves the body's bytes as they are, unknown fields and all;
``read`` decodes the body once its type is known.
"""

from __future__ import annotations

import msgspec

from edge_sdk.errors import FleetError
from edge_sdk.spec.codec import UNREADABLE
from edge_sdk.spec.wire import BODIES, MAX_MESSAGE_BYTES, VERSION, Envelope, Message

_encoder = msgspec.msgpack.Encoder()
_envelopes = msgspec.msgpack.Decoder(Envelope)
_bodies = {name: msgspec.msgpack.Decoder(kind) for name, kind in BODIES.items()}


def seal(
    message: Message,
    *,
    id: str,
    sent_ms: int,
    answers: str = "",
    expires_ms: int = 0,
    outbox: str = "",
    sequence: int = 0,
) -> bytes:
    """The payload that carries ``message``. Raises FleetError if it is too large to send."""
    payload = _encoder.encode(
        Envelope(
            type=message.TYPE,
            id=id,
            sent_ms=sent_ms,
            answers=answers,
            expires_ms=expires_ms,
            outbox=outbox,
            sequence=sequence,
            body=msgspec.Raw(_encoder.encode(message)),
        )
    )
    if len(payload) > MAX_MESSAGE_BYTES:
        raise FleetError(
            f"A {message.TYPE} message of {len(payload)} bytes is over the limit of "
            f"{MAX_MESSAGE_BYTES}."
        )
    return payload


def open_(payload: bytes) -> Envelope:
    """The envelope of a payload.

    Raises:
        FleetError: it is none, or of a version that this edgeloop does not read.
    """
    if len(payload) > MAX_MESSAGE_BYTES:
        raise FleetError(f"A message of {len(payload)} bytes is over the limit.")
    try:
        envelope = _envelopes.decode(payload)
    except UNREADABLE as error:
        raise FleetError(f"A message is not an envelope: {error}") from error
    if envelope.version > VERSION:
        raise FleetError(
            f"A message is of version {envelope.version}; this edgeloop reads up to {VERSION}.",
            "pip install --upgrade edgeloop",
        )
    return envelope


def read(envelope: Envelope) -> Message | None:
    """The message inside; None if its type is not known here.

    Raises:
        FleetError: the body is not what its type says.
    """
    decoder = _bodies.get(envelope.type)
    if decoder is None:
        return None
    try:
        message: Message = decoder.decode(envelope.body)
    except UNREADABLE as error:
        raise FleetError(f"A {envelope.type} message cannot be read: {error}") from error
    return message


def has_expired(envelope: Envelope, now_ms: int) -> bool:
    """Whether the message is past its time on the receiver's clock; clocks may differ."""
    return 0 < envelope.expires_ms < now_ms

"""Words in a column: MessagePack there, structs here."""

from __future__ import annotations

from typing import TypeVar

import msgspec

from edge_sdk.errors import UnavailableError
from edge_sdk.spec.codec import UNREADABLE, meet

T = TypeVar("T")

_encoder = msgspec.msgpack.Encoder()


def pack(word: object) -> bytes:
    """The bytes to keep."""
    return _encoder.encode(word)


def unpack(data: bytes, kind: type[T]) -> T:
    """What was kept. Raises UnavailableError if the column holds something else."""
    meet(kind)  # several threads read, all at once when a fleet starts
    try:
        return msgspec.msgpack.decode(data, type=kind)
    except UNREADABLE as error:
        raise UnavailableError(
            f"The fleet's database holds a {kind.__name__} that cannot be read: {error}.",
            "Restore it from its backup, or upgrade: pip install --upgrade edgeloop",
        ) from error

"""Signed words: Ed25519 over a context and the bytes of a Desired (RFC 8032).

The context comes first, so that a signature made for another purpose never fits. What is signed is
kept as bytes and only decoded after its signature has proved right: a decoder never sees what a
stranger wrote, and a field that a newer fleet added survives.
"""

from __future__ import annotations

from dataclasses import dataclass

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from edge_sdk.errors import ArtifactError
from edge_sdk.files import sha256
from edge_sdk.spec.codec import UNREADABLE, meet
from edge_sdk.spec.deployment import DESIRED_CONTEXT, Desired, Signed

_NOT_OURS = "Ask the fleet again; if it goes on, enrol the device anew: edge fleet enroll DEVICE"


def key_id(public: bytes) -> str:
    """How a key is named: the hex SHA-256 of its 32 public bytes."""
    return sha256(public)


@dataclass(frozen=True)
class DirectorKey:
    """The fleet's private key for Desired."""

    private: Ed25519PrivateKey

    @property
    def public(self) -> bytes:
        """The 32 bytes that an enrolment pins."""
        return self.private.public_key().public_bytes_raw()

    def sign(self, desired: Desired) -> Signed:
        """Encode and sign: the same Desired gives the same bytes."""
        payload = msgspec.msgpack.encode(desired, order="deterministic")
        signature = self.private.sign(DESIRED_CONTEXT + payload)
        return Signed(payload=payload, key=key_id(self.public), signature=signature)


def open_desired(signed: Signed, director: bytes, device: str) -> Desired:
    """The Desired inside, once it is proved to be the director's word for this device.

    Args:
        signed: as it came.
        director: the 32 bytes of the public key pinned at enrolment.
        device: who is asking.

    Raises:
        ArtifactError: signed by another key or not at all, altered, unreadable, or meant for
            another device.
    """
    if signed.key != key_id(director):
        raise ArtifactError(
            f"A Desired is signed by the key {signed.key[:12]}…, not by this fleet's director "
            f"{key_id(director)[:12]}….",
            _NOT_OURS,
        )
    try:
        public = Ed25519PublicKey.from_public_bytes(director)
        public.verify(signed.signature, DESIRED_CONTEXT + signed.payload)
    except (InvalidSignature, ValueError) as error:
        raise ArtifactError(
            "A Desired was altered or forged: its signature does not fit.", _NOT_OURS
        ) from error
    meet(Desired)
    try:
        desired = msgspec.msgpack.decode(signed.payload, type=Desired)
    except UNREADABLE as error:
        raise ArtifactError(
            f"A Desired is rightly signed but cannot be read here: {error}.",
            "pip install --upgrade edgeloop",
        ) from error
    if desired.device != device:
        raise ArtifactError(
            f"A Desired for the device {desired.device!r} came to {device!r}.", _NOT_OURS
        )
    return desired

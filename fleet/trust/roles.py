"""The four roles of TUF: how long each is valid, when it is renewed, how it is signed.

Short-lived roles are re-signed often, so a device that is shown an old state finds out soon. All is
a function of the time passed in. The fleet's own clock may step back: a role is never issued at an
earlier time than the one before it, or devices, which remember, would take it for expired.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from tuf.api import exceptions
from tuf.api.metadata import Metadata, Root, Signed, Snapshot, Targets, Timestamp

from edge_sdk.errors import UnavailableError
from edge_sdk.trust.chain import ISSUED, issued_ms
from fleet.trust.keys import KeyRing

VALID = {
    Root.type: timedelta(days=365),
    Targets.type: timedelta(days=90),
    Snapshot.type: timedelta(days=7),
    Timestamp.type: timedelta(days=1),
}
ROLES = tuple(VALID)

OneRole = TypeVar("OneRole", Root, Targets, Snapshot, Timestamp)


def utc_now() -> datetime:
    """The system's clock."""
    return datetime.now(UTC)


def issued(signed: Signed) -> datetime:
    """When it was issued."""
    return datetime.fromtimestamp(issued_ms(signed) / 1000, UTC)


def is_due(signed: Signed, now: datetime) -> bool:
    """Whether half of its life is over, so that it should be signed anew."""
    return now >= signed.expires - VALID[signed.type] / 2


def stamp(signed: Signed, now: datetime, version: int) -> None:
    """Make it the given version, issued now and valid for as long as its role is."""
    signed.version = version
    signed.expires = now.replace(microsecond=0) + VALID[signed.type]
    signed.unrecognized_fields[ISSUED] = int(now.timestamp() * 1000)


def seal(signed: Signed, keys: KeyRing, roots: Iterable[Root]) -> bytes:
    """Its file, signed with the keys that each of these roots names for its role.

    While a key is being changed these are two roots, and the file is good under both.

    Raises:
        UnavailableError: a key is not in the key folder.
    """
    metadata = Metadata[Any](signed)
    for root in roots:
        for key in root.roles[signed.type].keyids:
            signer = keys.signer(signed.type, key)
            if signer is None:
                raise UnavailableError(
                    f"The {signed.type} key {key[:12]}… is not in the fleet's key folder.",
                    "Put it back into trust/keys and try again.",
                )
            metadata.sign(signer, append=True)
    return metadata.to_bytes()


def unseal(kind: type[OneRole], data: bytes, root: Root | None) -> OneRole:
    """A role read back from the fleet's own disk, which is not believed either.

    Args:
        kind: the role expected.
        data: its file.
        root: which names its keys; None for a root, which names its own.

    Raises:
        UnavailableError: it is not what this fleet signed.
    """
    try:
        metadata = Metadata[Any].from_bytes(data)
        signed = metadata.signed
        judge = signed if root is None else root
        if isinstance(signed, kind) and isinstance(judge, Root):
            judge.verify_delegate(kind.type, metadata.signed_bytes, metadata.signatures)
            return signed
        problem = f"it is a {signed.type}"
    except exceptions.RepositoryError as error:
        problem = str(error)
    raise UnavailableError(
        f"The fleet's own {kind.type} metadata is not what it signed: {problem}.",
        "Restore the fleet's trust folder from its backup.",
    )

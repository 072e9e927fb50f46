"""What ``edge verify --trust`` found out: a word of its own, which needs neither TUF nor keys."""

from __future__ import annotations

from edge_sdk.spec import Word


class TrustProof(Word, frozen=True, kw_only=True):
    """Why an artifact is trusted, and until when.

    Attributes:
        root_sha256: of the ``root.json`` that was trusted to begin with.
        root_version: of the newest root that it led to.
        signed_by: ids of the keys that may sign the list of published files.
        targets_version: of that list.
        expires: when the first link of the chain does, ISO 8601.
    """

    root_sha256: str
    root_version: int
    signed_by: tuple[str, ...]
    targets_version: int
    expires: str

"""Artifacts: what has been published, by digest and by name."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, Row, insert, select

from edge_sdk.spec.deployment import ArtifactRef
from fleet.stores.tables import artifacts


@dataclass(frozen=True, slots=True)
class Published:
    """One artifact, as far as the fleet needs it by itself.

    Attributes:
        manifest: its JSON, byte by byte.
        baseline: ``baseline.json``, if it has one.
    """

    ref: ArtifactRef
    manifest: bytes
    baseline: bytes | None
    published_ms: int


def add(connection: Connection, published: Published) -> bool:
    """Keep an artifact; answers False if it was there already."""
    ref = published.ref
    if by_digest(connection, ref.digest) is not None:
        return False
    connection.execute(
        insert(artifacts).values(
            digest=ref.digest,
            name=ref.name,
            version=ref.version,
            manifest=published.manifest,
            baseline=published.baseline,
            published_ms=published.published_ms,
        )
    )
    return True


def all_of(connection: Connection) -> list[Published]:
    """Every artifact, newest first."""
    rows = connection.execute(select(artifacts).order_by(artifacts.c.published_ms.desc()))
    return [_published(row) for row in rows]


def by_digest(connection: Connection, digest: str) -> Published | None:
    """The artifact of that digest."""
    row = connection.execute(select(artifacts).where(artifacts.c.digest == digest)).one_or_none()
    return None if row is None else _published(row)


def by_name(connection: Connection, name: str, version: str) -> Published | None:
    """The artifact of that name and version."""
    row = connection.execute(
        select(artifacts).where(artifacts.c.name == name, artifacts.c.version == version)
    ).one_or_none()
    return None if row is None else _published(row)


def _published(row: Row[tuple[object, ...]]) -> Published:
    return Published(
        ref=ArtifactRef(digest=row.digest, name=row.name, version=row.version),
        manifest=row.manifest,
        baseline=row.baseline,
        published_ms=row.published_ms,
    )

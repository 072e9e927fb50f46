"""The audit trail: who did what to what, and when. Written in the transaction that did it."""

from __future__ import annotations

from sqlalchemy import Connection, insert, select

from fleet.stores.tables import events
from fleet.words import Entry

OPERATOR = "operator"
FLEET = "fleet"


def note(
    connection: Connection, at_ms: int, who: str, what: str, subject: str, detail: str = ""
) -> None:
    """Write one line. ``detail`` may be a device's own words, in which anything may stand."""
    detail = detail.replace("\0", "\N{REPLACEMENT CHARACTER}")  # PostgreSQL takes none
    connection.execute(
        insert(events).values(at_ms=at_ms, who=who, what=what, subject=subject, detail=detail)
    )


def newest(connection: Connection, most: int = 200, subject: str = "") -> list[Entry]:
    """The last lines, newest first; of one subject, or of all."""
    query = select(events).order_by(events.c.id.desc()).limit(most)
    if subject:
        query = query.where(events.c.subject == subject)
    return [Entry(**row._mapping) for row in connection.execute(query)]


def holds(connection: Connection, what: str, subject: str, detail: str) -> bool:
    """Whether there is such a line already."""
    query = select(events.c.id).where(
        events.c.subject == subject, events.c.what == what, events.c.detail == detail
    )
    return connection.execute(query.limit(1)).first() is not None

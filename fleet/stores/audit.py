"""The audit trail: who did what to what, and when. Written in the transaction that did it."""

from __future__ import annotations

from sqlalchemy import Connection, insert, select

from edge_sdk.spec.word import Word
from fleet.stores.tables import events

OPERATOR = "operator"
FLEET = "fleet"


class Entry(Word, frozen=True, kw_only=True):
    """One line of the trail.

    Attributes:
        id: grows from entry to entry.
        at_ms: wall clock of the fleet.
        who: ``operator``, ``fleet`` or a device's id.
        what: ``enrolled``, ``published``, ``rollout canary``, …
        subject: the device, artifact or rollout it happened to.
        detail: for people.
    """

    id: int
    at_ms: int
    who: str
    what: str
    subject: str
    detail: str = ""


def note(
    connection: Connection, at_ms: int, who: str, what: str, subject: str, detail: str = ""
) -> None:
    """Write one line."""
    connection.execute(
        insert(events).values(at_ms=at_ms, who=who, what=what, subject=subject, detail=detail)
    )


def newest(connection: Connection, most: int = 200, subject: str = "") -> list[Entry]:
    """The last lines, newest first; of one subject, or of all."""
    query = select(events).order_by(events.c.id.desc()).limit(most)
    if subject:
        query = query.where(events.c.subject == subject)
    return [Entry(**row._mapping) for row in connection.execute(query)]

"""Windows from the devices, each kept once however often it arrives."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from sqlalchemy import Connection, bindparam, delete, func, insert, select
from sqlalchemy.dialects import postgresql, sqlite

from edge_sdk.spec.sketch import Window
from fleet.core.tally import Tally, counts
from fleet.stores.packing import pack, unpack
from fleet.stores.tables import devices, receipts, windows


def receive(connection: Connection, device: str, outbox: str, sequence: int, at_ms: int) -> bool:
    """Note that a durable message is here; answers whether it is for the first time."""
    dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
    noted = connection.execute(
        dialect.insert(receipts)
        .values(device=device, outbox=outbox, sequence=sequence, received_ms=at_ms)
        .on_conflict_do_nothing()
        .returning(receipts.c.sequence)  # PostgreSQL's driver counts no inserted rows
    )
    return noted.first() is not None


def add(connection: Connection, device: str, closed: Iterable[Window], at_ms: int) -> None:
    """Keep windows of a device."""
    rows = [
        {
            "device": device,
            "app": window.app,
            "artifact": window.artifact,
            "role": window.role,
            "received_ms": at_ms,
            "ended_ms": window.ended_ms,
            "inferences": window.inferences,
            "errors": window.errors,
            "crashes": window.crashes,
            "refused": sum(window.refused.values()),
            "unrecorded": window.unrecorded,
            "window": pack(window),
        }
        for window in closed
    ]
    if rows:
        connection.execute(insert(windows), rows)


def of_model(
    connection: Connection,
    device: str,
    app: str,
    artifact: str,
    role: str,
    *,
    since_ms: int = 0,
    most: int = 200,
) -> list[Window]:
    """The newest windows of one model on one device, oldest first.

    Args:
        since_ms: received then or later, by the fleet's clock.
        most: at most so many.
    """
    asked = {"app": app, "artifact": artifact, "device": device, "role": role}
    rows = (
        connection.execute(_NEWEST, {**asked, "since_ms": since_ms, "most": most}).scalars().all()
    )
    return [unpack(data, Window) for data in rows][::-1]


# Asked for every canary once a second: to put it together costs more than to answer it.
_NEWEST = (
    select(windows.c.window)
    .where(
        windows.c.app == bindparam("app"),
        windows.c.artifact == bindparam("artifact"),
        windows.c.device == bindparam("device"),
        windows.c.role == bindparam("role"),
        windows.c.received_ms >= bindparam("since_ms"),
    )
    .order_by(windows.c.id.desc())
    .limit(bindparam("most"))
)


@dataclass(frozen=True, slots=True)
class Model:
    """One model on one device in one role."""

    app: str
    artifact: str
    device: str
    role: str


def models(connection: Connection, since_ms: int, device: str = "") -> list[Model]:
    """All models that anything was heard of since then, those heard of last at the end; not those
    of devices that were removed.

    Args:
        device: of this device; empty for all.
    """
    keys = (windows.c.app, windows.c.artifact, windows.c.device, windows.c.role)
    query = (
        select(*keys)
        .join(devices, devices.c.device == windows.c.device)
        .where(windows.c.received_ms >= since_ms, devices.c.removed_ms.is_(None))
    )
    if device:
        query = query.where(windows.c.device == device)
    rows = connection.execute(query.group_by(*keys).order_by(func.max(windows.c.id)))
    return [Model(*row) for row in rows]


def after(
    connection: Connection, model: Model, newest: int, most: int = 1000
) -> list[tuple[int, Window]]:
    """The windows of a model that came after the one of that id, with their ids, oldest first."""
    rows = connection.execute(
        select(windows.c.id, windows.c.window)
        .where(
            windows.c.app == model.app,
            windows.c.artifact == model.artifact,
            windows.c.device == model.device,
            windows.c.role == model.role,
            windows.c.id > newest,
        )
        .order_by(windows.c.id)
        .limit(most)
    )
    return [(int(id_), unpack(window, Window)) for id_, window in rows]


def sums(
    connection: Connection, app: str, artifact: str, role: str, since_ms: int
) -> dict[str, Tally]:
    """Counts of one model by device, without its latencies, received since then."""
    counted = (windows.c.inferences, windows.c.errors, windows.c.crashes)
    rows = connection.execute(
        select(windows.c.device, *map(func.sum, counted))
        .where(
            windows.c.app == app,
            windows.c.artifact == artifact,
            windows.c.role == role,
            windows.c.received_ms >= since_ms,
        )
        .group_by(windows.c.device)
    ).all()
    return {
        device: Tally(inferences=int(inferences), errors=int(errors), crashes=int(crashes))
        for device, inferences, errors, crashes in rows
    }


def sums_after(
    connection: Connection, app: str, artifact: str, role: str, newest: int
) -> dict[str, Tally]:
    """The same of the windows that came after the one of that id."""
    # By the id alone, which finds them at once; an index of models would lead through all of it.
    keys = (windows.c.app, windows.c.artifact, windows.c.role)
    counted = (windows.c.inferences, windows.c.errors, windows.c.crashes)
    rows = connection.execute(
        select(windows.c.device, *keys, *counted).where(windows.c.id > newest)
    ).all()
    came: dict[str, list[Tally]] = {}
    for device, *model, inferences, errors, crashes in rows:
        if model == [app, artifact, role]:
            one = Tally(inferences=inferences, errors=errors, crashes=crashes)
            came.setdefault(device, []).append(one)
    return {device: counts(tallies) for device, tallies in came.items()}


def newest(connection: Connection) -> int:
    """Id of the window that was stored last; 0 if there is none."""
    query = select(func.coalesce(func.max(windows.c.id), 0))
    return int(connection.execute(query).scalar_one())


@dataclass(frozen=True, slots=True)
class Totals:
    """Sums over the windows that are kept of a device; see ``Window``."""

    windows: int
    inferences: int
    refused: int
    unrecorded: int


def totals(connection: Connection, device: str) -> Totals:
    """What the windows that are kept of a device come to."""
    summed = (windows.c.inferences, windows.c.refused, windows.c.unrecorded)
    row = connection.execute(
        select(func.count(), *(func.coalesce(func.sum(column), 0) for column in summed)).where(
            windows.c.device == device
        )
    ).one()
    return Totals(*map(int, row))


def forget(connection: Connection, before_ms: int) -> int:
    """Drop windows received before then; answers how many."""
    dropped = connection.execute(delete(windows).where(windows.c.received_ms < before_ms))
    return dropped.rowcount


def forget_of(connection: Connection, device: str) -> None:
    """Drop all windows of a device. Not its receipts: what it sends again must not count anew."""
    connection.execute(delete(windows).where(windows.c.device == device))


def forget_receipts(connection: Connection, before_ms: int) -> None:
    """Drop receipts noted before then. Keep them longer than windows: a device that was away must
    not count twice when it is back.
    """
    connection.execute(delete(receipts).where(receipts.c.received_ms < before_ms))

"""Devices: who belongs to the fleet, what each last said of itself, and what each was told."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from sqlalchemy import Connection, Row, func, insert, select, update

from edge_sdk.spec.deployment import Desired, Reported, Signed
from edge_sdk.spec.profile import DeviceProfile
from fleet.stores.packing import pack, unpack
from fleet.stores.tables import desired, devices, reported


@dataclass(frozen=True, slots=True)
class Device:
    """One device, whole.

    Attributes:
        seen_ms: when anything last came from it, by the fleet's clock; None before its first word.
        goal: what it was told, decoded; None before it was told anything.
    """

    device: str
    enrolled_ms: int
    labels: Mapping[str, str] = field(default_factory=dict)
    profile: DeviceProfile | None = None
    boot: str = ""
    seen_ms: int | None = None
    reported: Reported = field(default_factory=Reported)
    goal: Desired | None = None


def add(
    connection: Connection, device: str, password: str, labels: Mapping[str, str], at_ms: int
) -> None:
    """Enrol a device; one that is enrolled already gets this password, and these labels if any."""
    password_alone = {"password": password}
    values = {**password_alone, "labels": pack(dict(labels))}
    known = connection.execute(
        update(devices)
        .where(devices.c.device == device)
        .values(values if labels else password_alone)
    )
    if known.rowcount == 0:
        connection.execute(insert(devices).values(device=device, enrolled_ms=at_ms, **values))


def passwords(connection: Connection) -> dict[str, str]:
    """Every device's password at the broker."""
    rows = connection.execute(select(devices.c.device, devices.c.password))
    return {row.device: row.password for row in rows}


def names(connection: Connection) -> set[str]:
    """Every device's id."""
    return set(connection.execute(select(devices.c.device)).scalars())


_WHOLE = (
    select(
        devices,
        reported.c.reported,
        desired.c.signed,
    )
    .outerjoin(reported, reported.c.device == devices.c.device)
    .outerjoin(desired, desired.c.device == devices.c.device)
    .order_by(devices.c.device)
)


def all_of(connection: Connection) -> list[Device]:
    """Every device, by id."""
    return [_device(row) for row in connection.execute(_WHOLE)]


def one(connection: Connection, device: str) -> Device | None:
    """The device of that id."""
    row = connection.execute(_WHOLE.where(devices.c.device == device)).one_or_none()
    return None if row is None else _device(row)


def some(connection: Connection, ids: Iterable[str]) -> list[Device]:
    """Those devices that there are of ``ids``, by id."""
    wanted = sorted(ids)
    found: list[Device] = []
    for start in range(0, len(wanted), 500):  # databases bound the length of a list
        rows = connection.execute(_WHOLE.where(devices.c.device.in_(wanted[start : start + 500])))
        found += map(_device, rows)
    return found


def _device(row: Row[tuple[object, ...]]) -> Device:
    signed = unpack(row.signed, Signed) if row.signed is not None else None
    return Device(
        device=row.device,
        enrolled_ms=row.enrolled_ms,
        labels=unpack(row.labels, dict[str, str]),
        profile=unpack(row.profile, DeviceProfile) if row.profile is not None else None,
        boot=row.boot,
        seen_ms=row.seen_ms,
        reported=unpack(row.reported, Reported) if row.reported is not None else Reported(),
        goal=unpack(signed.payload, Desired) if signed is not None else None,
    )


def saw(connection: Connection, ids: Iterable[str], at_ms: int) -> None:
    """Something came from these devices."""
    for device in ids:
        connection.execute(update(devices).where(devices.c.device == device).values(seen_ms=at_ms))


def introduce(connection: Connection, device: str, profile: DeviceProfile, boot: str) -> None:
    """Keep what a hello said about the machine."""
    connection.execute(
        update(devices).where(devices.c.device == device).values(profile=pack(profile), boot=boot)
    )


def report_now(connection: Connection, device: str, said: Reported, at_ms: int) -> None:
    """Keep a report that describes this very moment: a hello's. It replaces any other."""
    values = {"counter": said.counter, "reported": pack(said), "updated_ms": at_ms}
    known = connection.execute(update(reported).where(reported.c.device == device).values(values))
    if known.rowcount == 0:
        connection.execute(insert(reported).values(device=device, outbox="", sequence=0, **values))


def report_then(
    connection: Connection, device: str, said: Reported, outbox: str, sequence: int, at_ms: int
) -> bool:
    """Keep a report that may be late, unless something newer is known; answers whether it was kept.

    Newer is what has a higher sequence number in the same outbox; and since neither counter nor
    attempts ever go back, whatever has fewer of them is older, wherever it came from.
    """
    row = connection.execute(select(reported).where(reported.c.device == device)).one_or_none()
    if row is not None:
        known = unpack(row.reported, Reported)
        if row.outbox == outbox and row.sequence >= sequence:
            return False
        if said.counter < known.counter or any(
            name in said.apps and said.apps[name].attempt < app.attempt
            for name, app in known.apps.items()
        ):
            return False
    report_now(connection, device, said, at_ms)
    connection.execute(
        update(reported).where(reported.c.device == device).values(outbox=outbox, sequence=sequence)
    )
    return True


def told(connection: Connection, device: str) -> Signed | None:
    """The newest Desired that was signed for a device."""
    data = connection.execute(
        select(desired.c.signed).where(desired.c.device == device)
    ).scalar_one_or_none()
    return None if data is None else unpack(data, Signed)


def tell(connection: Connection, device: str, counter: int, signed: Signed) -> None:
    """Keep a newly signed Desired; it is sent only once this is committed."""
    values = {"counter": counter, "signed": pack(signed)}
    known = connection.execute(update(desired).where(desired.c.device == device).values(values))
    if known.rowcount == 0:
        connection.execute(insert(desired).values(device=device, **values))


def behind(connection: Connection) -> dict[str, tuple[int, Signed]]:
    """Devices that have not reported the newest Desired: counter and bytes."""
    rows = connection.execute(
        select(desired)
        .outerjoin(reported, reported.c.device == desired.c.device)
        .where(func.coalesce(reported.c.counter, -1) < desired.c.counter)
    )
    return {row.device: (row.counter, unpack(row.signed, Signed)) for row in rows}

"""Devices: who belongs to the fleet, what each last said of itself, and what each was told."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from sqlalchemy import Connection, Row, delete, func, insert, select, update

from edge_sdk.spec.deployment import Desired, Reported, Signed
from edge_sdk.spec.profile import DeviceProfile
from fleet.core.twins import LONGEST_BOOT, Voices
from fleet.stores.packing import pack, unpack
from fleet.stores.tables import desired, devices, reported


@dataclass(frozen=True, slots=True)
class Device:
    """One device, whole.

    Attributes:
        seen_ms: when anything last came from it, by the fleet's clock; None before its first word.
        goal: what it was told, decoded; None before it was told anything.
        voices: the agents that have spoken as this device.
    """

    device: str
    enrolled_ms: int
    labels: Mapping[str, str] = field(default_factory=dict)
    profile: DeviceProfile | None = None
    boot: str = ""
    seen_ms: int | None = None
    reported: Reported = field(default_factory=Reported)
    goal: Desired | None = None
    voices: Voices = field(default_factory=Voices)


@dataclass(frozen=True, slots=True)
class Standing:
    """What a rollout goes by of a device: all of them are looked at once a second.

    Attributes:
        device, seen_ms, reported: as of ``Device``.
        told: counter of the newest Desired that was signed for it; None before the first.
        signed: that Desired, as it was kept.
    """

    device: str
    seen_ms: int | None
    reported: Reported
    told: int | None
    signed: bytes | None

    @property
    def goal(self) -> Desired | None:
        """What it was told, decoded: few stages ask for that."""
        return None if self.signed is None else _goal(self.signed)


_BLANK = {"profile": None, "boot": "", "seen_ms": None, "voices": None}
"""What is known of a device before its first hello."""


def add(
    connection: Connection, device: str, password: str, labels: Mapping[str, str], at_ms: int
) -> bool:
    """Enrol a device; one that is enrolled already gets this password, and these labels if any.
    One that was removed begins anew; answers whether this is such a one.
    """
    mine = devices.c.device == device
    words: dict[str, object] = {"labels": pack(dict(labels))} if labels else {}
    known = connection.execute(
        update(devices).where(mine, _HERE).values(password=password, voices=None, **words)
    )
    if known.rowcount:
        return False
    words = {"password": password, "labels": pack(dict(labels)), "enrolled_ms": at_ms}
    back = connection.execute(update(devices).where(mine).values(removed_ms=None, **words))
    if back.rowcount == 0:
        connection.execute(insert(devices).values(device=device, **words))
    return back.rowcount > 0


def remove(connection: Connection, device: str, at_ms: int) -> None:
    """Let a device go: its secret, what it was told and what it said of itself are forgotten."""
    for table in (desired, reported):
        connection.execute(delete(table).where(table.c.device == device))
    connection.execute(
        update(devices)
        .where(devices.c.device == device)
        .values(password="", removed_ms=at_ms, **_BLANK)
    )


_HERE = devices.c.removed_ms.is_(None)


def passwords(connection: Connection) -> dict[str, str]:
    """Every device's password at the broker."""
    rows = connection.execute(select(devices.c.device, devices.c.password).where(_HERE))
    return {row.device: row.password for row in rows}


def names(connection: Connection) -> set[str]:
    """Every device's id."""
    return set(connection.execute(select(devices.c.device).where(_HERE)).scalars())


def enrolled(connection: Connection, ids: Iterable[str]) -> set[str]:
    """Those of ``ids`` that belong to the fleet at this moment."""
    found: set[str] = set()
    for those in _portions(ids):
        query = select(devices.c.device).where(_HERE, devices.c.device.in_(those))
        found |= set(connection.execute(query).scalars())
    return found


_SAID_AND_TOLD = devices.outerjoin(reported, reported.c.device == devices.c.device).outerjoin(
    desired, desired.c.device == devices.c.device
)
_WHOLE = (
    select(devices, reported.c.reported, desired.c.signed)
    .select_from(_SAID_AND_TOLD)
    .where(_HERE)
    .order_by(devices.c.device)
)
_STANDING = (
    select(
        devices.c.device,
        devices.c.seen_ms,
        reported.c.reported,
        desired.c.counter,
        desired.c.signed,
    )
    .select_from(_SAID_AND_TOLD)
    .where(_HERE)
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
    found: list[Device] = []
    for those in _portions(ids):
        found += map(_device, connection.execute(_WHOLE.where(devices.c.device.in_(those))))
    return found


def standing(connection: Connection, ids: Iterable[str]) -> list[Standing]:
    """``some``, with what a rollout goes by and no more."""
    found: list[Standing] = []
    for those in _portions(ids):
        rows = connection.execute(_STANDING.where(devices.c.device.in_(those))).all()
        found += [
            Standing(
                device,
                seen_ms,
                Reported() if said is None else unpack(said, Reported),
                told,
                signed,
            )
            for device, seen_ms, said, told, signed in rows
        ]
    return found


def _portions(ids: Iterable[str]) -> Iterator[list[str]]:
    """In order, a few at a time: databases bound the length of a list."""
    wanted = sorted(ids)
    for start in range(0, len(wanted), 500):
        yield wanted[start : start + 500]


def _goal(signed: bytes) -> Desired:
    return unpack(unpack(signed, Signed).payload, Desired)


def _device(row: Row[tuple[object, ...]]) -> Device:
    return Device(
        device=row.device,
        enrolled_ms=row.enrolled_ms,
        labels=unpack(row.labels, dict[str, str]),
        profile=unpack(row.profile, DeviceProfile) if row.profile is not None else None,
        boot=row.boot,
        seen_ms=row.seen_ms,
        reported=unpack(row.reported, Reported) if row.reported is not None else Reported(),
        goal=_goal(row.signed) if row.signed is not None else None,
        voices=unpack(row.voices, Voices) if row.voices is not None else Voices(),
    )


def saw(connection: Connection, ids: Iterable[str], at_ms: int) -> None:
    """Something came from these devices."""
    for device in ids:
        connection.execute(update(devices).where(devices.c.device == device).values(seen_ms=at_ms))


def introduce(
    connection: Connection, device: str, profile: DeviceProfile, boot: str, at_ms: int
) -> bool:
    """Keep what a hello said about the machine; answers whether it has just turned out that two
    agents speak as this device.
    """
    mine = devices.c.device == device
    data = connection.execute(select(devices.c.voices).where(mine)).scalar_one_or_none()
    before = unpack(data, Voices) if data is not None else Voices()
    boot = boot[:LONGEST_BOOT].replace("\0", "")  # a device's own words, and a column's limits
    after = before.hear(boot, at_ms)
    connection.execute(
        update(devices).where(mine).values(profile=pack(profile), boot=boot, voices=pack(after))
    )
    return after.twins(at_ms) and not before.twins(at_ms)


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

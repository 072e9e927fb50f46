"""Rollouts and the devices they are for."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from sqlalchemy import Connection, delete, func, insert, select, update

from edge_sdk.spec.deployment import ArtifactRef
from fleet.core.rollout import FINAL, Rollout, Stage
from fleet.core.waves import CANARY
from fleet.stores.packing import pack, unpack
from fleet.stores.tables import members, rollouts


@dataclass(frozen=True, slots=True)
class Member:
    """A device of a rollout.

    Attributes:
        wave: in which it gets the candidate; 0 is the canaries'.
        incumbent: what it served when the rollout was made, and what it gets back.
    """

    device: str
    wave: int
    incumbent: ArtifactRef | None

    @property
    def canary(self) -> bool:
        """Whether it goes first."""
        return self.wave == CANARY


def next_number(connection: Connection) -> int:
    """A number for a new rollout; none is ever given twice."""
    return (
        int(connection.execute(select(func.coalesce(func.max(rollouts.c.number), 0))).scalar_one())
        + 1
    )


def add(connection: Connection, number: int, rollout: Rollout, devices: Iterable[Member]) -> None:
    """Keep a new rollout."""
    connection.execute(
        insert(rollouts).values(
            number=number, rollout=rollout.id, app=rollout.app, **_state(rollout)
        )
    )
    connection.execute(insert(members), [_row(rollout.id, member) for member in devices])


def join(connection: Connection, rollout: str, member: Member) -> None:
    """Make another device one of a rollout's."""
    connection.execute(insert(members), [_row(rollout, member)])


def leave(connection: Connection, device: str) -> dict[str, Stage]:
    """Take a device out of every rollout; answers those of them that go on, with their stages."""
    query = (
        select(rollouts.c.state)
        .join(members, members.c.rollout == rollouts.c.rollout)
        .where(members.c.device == device, rollouts.c.final.is_(False))
        .order_by(rollouts.c.number)
    )
    going = [unpack(data, Rollout) for data in connection.execute(query).scalars()]
    connection.execute(delete(members).where(members.c.device == device))
    return {rollout.id: rollout.stage for rollout in going}


def _row(rollout: str, member: Member) -> dict[str, object]:
    return {
        "rollout": rollout,
        "device": member.device,
        "wave": member.wave,
        "incumbent": None if member.incumbent is None else pack(member.incumbent),
    }


def save(connection: Connection, rollout: Rollout) -> None:
    """Keep where a rollout stands now."""
    connection.execute(
        update(rollouts).where(rollouts.c.rollout == rollout.id).values(_state(rollout))
    )


def _state(rollout: Rollout) -> dict[str, object]:
    return {"final": rollout.stage in FINAL, "state": pack(rollout)}


def one(connection: Connection, rollout: str) -> Rollout | None:
    """The rollout of that id."""
    data = connection.execute(
        select(rollouts.c.state).where(rollouts.c.rollout == rollout)
    ).scalar_one_or_none()
    return None if data is None else unpack(data, Rollout)


def all_of(connection: Connection, most: int = 100) -> list[Rollout]:
    """The newest rollouts, newest first."""
    rows = connection.execute(
        select(rollouts.c.state).order_by(rollouts.c.number.desc()).limit(most)
    )
    return [unpack(data, Rollout) for data in rows.scalars()]


def unfinished(connection: Connection, app: str | None = None) -> list[Rollout]:
    """Rollouts that are not in a final stage, oldest first; of one application, or of all."""
    query = select(rollouts.c.state).where(rollouts.c.final.is_(False)).order_by(rollouts.c.number)
    if app is not None:
        query = query.where(rollouts.c.app == app)
    return [unpack(data, Rollout) for data in connection.execute(query).scalars()]


def newest(connection: Connection, app: str) -> Rollout | None:
    """The rollout of that application that was made last."""
    data = connection.execute(
        select(rollouts.c.state)
        .where(rollouts.c.app == app)
        .order_by(rollouts.c.number.desc())
        .limit(1)
    ).scalar_one_or_none()
    return None if data is None else unpack(data, Rollout)


def newest_done(connection: Connection) -> list[Rollout]:
    """Of each application, the newest rollout that is done."""
    rows = connection.execute(
        select(rollouts.c.state).where(rollouts.c.final).order_by(rollouts.c.number)
    )
    done = (unpack(data, Rollout) for data in rows.scalars())
    return list({each.app: each for each in done if each.stage is Stage.DONE}.values())


def involved_since(connection: Connection, rollout: Rollout) -> set[str]:
    """The devices of a rollout and of all later ones of its application."""
    number = select(rollouts.c.number).where(rollouts.c.rollout == rollout.id).scalar_subquery()
    return set(
        connection.execute(
            select(members.c.device)
            .join(rollouts, rollouts.c.rollout == members.c.rollout)
            .where(rollouts.c.app == rollout.app, rollouts.c.number >= number)
        ).scalars()
    )


def members_of(connection: Connection, rollout: str) -> list[Member]:
    """The devices of a rollout, by id."""
    columns = (members.c.device, members.c.wave, members.c.incumbent)
    rows = connection.execute(
        select(*columns).where(members.c.rollout == rollout).order_by(members.c.device)
    ).all()
    known: dict[bytes | None, ArtifactRef | None] = {None: None}
    found = []
    for device, wave, incumbent in rows:
        if incumbent not in known:  # there are few, of very many devices
            known[incumbent] = unpack(incumbent, ArtifactRef)
        found.append(Member(device=device, wave=wave, incumbent=known[incumbent]))
    return found

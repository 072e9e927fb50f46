"""Measurements from the devices: of each model on each device, the newest."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, delete, insert, select

from edge_sdk.spec.bench import BenchReport
from fleet.stores.packing import pack, unpack
from fleet.stores.tables import benches

MOST = 100
"""Models that measurements are kept of, for one device."""


@dataclass(frozen=True, slots=True)
class Bench:
    """One report.

    Attributes:
        model: ``NAME@VERSION``, or the name of a bare model's file.
        received_ms: by the fleet's clock.
    """

    device: str
    model: str
    received_ms: int
    report: BenchReport


def add(connection: Connection, device: str, model: str, report: BenchReport, at_ms: int) -> None:
    """Keep a report, in place of an older one of that model on that device."""
    mine = benches.c.device == device
    connection.execute(delete(benches).where(mine, benches.c.model == model))
    connection.execute(
        insert(benches).values(device=device, model=model, received_ms=at_ms, report=pack(report))
    )
    kept = select(benches.c.id).where(mine).order_by(benches.c.id.desc()).limit(MOST)
    newest = list(connection.execute(kept).scalars())
    if len(newest) == MOST:
        connection.execute(delete(benches).where(mine, benches.c.id < newest[-1]))


def all_of(connection: Connection, device: str = "") -> list[Bench]:
    """Reports of one device, or of all; the newest first."""
    query = select(benches).order_by(benches.c.id.desc())
    if device:
        query = query.where(benches.c.device == device)
    return [
        Bench(row.device, row.model, row.received_ms, unpack(row.report, BenchReport))
        for row in connection.execute(query)
    ]


def forget_of(connection: Connection, device: str) -> None:
    """Drop all reports of a device."""
    connection.execute(delete(benches).where(benches.c.device == device))

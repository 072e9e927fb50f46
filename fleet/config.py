"""The fleet's configuration: flags, ``EDGELOOP_FLEET_…`` variables, a TOML file, defaults."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta

from edge_sdk.config import Configuration, PathText, read_configuration
from edge_sdk.errors import UsageError

PREFIX = "EDGELOOP_FLEET_"
EMBEDDED = "embedded"

Seconds = Annotated[float, Meta(gt=0)]
Days = Annotated[int, Meta(ge=1)]


class FleetSettings(msgspec.Struct, frozen=True, kw_only=True):
    """All of it.

    Attributes:
        data: the fleet's folder: keys, database, artifacts, broker. Back it up.
        name: the fleet's, for people; decided at the first start.
        listen: HOST:PORT of the API and the page; port 0 takes a free one.
        broker: ``embedded``, or the URL of a broker of yours.
        broker_listen: HOST:PORT of the embedded broker; port 0 takes a free one at the first start
            and keeps it, since devices are enrolled with it.
        broker_public: the broker's URL as devices see it; empty if it is as the fleet sees it.
        broker_certificate, broker_key: of the embedded broker, PEM; without them nothing that
            passes is encrypted.
        broker_ca: the authority behind the broker's certificate, PEM; devices are given it.
        broker_username, broker_password_file: of the fleet at a broker of yours.
        database: SQLAlchemy's URL; empty for SQLite in ``data``.
        away_s: a device not heard from for so long is away: shown so, and not waited for.
        drift_min_windows: of a device's past, before drift is spoken of.
        retention_days: how long telemetry is kept.
    """

    data: PathText = "fleet"
    name: str = "fleet"
    listen: str = "127.0.0.1:8080"
    broker: str = EMBEDDED
    broker_listen: str = "127.0.0.1:1883"
    broker_public: str = ""
    broker_certificate: PathText = ""
    broker_key: PathText = ""
    broker_ca: PathText = ""
    broker_username: str = ""
    broker_password_file: PathText = ""
    database: str = ""
    away_s: Seconds = 120.0
    drift_min_windows: Annotated[int, Meta(ge=3)] = 40
    retention_days: Days = 30


def read_settings(
    file: Path | None, environment: Mapping[str, str], flags: Mapping[str, object]
) -> Configuration[FleetSettings]:
    """The settings from all their sources. Raises UsageError naming what is wrong and where."""
    return read_configuration(
        FleetSettings, file, prefix=PREFIX, environment=environment, flags=flags
    )


def host_and_port(text: str) -> tuple[str, int]:
    """``HOST:PORT`` taken apart; an IPv6 host stands in brackets. Raises UsageError."""
    host, colon, port = text.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not colon or not host or not port.isdecimal() or int(port) > 65535:
        raise UsageError(f"{text!r} is not HOST:PORT.", "For example 127.0.0.1:8080")
    return host, int(port)

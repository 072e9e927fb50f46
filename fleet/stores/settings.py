"""Settings that are decided once, at the first start, and hold for ever."""

from __future__ import annotations

from sqlalchemy import Connection, insert, select

from fleet.stores.tables import settings


def setting(connection: Connection, key: str, default: str) -> str:
    """What was decided under ``key`` at the first start; ``default`` is, if nothing was yet."""
    value = connection.execute(
        select(settings.c.value).where(settings.c.key == key)
    ).scalar_one_or_none()
    if value is None:
        connection.execute(insert(settings).values(key=key, value=default))
        return default
    return str(value)

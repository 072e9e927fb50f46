"""The embedded broker's configuration, as JSON, which NATS reads as its own format. Pure.

An MQTT topic ``a/b/+`` is the NATS subject ``a.b.*``; ``#`` is ``>``, which does not include the
level above it, so that hearing ``a/#`` takes permission for ``a`` too.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from edge_sdk.broker.users import User

_MAX_PAYLOAD_BYTES = 8 * 1024 * 1024  # over the wire's own limit, which is checked before sending
_MAX_STORE_BYTES = 1 << 30


@dataclass(frozen=True, slots=True)
class Tls:
    """A server's certificate and key; with ``ca_file``, clients must show a certificate too."""

    cert_file: Path
    key_file: Path
    ca_file: Path | None = None


def nats_config(
    *, store: Path, host: str, port: int, users: Iterable[User], tls: Tls | None
) -> str:
    """The text of the configuration file. It holds every password."""
    mqtt: dict[str, object] = {"host": host, "port": port}
    if tls is not None:
        mqtt["tls"] = {"cert_file": str(tls.cert_file), "key_file": str(tls.key_file)} | (
            {"ca_file": str(tls.ca_file), "verify": True} if tls.ca_file else {}
        )
    config = {
        "server_name": "edgeloop",
        "host": "127.0.0.1",
        "port": -1,
        "max_payload": _MAX_PAYLOAD_BYTES,
        "jetstream": {
            "store_dir": str(store),
            "max_file_store": _MAX_STORE_BYTES,
            # A QoS 1 subscription is a consumer; the default stops at some 500 devices.
            "limits": {"default_max_consumers": -1},
        },
        "mqtt": mqtt,
        "authorization": {"users": [_user(user) for user in users]},
    }
    return json.dumps(config, ensure_ascii=False, indent=1)


def _user(user: User) -> dict[str, object]:
    return {
        "user": user.name,
        "password": user.password,
        "allowed_connection_types": ["MQTT"],
        "permissions": {
            "publish": [subject for topic in user.publish for subject in subjects(topic)],
            "subscribe": [subject for topic in user.subscribe for subject in subjects(topic)],
        },
    }


def subjects(pattern: str) -> list[str]:
    """The NATS subjects that an MQTT pattern of ours stands for."""
    levels = ["*" if level == "+" else level for level in pattern.split("/")]
    if levels[-1] == "#":
        return [".".join(levels[:-1]), ".".join([*levels[:-1], ">"])]
    return [".".join(levels)]

"""The registry: which devices belong to the fleet, and which artifacts it has published."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path

from msgspec.structs import replace
from sqlalchemy import Connection

from edge_sdk.artifact import Artifact
from edge_sdk.broker.users import device_user
from edge_sdk.errors import UnavailableError, UsageError
from edge_sdk.spec.deployment import ArtifactRef
from edge_sdk.spec.enrolment import BrokerLogin, Enrolment
from edge_sdk.text import nearest
from fleet.clock import Clock
from fleet.core.targeting import LABEL
from fleet.director import Director
from fleet.refusals import ConflictError, NotFoundError
from fleet.stores import artifacts, audit, benches, devices, rollouts, telemetry
from fleet.stores.artifacts import Published
from fleet.stores.store import Store
from fleet.trust import TrustRepository
from fleet.words import RemovalReport, name_of

BASELINE = "baseline.json"

Admit = Callable[[Mapping[str, str]], Awaitable[bool]]
"""Lets exactly these devices, with these passwords, into the broker; answers whether it could: a
broker of the user's has a list of its own."""


class Registry:
    """Enrols, removes and publishes."""

    def __init__(
        self,
        store: Store,
        director: Director,
        trust: TrustRepository,
        admit: Admit,
        clock: Clock,
        *,
        fleet: str,
        broker_url: str,
        broker_ca: str,
    ) -> None:
        """Know who is enrolled already.

        Args:
            fleet: its name.
            broker_url, broker_ca: for devices: where the broker is, and the authority behind its
                certificate, PEM.
        """
        self._store = store
        self._director = director
        self._trust = trust
        self._admit = admit
        self._clock = clock
        self._fleet = fleet
        self._broker_url = broker_url
        self._broker_ca = broker_ca
        self._known = store.read_now(devices.names)
        self._admitting = asyncio.Lock()  # or an older list of passwords might come last

    def knows(self, device: str) -> bool:
        """Whether a device belongs to the fleet."""
        return device in self._known

    async def enroll(self, device: str, labels: Mapping[str, str]) -> Enrolment:
        """Let a device in; one that is in already gets new credentials, and the old ones end.

        Raises:
            UsageError: it is no device id, or a label is none.
            UnavailableError: the store or the broker cannot take it.
        """
        password = secrets.token_urlsafe(24)
        device_user(device, password)  # checks the name
        for key, value in labels.items():
            if not LABEL.fullmatch(key) or not LABEL.fullmatch(value):
                raise UsageError(
                    f"{key[:80]}={value[:80]} is no label.", "For example site=berlin."
                )

        def add(connection: Connection) -> dict[str, str]:
            now_ms = self._clock()
            if devices.add(connection, device, password, labels, now_ms):
                telemetry.forget_of(connection, device)  # maybe of another machine of that name
            self._director.introduce(connection, device)
            detail = ", ".join(f"{k}={v}" for k, v in sorted(labels.items()))
            what = "enrolled again" if device in self._known else "enrolled"
            audit.note(connection, now_ms, audit.OPERATOR, what, device, detail)
            return devices.passwords(connection)

        async with self._admitting:
            await self._admit(await self._store.write(add))
            self._known.add(device)
        return Enrolment(
            device=device,
            fleet=self._fleet,
            broker=self._broker_url,
            credentials=BrokerLogin(username=device, password=password, ca=self._broker_ca),
            root=self._trust.root_bytes,
            director=self._trust.director_public,
        )

    async def remove(self, device: str) -> RemovalReport:
        """Let a device go: its credentials end, and no rollout counts it any more.

        What it runs it goes on running. The trail keeps what it did; its telemetry ages as all
        does. It may be enrolled anew, and then begins anew.

        Raises:
            NotFoundError: there is no such device.
            UnavailableError: the store or the broker cannot take it.
        """

        def let_go(connection: Connection) -> tuple[RemovalReport, dict[str, str]]:
            now_ms = self._clock()
            found = devices.one(connection, device)
            if found is None:
                raise no_device(connection, device)
            apps = found.reported.apps.items()
            report = RemovalReport(
                device=device,
                serves={name: name_of(app.serving) for name, app in apps if app.serving},
                left=tuple(rollouts.leave(connection, device)),
                broker=self._broker_url,
                ended=False,
            )
            devices.remove(connection, device, now_ms)
            benches.forget_of(connection, device)
            serving = [f"{name} serves {what}" for name, what in sorted(report.serves.items())]
            detail = "; ".join([*serving, *(f"left {id_}" for id_ in report.left)])
            audit.note(connection, now_ms, audit.OPERATOR, "removed", device, detail)
            return report, devices.passwords(connection)

        async with self._admitting:
            report, passwords = await self._store.write(let_go)
            self._known.discard(device)
            try:
                return replace(report, ended=await self._admit(passwords))
            except UnavailableError as error:
                raise UnavailableError(
                    f"{device} is removed, and the fleet hears it no more; but its credentials at "
                    f"the broker did not end: {error.message}",
                    "Restart the fleet: its broker then begins with those who are left.",
                ) from error

    async def publish(self, path: Path) -> Published:
        """Check every file of an artifact, and make it known and fetchable. Twice does no harm.

        Raises:
            UsageError: it is no artifact file.
            ArtifactError: it is corrupt.
            ConflictError: its name and version are taken by other contents.
            UnavailableError: the disk is full.
        """
        published = await asyncio.to_thread(self._read, path)
        ref = published.ref
        held = await self._store.read(lambda c: artifacts.by_name(c, ref.name, ref.version))
        if held is not None and held.ref != ref:
            raise ConflictError(
                f"{ref.name} {ref.version} is published already with other contents "
                f"({held.ref.digest[:12]}…, this is {ref.digest[:12]}…).",
                "A version never changes. Give it a version of its own: edge convert … --version",
            )
        await asyncio.to_thread(self._release, path)

        def add(connection: Connection) -> None:
            if artifacts.add(connection, published):
                what = f"{ref.name}@{ref.version}"
                audit.note(connection, self._clock(), audit.OPERATOR, "published", what, ref.digest)

        await self._store.write(add)
        return held or published

    def _read(self, path: Path) -> Published:
        with Artifact(path) as artifact:
            for _ in artifact.verify_digests():
                pass
            manifest = artifact.manifest
            return Published(
                ref=ArtifactRef(
                    digest=artifact.digest, name=manifest.name, version=manifest.version
                ),
                manifest=artifact.manifest_bytes,
                baseline=artifact.read(BASELINE) if BASELINE in artifact else None,
                published_ms=self._clock(),
            )

    def _release(self, path: Path) -> None:
        with Artifact(path) as artifact:
            self._trust.publish(artifact)


def no_device(connection: Connection, device: str) -> NotFoundError:
    """What to say of a device that there is not."""
    hint = nearest(device, sorted(devices.names(connection)))
    return NotFoundError(f"There is no device {device[:80]!r}.", hint)


def find_artifact(connection: Connection, named: str) -> ArtifactRef:
    """The artifact that a person names: ``NAME@VERSION``, or a digest or its beginning.

    Raises:
        NotFoundError: it is not published.
    """
    name, at, version = named.partition("@")
    known = artifacts.all_of(connection)
    if at:
        found = [a.ref for a in known if (a.ref.name, a.ref.version) == (name, version)]
    else:
        found = [a.ref for a in known if len(named) >= 8 and a.ref.digest.startswith(named)]
    if len(found) == 1:
        return found[0]
    names = [f"{a.ref.name}@{a.ref.version}" for a in known]
    raise NotFoundError(f"No artifact {named[:130]!r} is published.", nearest(named, names))

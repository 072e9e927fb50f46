"""The routes under ``/api/v1``. Each reads or asks, and answers with a word."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Annotated, Any

from litestar import Controller, Request, delete, get, post
from litestar.params import Parameter
from litestar.status_codes import HTTP_200_OK, HTTP_201_CREATED
from sqlalchemy import Connection

from edge_sdk.errors import UsageError
from edge_sdk.files import disk_error
from edge_sdk.spec.codec import meet
from edge_sdk.spec.enrolment import Enrolment
from edge_sdk.text import nearest
from fleet.api.access import guard
from fleet.core.rollout import Abort, Event, Pause, Resume, RollBack
from fleet.fleet import Fleet
from fleet.refusals import NotFoundError
from fleet.registry import no_device
from fleet.reports import (
    report_artifacts,
    report_benches,
    report_device,
    report_models,
    report_rollout,
)
from fleet.stores import audit, devices, rollouts
from fleet.stores.artifacts import Published
from fleet.words import (
    ArtifactReport,
    BenchEntry,
    DeviceReport,
    DriftReport,
    EnrollRequest,
    Entry,
    FleetReport,
    ModelReport,
    RemovalReport,
    RolloutReport,
    RolloutRequest,
)

MAX_UPLOAD_BYTES = 4 << 30
for _kind in (EnrollRequest, RolloutRequest):
    meet(_kind)  # what is in them is read from the store too, in threads
ACTIONS: dict[str, type[Event]] = {
    "abort": Abort,
    "rollback": RollBack,
    "pause": Pause,
    "resume": Resume,
}


class FleetRoutes(Controller):
    """Everything a person can ask of a fleet."""

    path = "/api/v1"
    guards = (guard,)
    tags = ("fleet",)

    @get("/fleet", summary="The fleet itself")
    async def fleet(self, fleet: Fleet) -> FleetReport:
        """Name, version, broker, and what came in."""
        return await fleet.report()

    @get("/devices", summary="All devices")
    async def devices(self, fleet: Fleet) -> list[DeviceReport]:
        """Every device with what it runs and was told."""

        def read(connection: Connection) -> list[DeviceReport]:
            now_ms, away_s = fleet.clock(), fleet.settings.away_s
            return [
                report_device(connection, device, now_ms, away_s)
                for device in devices.all_of(connection)
            ]

        return await fleet.store.read(read)

    @get("/devices/{device:str}", summary="One device")
    async def device(self, fleet: Fleet, device: str) -> DeviceReport:
        """One device. 404 if there is none of that id."""

        def read(connection: Connection) -> DeviceReport:
            found = devices.one(connection, device)
            if found is None:
                raise no_device(connection, device)
            return report_device(connection, found, fleet.clock(), fleet.settings.away_s)

        return await fleet.store.read(read)

    @post("/enroll", summary="Let a device in", status_code=HTTP_201_CREATED)
    async def enroll(self, fleet: Fleet, data: EnrollRequest) -> Enrolment:
        """The device's enrolment, with its secrets: nobody can be told them a second time."""
        return await fleet.registry.enroll(data.device, data.labels)

    @delete("/devices/{device:str}", summary="Let a device go", status_code=HTTP_200_OK)
    async def remove(self, fleet: Fleet, device: str) -> RemovalReport:
        """End its credentials and take it out of every rollout. 404 if there is none of that id."""
        return await fleet.registry.remove(device)

    @get("/artifacts", summary="What is published")
    async def artifacts(self, fleet: Fleet) -> list[ArtifactReport]:
        """Newest first."""
        return await fleet.store.read(report_artifacts)

    @post("/artifacts", summary="Publish an artifact (its bytes are the body)")
    async def publish(self, fleet: Fleet, request: Request[Any, Any, Any]) -> ArtifactReport:
        """Every file is checked before anything is published. Twice does no harm."""
        path = fleet.folder.uploads / f"{secrets.token_hex(8)}.edge"
        try:
            await _receive(request.stream(), path)
            published: Published = await fleet.registry.publish(path)
        finally:
            path.unlink(missing_ok=True)
        return ArtifactReport(
            artifact=f"{published.ref.name}@{published.ref.version}",
            digest=published.ref.digest,
            published_ms=published.published_ms,
        )

    @get("/rollouts", summary="Rollouts")
    async def rollouts(self, fleet: Fleet) -> list[RolloutReport]:
        """The newest hundred, newest first."""

        def read(connection: Connection) -> list[RolloutReport]:
            return [
                report_rollout(fleet.rollouts.situation(connection, rollout.id))
                for rollout in rollouts.all_of(connection)
            ]

        return await fleet.store.read(read)

    @get("/rollouts/{rollout:str}", summary="One rollout")
    async def rollout(self, fleet: Fleet, rollout: str) -> RolloutReport:
        """Where it stands and why."""
        return await self._rollout(fleet, rollout)

    @post("/rollouts", summary="Start a rollout", status_code=HTTP_201_CREATED)
    async def start(self, fleet: Fleet, data: RolloutRequest) -> RolloutReport:
        """409 while another rollout of that application goes on."""
        rollout = await fleet.rollouts.start(
            data.artifact, data.app, data.to, data.limits, data.pace
        )
        return await self._rollout(fleet, rollout.id)

    @post("/rollouts/{rollout:str}/{action:str}", summary="abort, rollback, pause or resume")
    async def act(self, fleet: Fleet, rollout: str, action: str) -> RolloutReport:
        """409 if it has no meaning in the rollout's stage."""
        if action not in ACTIONS:
            raise NotFoundError(f"Nobody can {action[:40]!r} a rollout.", nearest(action, ACTIONS))
        await fleet.rollouts.act(rollout, ACTIONS[action])
        return await self._rollout(fleet, rollout)

    async def _rollout(self, fleet: Fleet, rollout: str) -> RolloutReport:
        situation = await fleet.store.read(lambda c: fleet.rollouts.situation(c, rollout))
        return report_rollout(situation)

    @get("/models", summary="Latency by model")
    async def models(self, fleet: Fleet, device: str = "") -> list[ModelReport]:
        """What ran lately, merged over its devices, or on one of them."""
        await self._known(fleet, device)
        return await fleet.store.read(lambda c: report_models(c, fleet.clock(), device))

    @get("/benches", summary="What models cost, as devices measured it")
    async def benches(self, fleet: Fleet, device: str = "") -> list[BenchEntry]:
        """The newest measurement of each model on each device, or on one of them."""
        await self._known(fleet, device)
        return await fleet.store.read(lambda c: report_benches(c, device))

    async def _known(self, fleet: Fleet, device: str) -> None:
        if device and not fleet.registry.knows(device):
            raise await fleet.store.read(lambda c: no_device(c, device))

    @get("/drift", summary="Drift by application and device")
    async def drift(self, fleet: Fleet) -> list[DriftReport]:
        """The verdict on each model on each device that is heard of lately."""
        return fleet.drift.reports()

    @get("/audit", summary="Who did what", status_code=HTTP_200_OK)
    async def audit(
        self,
        fleet: Fleet,
        most: Annotated[int, Parameter(ge=1, le=10_000)] = 200,
        subject: str = "",
    ) -> list[Entry]:
        """Newest first; of one device, artifact (``NAME@VERSION``) or rollout, or of all."""
        return await fleet.store.read(lambda c: audit.newest(c, most, subject))


async def _receive(stream: AsyncIterator[bytes], path: Path) -> None:
    """Write an upload to a file of its own."""
    size = 0
    try:
        with path.open("xb") as file:
            async for block in stream:
                size += len(block)
                if size > MAX_UPLOAD_BYTES:
                    raise UsageError(f"No artifact is larger than {MAX_UPLOAD_BYTES} bytes.")
                file.write(block)
    except OSError as error:
        raise disk_error(error, path) from error
    if not size:
        raise UsageError("The body is empty.", "Send the bytes of a .edge file.")

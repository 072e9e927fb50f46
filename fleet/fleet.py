"""The fleet's parts, joined. ``app`` makes one and runs it; the API reads from it."""

from __future__ import annotations

from dataclasses import dataclass

from edge_sdk.broker.base import Broker
from edge_sdk.spec.version import AGENT_VERSION
from fleet.clock import Clock
from fleet.config import FleetSettings
from fleet.director import Director
from fleet.drift import DriftWatch
from fleet.folder import FleetFolder
from fleet.ingest import Ingest
from fleet.latecomers import Latecomers
from fleet.registry import Registry
from fleet.rollouts import Rollouts
from fleet.stores import devices
from fleet.stores.store import Store
from fleet.trust import TrustRepository
from fleet.words import FleetReport


@dataclass(frozen=True, slots=True)
class Fleet:
    """Everything that one running fleet consists of."""

    name: str
    settings: FleetSettings
    folder: FleetFolder
    clock: Clock
    store: Store
    trust: TrustRepository
    broker: Broker
    broker_url: str
    director: Director
    registry: Registry
    rollouts: Rollouts
    latecomers: Latecomers
    ingest: Ingest
    drift: DriftWatch

    async def report(self) -> FleetReport:
        """What the fleet says of itself."""
        everyone = await self.store.read(devices.all_of)
        since_ms = self.clock() - self.settings.away_s * 1000
        online = [d for d in everyone if d.seen_ms is not None and d.seen_ms >= since_ms]
        return FleetReport(
            name=self.name,
            version=AGENT_VERSION,
            broker=self.broker_url,
            broker_connected=self.broker.connected,
            broker_problem="" if self.broker.connected else self.broker.refusal,
            devices=len(everyone),
            online=len(online),
            messages=dict(self.ingest.counts),
            troubled=sum(any(app.problems for app in d.reported.apps.values()) for d in online),
        )

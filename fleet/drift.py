"""Drift, watched: each model on each device has a history, which every new window takes a step on.

Histories are in memory alone. They follow from the windows in the store, in the order in which
those came, so a fleet that is started again arrives at the same verdicts.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from dataclasses import dataclass, field
from datetime import UTC, datetime

from sqlalchemy import Connection

from edge_sdk.errors import ArtifactError, EdgeError
from edge_sdk.spec.codec import decode
from edge_sdk.spec.drift import Drift
from edge_sdk.spec.sketch import Baseline
from fleet.clock import Clock
from fleet.core.drift import History, Limits, begin, step
from fleet.stores import artifacts, audit, telemetry
from fleet.stores.store import Store
from fleet.stores.telemetry import Model
from fleet.words import DriftReport, name_of

LOOK_S = 2.0
TREND = 60
SERVE = "serve"

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Watched:
    """One model on one device."""

    artifact: str
    baseline: Baseline
    history: History
    newest: int = 0
    trend: deque[float] = field(default_factory=lambda: deque(maxlen=TREND))


class DriftWatch:
    """Reads new windows as they come, and keeps a verdict on each model on each device."""

    def __init__(self, store: Store, clock: Clock, limits: Limits, *, recent_s: float) -> None:
        """Nothing is read before ``run``.

        Args:
            limits: of ``fleet.core.drift``.
            recent_s: a model not heard of for so long has no verdict any more.
        """
        self._store = store
        self._clock = clock
        self._limits = limits
        self._recent_ms = recent_s * 1000
        self._watched: dict[Model, _Watched] = {}
        self._without: set[str] = set()

    async def run(self) -> None:
        """Keep up until cancelled."""
        while True:
            try:
                await self.look()
            except EdgeError as error:
                _log.warning("Drift is not watched: %s", error)
            await asyncio.sleep(LOOK_S)

    async def look(self) -> None:
        """Take a step for every window that has come since the last look."""
        begun = await self._store.read(self._take_in)
        for report in begun:
            await self._store.write(lambda c, r=report: self._note(c, r))  # type: ignore[misc]

    def reports(self) -> list[DriftReport]:
        """The verdicts, by application and device."""
        found = [self._report(model, watched) for model, watched in self._watched.items()]
        return sorted(found, key=lambda report: (report.app, report.device, report.artifact))

    def _take_in(self, connection: Connection) -> list[DriftReport]:
        """Answers the models that have begun to drift."""
        since_ms = int(self._clock() - self._recent_ms)
        serving = [m for m in telemetry.models(connection, since_ms) if m.role == SERVE]
        recent = {(m.app, m.device): m for m in serving}  # of several versions, the last
        watched = {}
        begun = []
        for model in recent.values():
            one = self._watched.get(model) or self._begin(connection, model)
            if one is None:
                continue
            watched[model] = one
            before = one.history.verdict.verdict
            for id_, window in telemetry.after(connection, model, one.newest):
                one.history = step(one.history, one.baseline, window, self._limits)
                one.newest = id_
                one.trend.append(_distance(one.history))
            if one.history.verdict.verdict is Drift.DRIFTING and before is not Drift.DRIFTING:
                begun.append(self._report(model, one))
        self._watched = watched
        return begun

    def _begin(self, connection: Connection, model: Model) -> _Watched | None:
        """None for an artifact that has no baseline to drift from."""
        if model.artifact in self._without:
            return None
        published = artifacts.by_digest(connection, model.artifact)
        if published is None:
            return None
        if published.baseline is None:
            self._without.add(model.artifact)
            return None
        name = name_of(published.ref)
        try:
            baseline = decode(published.baseline, Baseline, f"{name}: baseline.json")
        except ArtifactError as error:
            _log.warning("Drift of %s cannot be seen: %s", name, error.message)
            self._without.add(model.artifact)
            return None
        return _Watched(artifact=name, baseline=baseline, history=begin(self._limits))

    def _report(self, model: Model, watched: _Watched) -> DriftReport:
        return DriftReport(
            app=model.app,
            artifact=watched.artifact,
            device=model.device,
            verdict=watched.history.verdict,
            trend=tuple(watched.trend),
        )

    def _note(self, connection: Connection, report: DriftReport) -> None:
        verdict = report.verdict
        feature = verdict.evidence[0].feature if verdict.evidence else ""
        since = datetime.fromtimestamp(verdict.since_ms / 1000, UTC)
        detail = f"{report.app} {report.artifact}: {feature} since {since:%Y-%m-%d %H:%M:%S} UTC"
        if not audit.holds(connection, "drift", report.device, detail):
            audit.note(connection, self._clock(), audit.FLEET, "drift", report.device, detail)


def _distance(history: History) -> float:
    """How far from its baseline the newest judged window was, by the feature farthest off."""
    if history.verdict.evidence:
        return max(evidence.distance for evidence in history.verdict.evidence)
    return max(history.past[-1], default=0.0) if history.past else 0.0

"""The sections of the page, rendered at most once in a while for however many look."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader
from sqlalchemy import Connection

from fleet.dashboard import view
from fleet.fleet import Fleet
from fleet.reports import report_device, report_models, report_rollout
from fleet.stores import audit, devices, rollouts
from fleet.words import DeviceReport

IDS = ("header", "rollouts", "devices", "latency", "drift", "audit")
EVERY_S = 2.0
NEWEST_EVENTS = 12

TEMPLATES = Environment(
    loader=FileSystemLoader(Path(__file__).parent / "templates"),
    autoescape=True,
    trim_blocks=True,
    lstrip_blocks=True,
)


class Live:
    """Renders."""

    def __init__(self, fleet: Fleet) -> None:
        """Nothing is rendered before somebody looks."""
        self._fleet = fleet
        self._lock = asyncio.Lock()
        self._at_s = float("-inf")
        self._sections: dict[str, str] = {}

    async def sections(self) -> dict[str, str]:
        """The sections' HTML by id, not older than ``EVERY_S``."""
        async with self._lock:
            now_s = asyncio.get_running_loop().time()
            if now_s - self._at_s >= 0.9 * EVERY_S:
                self._sections = await self._render()
                self._at_s = now_s
            return self._sections

    async def _render(self) -> dict[str, str]:
        fleet = self._fleet
        said = await fleet.report()
        drift = fleet.drift.reports()

        def read(connection: Connection) -> dict[str, str]:
            draw: Any = TEMPLATES.get_template("sections.html").module
            now_ms, away_s = fleet.clock(), fleet.settings.away_s
            everyone = devices.all_of(connection)
            shown: list[DeviceReport] = [
                report_device(connection, device, now_ms, away_s)
                for device in everyone[: view.MOST_DEVICES]
            ]
            going = [
                report_rollout(fleet.rollouts.situation(connection, rollout.id))
                for rollout in rollouts.all_of(connection, view.MOST_ROLLOUTS)
            ]
            newest = audit.newest(connection, NEWEST_EVENTS)
            return {
                "header": draw.header(said),
                "rollouts": draw.rollouts(view.rollout_cards(going)),
                "devices": draw.devices(view.device_rows(shown), len(everyone) - len(shown)),
                "latency": draw.latency(view.latency_rows(report_models(connection, now_ms))),
                "drift": draw.drift(view.drift_rows(drift)),
                "audit": draw.audit(view.audit_rows(newest)),
            }

        return {id_: str(html).strip() for id_, html in (await fleet.store.read(read)).items()}

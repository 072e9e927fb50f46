"""Latecomers: devices that a finished rollout would have meant, had they been there.

A device that is enrolled, or given an application, after a rollout is done must not stay behind
for ever (complaint of the field: new devices are not in any rollout). If the selector was ``all``
or a label, it still speaks of them; a list of devices names those and no others. What is done has
proven itself on the fleet, so a latecomer gets it at once, as a member of the rollout: rolling
that back takes it from the latecomer too.

The rule, by application: the newest rollout that is DONE counts, and a device that was in it, or
in any later one however that ended, has had its say.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable

from sqlalchemy import Connection

from edge_sdk.errors import EdgeError
from fleet.clock import Clock
from fleet.core.rollout import Goal, Rollout, assignment
from fleet.core.targeting import Target, is_open, select
from fleet.director import Director
from fleet.stores import audit, devices, rollouts
from fleet.stores.devices import Device
from fleet.stores.rollouts import Member
from fleet.stores.store import Store

LOOK_S = 1.0

_log = logging.getLogger(__name__)


class Latecomers:
    """Watches for them. A device is looked at when it has reported, all when a rollout ends."""

    def __init__(self, store: Store, director: Director, clock: Clock) -> None:
        """Nothing happens before ``run``."""
        self._store = store
        self._director = director
        self._clock = clock
        self._reported: set[str] = set()
        self._known: dict[str, str] | None = None
        """The rollout that counts, by application, at the last look; None before the first."""

    def reported(self, device: str) -> None:
        """A device has said, in a hello or a report, what applications it has."""
        self._reported.add(device)

    async def run(self) -> None:
        """Bring latecomers in until cancelled."""
        while True:
            reported, self._reported = self._reported, set()
            try:
                await self._look(reported)
            except EdgeError as error:
                self._reported |= reported
                _log.warning("Latecomers wait: %s", error)
            await asyncio.sleep(LOOK_S)

    async def _look(self, reported: set[str]) -> None:
        counting = await self._store.read(rollouts.newest_done)
        ids = {rollout.app: rollout.id for rollout in counting}
        everybody = ids != self._known
        if counting and (everybody or reported):

            def bring(connection: Connection) -> int:
                found = devices.all_of(connection) if everybody else ()
                some = found or devices.some(connection, reported)
                return sum(self.bring(connection, rollout, some) for rollout in counting)

            if await self._store.write(bring):
                self._director.wake()
        self._known = ids

    def bring(self, connection: Connection, rollout: Rollout, some: Iterable[Device]) -> int:
        """Let those of some devices that are late join a rollout; answers how many were."""
        if not is_open(rollout.selector):
            return 0
        having = [
            device
            for device in some
            if rollout.app in device.reported.apps
            and device.reported.apps[rollout.app].serving != rollout.candidate
        ]
        if not having:
            return 0
        heard = rollouts.involved_since(connection, rollout)
        meant = set(select(rollout.selector, [Target(d.device, d.labels) for d in having]))
        late = [d for d in having if d.device in meant - heard]
        now_ms = self._clock()
        for device in late:
            app = device.reported.apps[rollout.app]
            joining = Member(device.device, len(rollout.waves), app.serving)
            rollouts.join(connection, rollout.id, joining)
            wanted = assignment(rollout, Goal.CANDIDATE, app.serving, app.serving)
            self._director.assign(connection, device.device, rollout.app, wanted)
            detail = f"{rollout.candidate.name} {rollout.candidate.version}, as a latecomer"
            audit.note(connection, now_ms, audit.FLEET, "rollout joined", device.device, detail)
        return len(late)

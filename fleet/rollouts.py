"""Rollouts, driven: the pure table, fed from the store and obeyed in one transaction.

Once a second each rollout that is going on is looked at: where its devices stand, what the gate
says of their windows. If that amounts to an event, the step, its effects (newly signed Desired for
the devices) and its line in the audit trail are written together, or not at all. Nothing is kept
in memory, so a fleet that is killed goes on where the store stands.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable

from sqlalchemy import Connection

from edge_sdk.errors import EdgeError, UsageError
from edge_sdk.spec.deployment import AppState, ArtifactRef
from edge_sdk.text import nearest
from fleet.clock import Clock
from fleet.core.gate import Limits
from fleet.core.rollout import (
    FINAL,
    GIVES_BACK,
    Event,
    Give,
    IllegalEvent,
    Pace,
    Rollout,
    assignment,
    progress,
    step,
)
from fleet.core.situation import look
from fleet.core.targeting import Target, canaries, is_open, select
from fleet.core.waves import CANARY, check, plan
from fleet.director import Director
from fleet.evidence import Situation, group, has_given, is_awake, read_situation
from fleet.refusals import ConflictError, NotFoundError
from fleet.registry import find_artifact
from fleet.served import Served
from fleet.stores import audit, devices, rollouts
from fleet.stores.devices import Device
from fleet.stores.rollouts import Member
from fleet.stores.store import Store

LOOK_S = 1.0

_log = logging.getLogger(__name__)


class Rollouts:
    """Starts, looks after and ends rollouts."""

    def __init__(self, store: Store, director: Director, clock: Clock, *, away_s: float) -> None:
        """Nothing moves before ``run``.

        Args:
            away_s: a device not heard from for so long is away, and not waited for.
        """
        self._store = store
        self._director = director
        self._clock = clock
        self._away_ms = away_s * 1000
        self._served = Served()

    async def start(
        self, artifact: str, app: str, selector: str, limits: Limits, pace: Pace
    ) -> Rollout:
        """Begin a rollout.

        Args:
            artifact: ``NAME@VERSION`` or a digest.
            app: the application that is to run it.
            selector: whom it is for.

        Raises:
            NotFoundError: there is no such artifact.
            UsageError: the selector selects nothing that runs the application, or the waves do
                not grow to everybody.
            ConflictError: another rollout of that application goes on, or nothing would change.
        """

        check(pace.waves, pace.canary_share)

        def begin(connection: Connection) -> Rollout:
            candidate = find_artifact(connection, artifact)
            going = rollouts.unfinished(connection, app)
            if going:
                raise ConflictError(
                    f"Rollout {going[0].id} of {app} is {going[0].stage.value}.",
                    f"edge fleet rollout status {going[0].id}   # or abort it",
                )
            return self._begin(connection, candidate, app, selector, limits, pace)

        rollout = await self._store.write(begin)
        self._director.wake()
        return rollout

    def _begin(
        self,
        connection: Connection,
        candidate: ArtifactRef,
        app: str,
        selector: str,
        limits: Limits,
        pace: Pace,
    ) -> Rollout:
        now_ms = self._clock()
        everyone = devices.all_of(connection)
        named = select(selector, [Target(d.device, d.labels) for d in everyone])
        meant = set(named)
        chosen = [d for d in everyone if d.device in meant and _may_run(d, app, selector)]
        if not chosen:
            apps = {name for d in everyone for name in d.reported.apps}
            raise UsageError(
                f"No device of {selector!r} runs an application {app!r}.",
                nearest(app, sorted(apps)) if apps else "No device has reported yet.",
            )
        serving = {d.device: _incumbent(d, app) for d in chosen}
        needing = [d for d in chosen if serving[d.device] != candidate]
        if not needing:
            raise ConflictError(f"All devices of {selector!r} run {candidate.name} already.")
        number = rollouts.next_number(connection)
        id_ = f"{app}-{number}"
        beside = [d for d in needing if serving[d.device] is not None]
        awake = {d.device for d in needing if is_awake(d, now_ms, self._away_ms)}
        may = beside or needing
        first = canaries(
            id_,
            [d.device for d in may if d.device in awake] or [d.device for d in may],
            pace.canary_share,
        )
        dealt = plan(id_, first, [d.device for d in needing], pace.waves, awake)
        rollout = Rollout(
            id=id_,
            app=app,
            candidate=candidate,
            selector=selector,
            created_ms=now_ms,
            since_ms=now_ms,
            beside=bool(beside),
            limits=limits,
            pace=pace,
            waves=dealt.shares,
        )
        rollouts.add(
            connection,
            number,
            rollout,
            [
                Member(d.device, dealt.wave.get(d.device, CANARY), serving[d.device])
                for d in needing
            ],
        )
        detail = f"{candidate.name} {candidate.version} to {len(needing)} of {selector}"
        audit.note(connection, now_ms, audit.OPERATOR, "rollout created", id_, detail)
        return rollout

    async def act(self, rollout: str, action: type[Event]) -> Rollout:
        """Do what an operator asks for.

        Raises:
            NotFoundError: there is no such rollout.
            ConflictError: it has no meaning in its stage, or a newer rollout has taken over.
        """

        def work(connection: Connection) -> Rollout:
            current = self._one(connection, rollout)
            newest = rollouts.newest(connection, current.app)
            if current.stage in FINAL and newest is not None and newest.id != current.id:
                raise ConflictError(
                    f"Rollout {current.id} is {current.stage.value}; {newest.id} came after it.",
                    f"edge fleet rollout status {newest.id}",
                )
            try:
                return self._step(
                    connection, current, action(self._clock(), "by the operator"), audit.OPERATOR
                )
            except IllegalEvent as error:
                raise ConflictError(error.message, error.hint) from error

        acted = await self._store.write(work)
        self._director.wake()
        return acted

    async def run(self) -> None:
        """Look after all rollouts until cancelled."""
        while True:
            try:
                for rollout in await self._store.read(rollouts.unfinished):
                    await self.look_after(rollout.id)
            except EdgeError as error:
                _log.warning("Rollouts stand still: %s", error)
            await asyncio.sleep(LOOK_S)

    async def look_after(self, rollout: str) -> Rollout:
        """Take at most one step with a rollout, if the situation asks for one."""
        situation = await self._store.read(lambda c: self.situation(c, rollout))
        seen = situation.rollout
        event = look(seen, situation.standing, situation.verdict, self._clock())
        if event is None:
            return seen

        def work(connection: Connection) -> Rollout:
            current = self._one(connection, rollout)
            if current != seen:  # an operator was faster
                return current
            return self._step(connection, current, event, audit.FLEET)

        stepped = await self._store.write(work)
        self._director.wake()
        return stepped

    def _step(self, connection: Connection, rollout: Rollout, event: Event, who: str) -> Rollout:
        new, effects = step(rollout, event)
        rollouts.save(connection, new)
        if (new.stage, new.wave) != (rollout.stage, rollout.wave):
            detail = "; ".join(part for part in (progress(new), new.reason) if part)
            audit.note(connection, event.at_ms, who, f"rollout {new.stage.value}", new.id, detail)
        self._do(connection, new, effects)
        return new

    def _do(self, connection: Connection, rollout: Rollout, effects: Iterable[Give]) -> None:
        members = rollouts.members_of(connection, rollout.id)
        for give in effects:
            those = group(rollout, members, give.group)
            found = devices.standing(connection, [m.device for m in those])
            states = {each.device: each for each in found}
            for member in those:
                device = states[member.device]
                if give.goal in GIVES_BACK and not has_given(rollout, device):
                    continue
                app = device.reported.apps.get(rollout.app)
                wanted = assignment(
                    rollout, give.goal, member.incumbent, app.serving if app else None
                )
                self._director.assign(connection, member.device, rollout.app, wanted)

    def situation(self, connection: Connection, rollout: str) -> Situation:
        """Everything about a rollout that deciding needs. Raises NotFoundError."""
        current = self._one(connection, rollout)
        return read_situation(connection, current, self._clock(), self._away_ms, self._served)

    def _one(self, connection: Connection, rollout: str) -> Rollout:
        found = rollouts.one(connection, rollout)
        if found is None:
            known = [r.id for r in rollouts.all_of(connection)]
            raise NotFoundError(f"There is no rollout {rollout[:130]!r}.", nearest(rollout, known))
        return found


def _may_run(device: Device, app: str, selector: str) -> bool:
    """Whether a device has the application. One that is named and was never heard of may have it:
    it is told, and will say."""
    named_unheard = device.seen_ms is None and not is_open(selector)
    return app in device.reported.apps or named_unheard


def _incumbent(device: Device, app: str) -> ArtifactRef | None:
    """What a device serves: what it was told to, unless it gave up on that; else what it says."""
    told = device.goal.apps.get(app) if device.goal else None
    said = device.reported.apps.get(app, AppState())
    if told is not None and told.serve is not None and told.serve.digest not in said.refused:
        return told.serve
    return said.serving

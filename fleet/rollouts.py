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
from dataclasses import dataclass

from sqlalchemy import Connection

from edge_sdk.errors import EdgeError, UsageError
from edge_sdk.spec.deployment import AppState, ArtifactRef, Reported
from edge_sdk.text import nearest
from fleet.clock import Clock
from fleet.core.gate import Limits, Trial, Verdict, judge
from fleet.core.rollout import (
    EFFECTS,
    FINAL,
    GIVES_BACK,
    Event,
    Give,
    Goal,
    Group,
    IllegalEvent,
    Pace,
    Rollout,
    Stage,
    assignment,
    step,
)
from fleet.core.situation import Place, Standing, is_undecided, look, place, problems_of
from fleet.core.tally import Tally, tally
from fleet.core.targeting import Target, canaries, is_open, select
from fleet.director import Director
from fleet.refusals import ConflictError, NotFoundError
from fleet.registry import find_artifact
from fleet.stores import audit, devices, rollouts, telemetry
from fleet.stores.devices import Device
from fleet.stores.rollouts import Member
from fleet.stores.store import Store

LOOK_S = 1.0
INCUMBENT_WINDOWS = 100

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Situation:
    """A rollout and what is known about it now.

    Attributes:
        places: by device, of those that the stage is about.
        problems: by device of these, what it says is in the way.
    """

    rollout: Rollout
    members: tuple[Member, ...]
    places: dict[str, Place]
    standing: Standing
    verdict: Verdict
    problems: dict[str, tuple[str, ...]]


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
            UsageError: the selector selects nothing that runs the application.
            ConflictError: another rollout of that application goes on, or nothing would change.
        """

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
        awake = [d for d in beside or needing if self._is_awake(d, now_ms)]
        first = canaries(id_, [d.device for d in awake or beside or needing], pace.canary_share)
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
        )
        rollouts.add(
            connection,
            number,
            rollout,
            [Member(d.device, d.device in first, serving[d.device]) for d in needing],
        )
        detail = f"{candidate.name} {candidate.version} to {len(needing)} of {selector}"
        audit.note(connection, now_ms, audit.OPERATOR, "rollout created", id_, detail)
        return rollout

    def _is_awake(self, device: Device, now_ms: int) -> bool:
        return device.seen_ms is not None and now_ms - device.seen_ms <= self._away_ms

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
        if new.stage is not rollout.stage:
            audit.note(
                connection, event.at_ms, who, f"rollout {new.stage.value}", new.id, new.reason
            )
        self._do(connection, new, effects)
        return new

    def _do(self, connection: Connection, rollout: Rollout, effects: Iterable[Give]) -> None:
        members = rollouts.members_of(connection, rollout.id)
        for give in effects:
            group = _group(members, give.group)
            states = {d.device: d for d in devices.some(connection, [m.device for m in group])}
            for member in group:
                device = states[member.device]
                if give.goal in GIVES_BACK and not _has_given(rollout, device):
                    continue
                app = device.reported.apps.get(rollout.app)
                wanted = assignment(
                    rollout, give.goal, member.incumbent, app.serving if app else None
                )
                self._director.assign(connection, member.device, rollout.app, wanted)

    def situation(self, connection: Connection, rollout: str) -> Situation:
        """Everything about a rollout that deciding needs. Raises NotFoundError."""
        current = self._one(connection, rollout)
        members = tuple(rollouts.members_of(connection, rollout))
        paused = current.stage is Stage.PAUSED
        stage = current.came_from or current.stage if paused else current.stage
        goals = {
            member.device: (give.goal, member)
            for give in EFFECTS.get(stage, ())
            for member in _group(members, give.group)
        }
        now_ms = self._clock()
        places: dict[str, Place] = {}
        problems: dict[str, tuple[str, ...]] = {}
        away = undecided = 0
        for device in devices.some(connection, goals):
            goal, member = goals[device.device]
            if goal in GIVES_BACK and not _has_given(current, device):
                continue
            where = _place(current, goal, member, device)
            places[device.device] = where
            app = device.reported.apps.get(current.app)
            if where is Place.OPEN and not self._is_awake(device, now_ms):
                away += 1
            elif where is Place.OPEN and is_undecided(app):
                undecided += 1
            if app is not None and app.problems:
                problems[device.device] = problems_of(app)
        count = list(places.values()).count
        standing = Standing(
            arrived=count(Place.ARRIVED),
            failed=count(Place.FAILED),
            waiting=count(Place.OPEN) - away - undecided,
            away=away,
            undecided=undecided,
            problems=tuple(f"{name}: {said[0]}" for name, said in problems.items()),
        )
        verdict = current.verdict
        if stage in _GATED:
            verdict = self._judge(connection, current, stage, members, standing)
        return Situation(
            rollout=current,
            members=members,
            places=places,
            standing=standing,
            problems=problems,
            verdict=verdict or judge(current.limits, [], devices=0, failed=0, beside=False),
        )

    def _judge(
        self,
        connection: Connection,
        rollout: Rollout,
        stage: Stage,
        members: Iterable[Member],
        standing: Standing,
    ) -> Verdict:
        beside = stage is Stage.SHADOWING
        trials = [
            self._trial(connection, rollout, member, beside) for member in members if member.canary
        ]
        if stage is Stage.ROLLING:
            tried = {trial.device for trial in trials}
            served = telemetry.sums(
                connection, rollout.app, rollout.candidate.digest, "serve", rollout.created_ms
            )
            trials += [Trial(d, t, Tally()) for d, t in served.items() if d not in tried]
        return judge(
            rollout.limits,
            trials,
            devices=standing.arrived + standing.failed + standing.open,
            failed=standing.failed,
            beside=beside,
        )

    def _trial(
        self, connection: Connection, rollout: Rollout, member: Member, beside: bool
    ) -> Trial:
        def windows(artifact: ArtifactRef, role: str, since_ms: int) -> Tally:
            return tally(
                telemetry.of_model(
                    connection,
                    member.device,
                    rollout.app,
                    artifact.digest,
                    role,
                    since_ms=since_ms,
                    most=INCUMBENT_WINDOWS,
                )
            )

        incumbent = Tally()
        if member.incumbent is not None:
            incumbent = windows(member.incumbent, "serve", rollout.created_ms if beside else 0)
        role = "shadow" if beside else "serve"
        return Trial(member.device, windows(rollout.candidate, role, rollout.created_ms), incumbent)

    def _one(self, connection: Connection, rollout: str) -> Rollout:
        found = rollouts.one(connection, rollout)
        if found is None:
            known = [r.id for r in rollouts.all_of(connection)]
            raise NotFoundError(f"There is no rollout {rollout[:130]!r}.", nearest(rollout, known))
        return found


_GATED = frozenset({Stage.SHADOWING, Stage.CANARY, Stage.ROLLING})


def _group(members: Iterable[Member], group: Group) -> list[Member]:
    return [member for member in members if member.canary is (group is Group.CANARIES)]


def _has_given(rollout: Rollout, device: Device) -> bool:
    """Whether what the device was told last about the application came from this rollout."""
    told = device.goal.apps.get(rollout.app) if device.goal else None
    return told is not None and told.rollout == rollout.id


def _place(rollout: Rollout, goal: Goal, member: Member, device: Device) -> Place:
    said: Reported = device.reported
    return place(
        goal,
        rollout.candidate,
        member.incumbent,
        said.apps.get(rollout.app),
        heard=device.goal is not None and said.counter >= device.goal.counter,
    )


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

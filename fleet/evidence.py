"""Evidence: all that the store knows about a rollout, read for the table to decide on.

Where its devices stand, and what the gate says of their windows. The canaries are judged whole,
latency included. A wave is judged by itself, since what went before must not make up for it, and
with all that have the candidate so far, since one of those may turn bad late: the worse counts.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection

from edge_sdk.spec.deployment import ArtifactRef
from fleet.core.gate import Outcome, Trial, Verdict, judge
from fleet.core.rollout import EFFECTS, GIVES_BACK, Goal, Group, Rollout, Stage
from fleet.core.situation import Place, Standing, is_undecided, place, problems_of
from fleet.core.tally import Tally, tally
from fleet.served import Served
from fleet.stores import devices, rollouts, telemetry
from fleet.stores.devices import Device
from fleet.stores.rollouts import Member

INCUMBENT_WINDOWS = 100
MEASURED = 32
"""Devices of a wave whose latencies are read, which takes a while; of the others, counts alone."""

_WORST_FIRST = (Outcome.FAILED, Outcome.INCONCLUSIVE, Outcome.SUCCESSFUL)
_GATED = frozenset({Stage.SHADOWING, Stage.CANARY, Stage.ROLLING})


@dataclass(frozen=True, slots=True)
class Situation:
    """A rollout and what is known about it now.

    Attributes:
        places: by device, of those that have been asked for something in this stage.
        standing: of those that the stage waits for.
        problems: by device of those in ``places``, what it says is in the way.
    """

    rollout: Rollout
    members: tuple[Member, ...]
    places: dict[str, Place]
    standing: Standing
    verdict: Verdict
    problems: dict[str, tuple[str, ...]]


def group(rollout: Rollout, members: Iterable[Member], which: Group) -> list[Member]:
    """Those members of a rollout that an effect is about."""
    if which is Group.CANARIES:
        return [member for member in members if member.canary]
    last = rollout.wave if which is Group.BEGUN else len(rollout.waves)
    return [member for member in members if not member.canary and member.wave <= last]


def has_given(rollout: Rollout, device: devices.Standing) -> bool:
    """Whether what the device was told last about the application came from this rollout."""
    goal = device.goal
    told = goal.apps.get(rollout.app) if goal else None
    return told is not None and told.rollout == rollout.id


def is_awake(device: Device | devices.Standing, now_ms: float, away_ms: float) -> bool:
    """Whether anything came from it lately."""
    return device.seen_ms is not None and now_ms - device.seen_ms <= away_ms


def read_situation(
    connection: Connection, rollout: Rollout, now_ms: int, away_ms: float, counted: Served
) -> Situation:
    """Everything about a rollout that deciding needs.

    Args:
        counted: what it has counted before is not counted again.
        away_ms: a device not heard from for so long is away.
    """
    members = tuple(rollouts.members_of(connection, rollout.id))
    paused = rollout.stage is Stage.PAUSED
    stage = rollout.came_from or rollout.stage if paused else rollout.stage
    in_waves = stage is Stage.ROLLING and bool(rollout.pace.waves)
    goals = {
        member.device: (give.goal, member)
        for give in EFFECTS.get(stage, ())
        for member in group(rollout, members, give.group)
    }
    places: dict[str, Place] = {}
    awaited: list[Place] = []
    problems: dict[str, tuple[str, ...]] = {}
    told: list[str] = []
    away = undecided = 0
    for device in devices.standing(connection, goals):
        goal, member = goals[device.device]
        if goal in GIVES_BACK and not has_given(rollout, device):
            continue
        where = places[device.device] = _place(rollout, goal, member, device)
        app = device.reported.apps.get(rollout.app)
        if app is not None and app.problems:
            problems[device.device] = problems_of(app)
        if in_waves and member.wave != rollout.wave:
            continue
        awaited.append(where)
        if where is Place.OPEN and not is_awake(device, now_ms, away_ms):
            away += 1
        elif where is Place.OPEN and is_undecided(app):
            undecided += 1
        if device.device in problems:
            told.append(f"{device.device}: {problems[device.device][0]}")
    standing = Standing(
        arrived=awaited.count(Place.ARRIVED),
        failed=awaited.count(Place.FAILED),
        waiting=awaited.count(Place.OPEN) - away - undecided,
        away=away,
        undecided=undecided,
        problems=tuple(told),
    )
    verdict = rollout.verdict
    if stage in _GATED:
        served = counted.of(connection, rollout) if stage is Stage.ROLLING else {}
        verdict = _judge(connection, rollout, stage, members, list(places.values()), served)
        if in_waves and standing.total:
            own = _judge_wave(connection, rollout, members, standing, served)
            verdict = min(own, verdict, key=lambda each: _WORST_FIRST.index(each.outcome))
    return Situation(
        rollout=rollout,
        members=members,
        places=places,
        standing=standing,
        problems=problems,
        verdict=verdict or judge(rollout.limits, [], devices=0, failed=0, beside=False),
    )


def _place(rollout: Rollout, goal: Goal, member: Member, device: devices.Standing) -> Place:
    said = device.reported
    return place(
        goal,
        rollout.candidate,
        member.incumbent,
        said.apps.get(rollout.app),
        heard=device.told is not None and said.counter >= device.told,
    )


def _judge(
    connection: Connection,
    rollout: Rollout,
    stage: Stage,
    members: Sequence[Member],
    places: Sequence[Place],
    served: Mapping[str, Tally],
) -> Verdict:
    """By all that have had the candidate."""
    beside = stage is Stage.SHADOWING
    trials = [_trial(connection, rollout, m, beside) for m in members if m.canary]
    trials += _counts(group(rollout, members, Group.BEGUN), served)
    return judge(
        rollout.limits,
        trials,
        devices=len(places),
        failed=places.count(Place.FAILED),
        beside=beside,
    )


def _judge_wave(
    connection: Connection,
    rollout: Rollout,
    members: Sequence[Member],
    standing: Standing,
    served: Mapping[str, Tally],
) -> Verdict:
    """By the devices of the wave that goes alone."""
    wave = [member for member in members if member.wave == rollout.wave]
    trials = [_trial(connection, rollout, member, False) for member in wave[:MEASURED]]
    return judge(
        rollout.limits,
        trials + _counts(wave[MEASURED:], served),
        devices=standing.total,
        failed=standing.failed,
        beside=False,
    )


def _counts(members: Iterable[Member], served: Mapping[str, Tally]) -> list[Trial]:
    return [Trial(m.device, served[m.device], Tally()) for m in members if m.device in served]


def _trial(connection: Connection, rollout: Rollout, member: Member, beside: bool) -> Trial:
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

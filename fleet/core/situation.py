"""Reading the situation: what devices report and what the gate says, as an event of the table.

A device stands somewhere only once it has *heard*: its report carries the counter of the Desired
that asked it. What it reported before says nothing about what it was asked.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from edge_sdk.spec.deployment import AppState, ArtifactRef, State
from fleet.core.gate import Outcome, Verdict
from fleet.core.rollout import (
    Arrived,
    BegunAlone,
    BegunBeside,
    Event,
    Failed,
    Goal,
    Overdue,
    Passed,
    Returned,
    Rollout,
    Stage,
)


class Place(StrEnum):
    """Where one device stands."""

    ARRIVED = "arrived"
    FAILED = "failed"
    OPEN = "open"


def place(
    goal: Goal,
    candidate: ArtifactRef,
    incumbent: ArtifactRef | None,
    app: AppState | None,
    *,
    heard: bool,
) -> Place:
    """Where a device stands with what it was asked to do.

    Args:
        goal: what it was asked.
        candidate, incumbent: of the rollout, and of this device in it.
        app: its newest report; None if it does not run the application.
        heard: whether that report was made after it was asked.
    """
    if app is None or not heard:
        return Place.OPEN
    if goal is Goal.SHADOW:
        there = app.shadow == candidate
    else:
        wanted = candidate if goal is Goal.CANDIDATE else incumbent
        settled = app.shadow is None and app.target is None
        there = app.serving == wanted and settled and app.state is not State.PROBATION
    if there:
        return Place.ARRIVED
    gave_up = app.state in (State.FAILED, State.ROLLED_BACK) and app.target is None
    return Place.FAILED if gave_up else Place.OPEN


def is_undecided(app: AppState | None) -> bool:
    """Whether what it serves is on a probation that came to nothing: only then is there a reason
    while it goes on."""
    return app is not None and app.state is State.PROBATION and bool(app.reason)


MOST_PROBLEMS = 8
LONGEST_PROBLEM = 400
"""Of what one device says of one application: it is shown to people, and may be anything."""


def problems_of(app: AppState) -> tuple[str, ...]:
    """What is in the way of an application, as its device says."""
    return tuple(problem[:LONGEST_PROBLEM] for problem in app.problems[:MOST_PROBLEMS])


@dataclass(frozen=True, slots=True)
class Standing:
    """Where the devices of the current stage stand: the canaries at first, later all.

    Attributes:
        arrived: do what the stage wants of them.
        failed: gave up on it.
        waiting: neither, and heard from lately.
        away: neither, and not heard from lately.
        undecided: neither: they serve it, and have had no input to try it on.
        problems: what some of them say is in the way: ``pi-1: no input since …``.
    """

    arrived: int = 0
    failed: int = 0
    waiting: int = 0
    away: int = 0
    undecided: int = 0
    problems: tuple[str, ...] = ()

    @property
    def open(self) -> int:
        """How many have not come to an end."""
        return self.waiting + self.away + self.undecided


def look(rollout: Rollout, standing: Standing, verdict: Verdict, at_ms: int) -> Event | None:
    """The event, if any, that devices and evidence amount to. Asked about once a second.

    Args:
        rollout: in any stage.
        standing: of the devices that the stage is about.
        verdict: of the gate of that stage; in stages without a gate it is not read.
        at_ms: now.
    """
    overdue = at_ms - rollout.since_ms > rollout.pace.deadline_s * 1000
    match rollout.stage:
        case Stage.CREATED:
            return BegunBeside(at_ms) if rollout.beside else BegunAlone(at_ms)
        case Stage.ROLLING_BACK if standing.open == 0:
            return Returned(at_ms, rollout.reason, rollout.verdict)
        case Stage.ROLLING_BACK if overdue:
            return Returned(at_ms, _still_out(rollout.reason, standing), rollout.verdict)
        case Stage.SHADOWING | Stage.CANARY | Stage.ROLLING:
            return _look_forward(rollout, standing, verdict, at_ms, overdue)
    return None


def _look_forward(
    rollout: Rollout, standing: Standing, verdict: Verdict, at_ms: int, overdue: bool
) -> Event | None:
    if verdict.outcome is Outcome.FAILED:
        return Failed(at_ms, verdict.summary, verdict)
    good = verdict.outcome is Outcome.SUCCESSFUL
    if rollout.stage is Stage.CANARY:
        if standing.open == 0 and not rollout.arrived_ms:
            return Arrived(at_ms)
        soaked = at_ms - rollout.arrived_ms >= rollout.pace.soak_s * 1000
        good = good and bool(rollout.arrived_ms) and soaked
    if good and standing.open == 0:
        return Passed(at_ms, verdict.summary, verdict)
    if not overdue:
        return None
    if good and rollout.stage is Stage.ROLLING and standing.waiting == 0:
        return Passed(at_ms, _still_out(verdict.summary, standing), verdict)
    return Overdue(at_ms, _still_out(verdict.summary, standing), verdict)


MOST_TOLD = 3
"""Problems that stand in a rollout's reason; its report has them all."""


def _still_out(reason: str, standing: Standing) -> str:
    parts = [reason] if reason else []
    if standing.waiting:
        parts.append(f"{_devices(standing.waiting)} did not get there in time")
    if standing.away:
        parts.append(f"{_devices(standing.away)} not heard from; told when back")
    if standing.undecided:
        parts.append(
            f"{_devices(standing.undecided)} without input; it is decided there when some comes"
        )
    parts += standing.problems[:MOST_TOLD]
    if len(standing.problems) > MOST_TOLD:
        parts.append(f"and {len(standing.problems) - MOST_TOLD} more like that")
    return "; ".join(parts) or "the deadline has passed"


def _devices(count: int) -> str:
    return f"{count} device" if count == 1 else f"{count} devices"

"""How a fleet brings in a new version: the table, and nothing else.

No clock, no store, no socket: ``step`` is told what happened and answers what is to be done. A
rollout first lets a few devices, the canaries, run the candidate *in shadow* beside what serves,
on the same inputs; then lets them serve it; then all others, at once or in waves:

                                       +-------+ the next wave
                                       v       |
    CREATED -> SHADOWING -> CANARY -> ROLLING -+-> DONE
                   |           |         |          |
                   +-----------+---------+----------+--> ROLLING_BACK -> ROLLED_BACK

A device that runs nothing yet has nothing to be compared with: such a rollout goes to CANARY
directly. Each wave serves the candidate for a while, as the canaries did, and is judged before
another follows; one that fails takes it back from all, earlier waves too. Where the evidence is
neither good nor bad by the deadline, the rollout is PAUSED and a person decides. The effects say
which group of devices is to run what; doing them twice does no harm, so after a crash the shell
does those of the current stage again.

What the table rests on: every stage ends by itself (complaint of the field: "in progress for
ever"), final stages stay final, but a DONE rollout can be taken back, and a rollout gives back
only what it gave.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated

from msgspec import Meta
from msgspec.structs import replace

from edge_sdk.errors import EdgeError
from edge_sdk.spec.deployment import ArtifactRef, Assignment
from edge_sdk.spec.word import Word
from fleet.core.gate import Limits, Verdict


class Stage(StrEnum):
    """Where a rollout stands."""

    CREATED = "created"
    SHADOWING = "shadowing"
    CANARY = "canary"
    ROLLING = "rolling"
    DONE = "done"
    PAUSED = "paused"
    ROLLING_BACK = "rolling_back"
    ROLLED_BACK = "rolled_back"
    ABORTED = "aborted"


FINAL = frozenset({Stage.DONE, Stage.ROLLED_BACK, Stage.ABORTED})
"""Nothing happens any more by itself, and another rollout of that application may begin."""


OFF_COURSE = frozenset({Stage.PAUSED, Stage.ROLLING_BACK, Stage.ROLLED_BACK, Stage.ABORTED})
"""Not on the way from CREATED to DONE."""


class Pace(Word, frozen=True, kw_only=True):
    """How many go first, and how long a stage may take.

    Attributes:
        canary_share: of the devices; at least one device, never all of several.
        waves: in which the others follow, as shares of all devices, each with everybody before
            it; the last is 1. Empty is all at once, done when they are there.
        soak_s: how long the canaries, and then each wave, serve the candidate before others do.
        deadline_s: for each stage and wave, from its beginning; and again, once all are there, for
            what is still not known after the soak.
    """

    canary_share: Annotated[float, Meta(gt=0, le=1)] = 0.05
    waves: tuple[Annotated[float, Meta(gt=0, le=1)], ...] = ()
    soak_s: Annotated[float, Meta(ge=0)] = 10.0
    deadline_s: Annotated[float, Meta(gt=0)] = 600.0


class Rollout(Word, frozen=True, kw_only=True):
    """One version on its way to some devices. This is what the store holds.

    Attributes:
        id: unique in the fleet, for people to type.
        app: the application.
        candidate: what is brought in.
        selector: whom it was meant for, as it was said.
        beside: whether the canaries have something to compare the candidate with.
        stage: where it stands.
        created_ms, since_ms: wall clock, of its making and of the beginning of this stage.
        arrived_ms: when all canaries, or all of the wave, served the candidate; 0 until then. The
            soak counts from here.
        waves: shares of the waves that there are: ``pace.waves`` without those that nobody is in.
        wave: of these, from 1, the one that goes, or goes next after the canaries.
        came_from: the stage in which it was paused, turned back or ended; None while it goes on.
        reason: why it stands there, for people.
        verdict: the newest judgement, with what only earlier stages could show.
    """

    id: str
    app: str
    candidate: ArtifactRef
    selector: str
    created_ms: int
    since_ms: int
    beside: bool
    stage: Stage = Stage.CREATED
    arrived_ms: int = 0
    waves: tuple[float, ...] = (1.0,)
    wave: int = 1
    came_from: Stage | None = None
    reason: str = ""
    verdict: Verdict | None = None
    limits: Limits = Limits()
    pace: Pace = Pace()

    @property
    def probation(self) -> bool:
        """Whether those of this stage are to serve the candidate for a while first."""
        return self.stage is Stage.CANARY or (self.stage is Stage.ROLLING and bool(self.pace.waves))


class IllegalEvent(EdgeError):
    """The event has no meaning in this stage; nothing changed."""

    exit_code = 2


# ---------------------------------------------------------------------------------------- events


@dataclass(frozen=True, slots=True)
class Event:
    """Something happened.

    Attributes:
        at_ms: when, by the fleet's clock.
        reason: for people.
        verdict: the judgement behind it, if there was one.
    """

    at_ms: int
    reason: str = ""
    verdict: Verdict | None = None


class BegunBeside(Event):
    """It begins, on canaries that serve something now."""


class BegunAlone(Event):
    """It begins, on canaries that serve nothing yet."""


class Arrived(Event):
    """All canaries, or all of the wave, serve the candidate."""


class Passed(Event):
    """The stage has shown what it was to show."""


class Widened(Event):
    """The wave has shown what it was to show, and another follows."""


class Failed(Event):
    """The candidate is worse than it may be."""


class Overdue(Event):
    """The deadline has passed and it is still not known."""


class Returned(Event):
    """Every device that had the candidate is back."""


class Pause(Event):
    """An operator stops the clock."""


class Resume(Event):
    """An operator lets it go on."""


class Abort(Event):
    """An operator ends it: each device keeps what it serves."""


class RollBack(Event):
    """An operator takes it back: each device returns to what it served."""


# --------------------------------------------------------------------------------------- effects


class Group(StrEnum):
    """Which of a rollout's devices."""

    CANARIES = "canaries"
    BEGUN = "begun"
    """Of the others, those whose wave has begun."""
    OTHERS = "others"


class Goal(StrEnum):
    """What a device of the group is to run."""

    SHADOW = "shadow"
    CANDIDATE = "candidate"
    INCUMBENT = "incumbent"
    KEEP = "keep"


GIVES_BACK = frozenset({Goal.INCUMBENT, Goal.KEEP})
"""Goals for those devices alone to which this rollout has given something."""


@dataclass(frozen=True, slots=True)
class Give:
    """The one effect there is."""

    group: Group
    goal: Goal


EFFECTS: dict[Stage, tuple[Give, ...]] = {
    Stage.SHADOWING: (Give(Group.CANARIES, Goal.SHADOW),),
    Stage.CANARY: (Give(Group.CANARIES, Goal.CANDIDATE),),
    Stage.ROLLING: (
        Give(Group.CANARIES, Goal.CANDIDATE),
        Give(Group.BEGUN, Goal.CANDIDATE),
    ),
    Stage.ROLLING_BACK: (
        Give(Group.CANARIES, Goal.INCUMBENT),
        Give(Group.OTHERS, Goal.INCUMBENT),
    ),
    Stage.ABORTED: (Give(Group.CANARIES, Goal.KEEP), Give(Group.OTHERS, Goal.KEEP)),
}
"""What entering a stage asks for; stages not named leave every device as it is."""


def assignment(
    rollout: Rollout, goal: Goal, incumbent: ArtifactRef | None, serving: ArtifactRef | None
) -> Assignment:
    """What a goal means for one device.

    Args:
        rollout: whose goal it is.
        goal: for the device.
        incumbent: what the device served when the rollout was made.
        serving: what it serves now, by its own report.
    """
    if goal is Goal.SHADOW:
        return Assignment(serve=incumbent, shadow=rollout.candidate, rollout=rollout.id)
    has_it = serving is not None and serving.digest == rollout.candidate.digest
    wanted = goal is Goal.CANDIDATE or (goal is Goal.KEEP and has_it)
    return Assignment(serve=rollout.candidate if wanted else incumbent, rollout=rollout.id)


# ------------------------------------------------------------------------------------- the table

S = Stage
_OPERATOR: dict[type[Event], Stage] = {
    Pause: S.PAUSED,
    Abort: S.ABORTED,
    RollBack: S.ROLLING_BACK,
}

TABLE: dict[Stage, dict[type[Event], Stage]] = {
    S.CREATED: {BegunBeside: S.SHADOWING, BegunAlone: S.CANARY, Abort: S.ABORTED},
    S.SHADOWING: {Passed: S.CANARY, Failed: S.ROLLING_BACK, Overdue: S.PAUSED, **_OPERATOR},
    S.CANARY: {
        Arrived: S.CANARY,
        Passed: S.ROLLING,
        Failed: S.ROLLING_BACK,
        Overdue: S.PAUSED,
        **_OPERATOR,
    },
    S.ROLLING: {
        Arrived: S.ROLLING,
        Widened: S.ROLLING,
        Passed: S.DONE,
        Failed: S.ROLLING_BACK,
        Overdue: S.PAUSED,
        **_OPERATOR,
    },
    S.PAUSED: {Abort: S.ABORTED, RollBack: S.ROLLING_BACK},
    S.ROLLING_BACK: {Returned: S.ROLLED_BACK},
    S.DONE: {RollBack: S.ROLLING_BACK},
    S.ROLLED_BACK: {},
    S.ABORTED: {},
}
"""Stage and event to the next stage. ``Resume`` alone is not here: it leads back to where PAUSED
was entered from."""


def step(rollout: Rollout, event: Event) -> tuple[Rollout, tuple[Give, ...]]:
    """Answer an event: the new truth, and what the shell must do in the same transaction.

    Raises:
        IllegalEvent: the event has no meaning in this stage; nothing changed.
    """
    stage = TABLE[rollout.stage].get(type(event))
    if isinstance(event, Resume) and rollout.stage is S.PAUSED:
        stage = rollout.came_from
    widens = isinstance(event, Widened)
    if stage is None or (widens and rollout.wave >= len(rollout.waves)):
        raise IllegalEvent(
            f"Rollout {rollout.id} is {rollout.stage.value}; it cannot {_verb(event)} now.",
            f"edge fleet rollout status {rollout.id}",
        )
    if isinstance(event, Arrived):
        return replace(rollout, arrived_ms=event.at_ms), ()
    new = replace(
        rollout,
        stage=stage,
        since_ms=event.at_ms,
        arrived_ms=0,
        wave=rollout.wave + widens,
        came_from=rollout.came_from or rollout.stage if stage in OFF_COURSE else None,
        reason=event.reason,
        verdict=event.verdict.after(rollout.verdict) if event.verdict else rollout.verdict,
    )
    return new, EFFECTS.get(stage, ())


def progress(rollout: Rollout) -> str:
    """``wave 2 of 3``, of a rollout that rolls or stopped doing so; empty where there is one."""
    here = rollout.came_from or rollout.stage
    if here is not S.ROLLING or len(rollout.waves) < 2:
        return ""
    return f"wave {rollout.wave} of {len(rollout.waves)}"


def _verb(event: Event) -> str:
    special = {RollBack: "roll back", Widened: "widen"}
    return special.get(type(event), type(event).__name__.lower())

"""Where an application stands: the record that the journal holds, and what can be read off it."""

from __future__ import annotations

from enum import Enum

from edge_sdk.spec.deployment import AppState, ArtifactRef, Assignment, State
from edge_sdk.spec.manifest import Sha256
from edge_sdk.spec.word import Word


class Role(str, Enum):
    """What an artifact is brought in for."""

    SERVE = "serve"
    SHADOW = "shadow"


class Update(Word, frozen=True, kw_only=True):
    """Where one application stands. This is what the journal holds.

    Attributes:
        counter: of the newest Desired that named this application.
        wanted: what that Desired said.
        state: where the attempt stands, or how the last one ended.
        role, target: what is being brought in, and for what; no target between attempts.
        attempt: counts attempts, for ever.
        serving: what was last committed; None if nothing serves.
        previous: what was committed before it.
        shadow: the candidate that runs beside it.
        boots: restarts of the agent since this step of the attempt began, of those that nobody had
            asked for.
        stopping: whether the agent was asked to end while a candidate was on trial.
        reason: why the last attempt ended as it did, or is still on probation; empty if it went
            well.
        refused: digests that failed here and are still wanted.
    """

    counter: int = 0
    wanted: Assignment = Assignment()
    state: State = State.COMMITTED
    role: Role = Role.SERVE
    target: ArtifactRef | None = None
    attempt: int = 0
    serving: ArtifactRef | None = None
    previous: ArtifactRef | None = None
    shadow: ArtifactRef | None = None
    boots: int = 0
    stopping: bool = False
    reason: str = ""
    refused: tuple[Sha256, ...] = ()


def in_flight(update: Update) -> bool:
    """Whether an attempt is under way."""
    return update.target is not None


def answering(update: Update) -> ArtifactRef | None:
    """What should answer now: the candidate from its activation on, else what is committed."""
    on_trial = update.state in (State.ACTIVATING, State.PROBATION)
    return update.target if on_trial else update.serving


def needed(update: Update) -> frozenset[str]:
    """Digests whose slots must be kept."""
    kept = (update.serving, update.previous, update.target, update.shadow)
    return frozenset(ref.digest for ref in kept if ref is not None)


def view(update: Update) -> AppState:
    """What the fleet is told of it."""
    on_probation = update.state is State.PROBATION
    return AppState(
        serving=update.target if on_probation else update.serving,
        previous=update.serving if on_probation else update.previous,
        shadow=update.shadow,
        target=update.target,
        state=update.state,
        attempt=update.attempt,
        reason=update.reason,
        refused=update.refused,
    )


def goal(update: Update) -> tuple[Role, ArtifactRef] | None:
    """What has to be brought in for ``wanted`` to be so; None if nothing can or need be."""
    serve, shadow = update.wanted.serve, update.wanted.shadow
    if serve is None:
        return None
    if update.serving is None or serve.digest != update.serving.digest:
        return None if serve.digest in update.refused else (Role.SERVE, serve)
    if shadow is None or shadow.digest in (serve.digest, *update.refused):
        return None
    runs = update.shadow is not None and update.shadow.digest == shadow.digest
    return None if runs else (Role.SHADOW, shadow)


def named(assignment: Assignment) -> tuple[str, ...]:
    """Digests of the artifacts that an assignment speaks of."""
    return tuple(ref.digest for ref in (assignment.serve, assignment.shadow) if ref is not None)

"""How a device brings in a new artifact: the table, and nothing else.

No clock, no file, no socket: ``step`` is told what happened and answers what to do. One ``Update``
is one application's whole truth; the shell writes it to the journal *before* it performs the
effects, and after a crash says ``Rebooted``, upon which the table repeats the effects of the state
it was in. So every effect must do no harm when it is done twice.

    serve:   DOWNLOADING -> VERIFYING -> ACTIVATING -> PROBATION -> COMMITTED
    shadow:  DOWNLOADING -> VERIFYING -> SHADOWING

Three rules hold throughout, and the property tests hunt for a counterexample:

* ``serving`` and ``previous`` change only when an attempt is committed, so until then there is
  always something proven to return to. What answers *now* is ``answering(update)``.
* A newer Desired pre-empts any state. The goal is compared with what is there, never with what
  was going on, so whatever was lost in between does not matter.
* Events of an attempt carry its number. One that comes late, after its attempt was pre-empted,
  changes nothing.

A digest that failed on this device is *refused*: it is not tried again until the fleet has wanted
something else in between. What could not be fetched is not refused: a disk can be cleared, an
agent updated; it is tried again when the agent starts or the fleet says something new.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

from msgspec.structs import replace

from edge_sdk.errors import EdgeError, UpdateError
from edge_sdk.spec.deployment import AppState, ArtifactRef, Assignment, State
from edge_sdk.spec.manifest import Sha256
from edge_sdk.spec.word import Word

MAX_BOOTS = 3
"""Restarts of the agent within one risky step before the candidate is held to be the cause: a model
can take the whole machine down, and then there is nobody left to count its crashes."""


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
        boots: restarts of the agent since this step of the attempt began.
        reason: why the last attempt ended as it did; empty if it went well.
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
    reason: str = ""
    refused: tuple[Sha256, ...] = ()


# ---------------------------------------------------------------------------------------- events


@dataclass(frozen=True, slots=True)
class Event:
    """Something happened."""


@dataclass(frozen=True, slots=True)
class Desired(Event):
    """The fleet, its signature and counter checked, wants this."""

    counter: int
    assignment: Assignment


@dataclass(frozen=True, slots=True)
class RollBack(Event):
    """Somebody at the device wants the previous version back."""

    reason: str


@dataclass(frozen=True, slots=True)
class Rebooted(Event):
    """The agent has just read its journal; nothing of what it started before still runs."""


@dataclass(frozen=True, slots=True)
class Crashed(Event):
    """The worker died, or stopped answering."""

    reason: str


@dataclass(frozen=True, slots=True)
class Idle(Event):
    """An attempt is over: is there something else to do?"""


@dataclass(frozen=True, slots=True)
class OfAttempt(Event):
    """Something that was set going in an attempt came to its end."""

    attempt: int


@dataclass(frozen=True, slots=True)
class Failure(OfAttempt):
    """…badly."""

    reason: str


class Fetched(OfAttempt):
    """Everything that this device needs of the target is in its slot, checked."""

    __slots__ = ()


class Unfetchable(Failure):
    """It cannot be had here, for now: no room, no engine for it, an agent too old, not published."""

    __slots__ = ()


class Verified(OfAttempt):
    """It loads here and gives the golden answers."""

    __slots__ = ()


class Unfit(Failure):
    """It does not load here, or its answers are wrong."""

    __slots__ = ()


class Activated(OfAttempt):
    """It answers now, in place of what served."""

    __slots__ = ()


class NotActivated(Failure):
    """The worker could not take it into service."""

    __slots__ = ()


class Healthy(OfAttempt):
    """Probation is over and nothing was wrong."""

    __slots__ = ()


class Unhealthy(Failure):
    """Probation found something wrong."""

    __slots__ = ()


class Shadowed(OfAttempt):
    """It runs beside what serves."""

    __slots__ = ()


class NotShadowed(Failure):
    """It cannot run beside what serves, or no longer."""

    __slots__ = ()


# --------------------------------------------------------------------------------------- effects


@dataclass(frozen=True, slots=True)
class Effect:
    """What the shell must do; doing it twice does no harm."""


@dataclass(frozen=True, slots=True)
class Fetch(Effect):
    """Bring what this device needs of the artifact into its slot."""

    artifact: ArtifactRef
    attempt: int


@dataclass(frozen=True, slots=True)
class Check(Effect):
    """Load it away from the running model, and compare its answers with the golden ones."""

    artifact: ArtifactRef
    attempt: int


@dataclass(frozen=True, slots=True)
class Run(Effect):
    """See to it that exactly this runs, from now on and after every restart of the worker."""

    serve: ArtifactRef | None
    shadow: ArtifactRef | None
    attempt: int


@dataclass(frozen=True, slots=True)
class Watch(Effect):
    """Begin probation of what answers now."""

    artifact: ArtifactRef
    attempt: int


@dataclass(frozen=True, slots=True)
class Cancel(Effect):
    """Stop fetching, checking, watching: the attempt is over."""


@dataclass(frozen=True, slots=True)
class Collect(Effect):
    """Throw away the slots that no application needs."""


@dataclass(frozen=True, slots=True)
class Proceed(Effect):
    """Say ``Idle`` once the state is reported."""


class IllegalEvent(EdgeError):
    """The event has no meaning in this state; nothing changed. A bug of the shell's."""


# --------------------------------------------------------------------------- reading an update


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


def _named(assignment: Assignment) -> tuple[str, ...]:
    return tuple(ref.digest for ref in (assignment.serve, assignment.shadow) if ref is not None)


# ------------------------------------------------------------------------- changes of an update

Change = Callable[[Update, Event], Update]


def _keep(update: Update, event: Event) -> Update:
    return update


def _commit(update: Update, event: Event) -> Update:
    return replace(update, serving=update.target, previous=update.serving, target=None)


def _settle(update: Update, event: Event) -> Update:
    return replace(update, shadow=update.target or update.shadow, target=None)


def _let_go(update: Update, event: Event) -> Update:
    candidate = update.target or update.shadow
    name = f"{candidate.name} {candidate.version}: " if candidate else ""
    reason = name + getattr(event, "reason", "")
    return replace(update, target=None, shadow=None, reason=reason)


def _refuse(update: Update, event: Event) -> Update:
    candidate = update.target or update.shadow
    digest = candidate.digest if candidate else ""
    others = tuple(d for d in update.refused if d != digest)
    return replace(_let_go(update, event), refused=(*others, digest))


# ------------------------------------------------------------------------- effects of an update

Make = Callable[[Update], Effect]


def _target(update: Update) -> ArtifactRef:
    if update.target is None:
        raise IllegalEvent(f"There is no target in {update.state.value}.")
    return update.target


def _fetch(update: Update) -> Effect:
    return Fetch(_target(update), update.attempt)


def _check(update: Update) -> Effect:
    return Check(_target(update), update.attempt)


def _watch(update: Update) -> Effect:
    return Watch(_target(update), update.attempt)


def _run(update: Update) -> Effect:
    candidate = update.target if update.state is State.SHADOWING else None
    return Run(answering(update), candidate or update.shadow, update.attempt)


def _cancel(update: Update) -> Effect:
    return Cancel()


def _collect(update: Update) -> Effect:
    return Collect()


def _proceed(update: Update) -> Effect:
    return Proceed()


# ------------------------------------------------------------------------------------- the table


@dataclass(frozen=True, slots=True)
class Row:
    """What an event does: the next state, the change, and the effects, in order."""

    state: State
    change: Change = _keep
    effects: tuple[Make, ...] = ()


S = State
_ENDED = (_cancel, _run, _collect)
_BACK = Row(S.ROLLED_BACK, _refuse, _ENDED)
"""Back to what is committed; a first deployment has nothing to go back to and has FAILED."""

TABLE: dict[tuple[Role, State], dict[type[Event], Row]] = {
    (Role.SERVE, S.DOWNLOADING): {
        Fetched: Row(S.VERIFYING, _keep, (_check,)),
        Unfetchable: Row(S.FAILED, _let_go, _ENDED),
        Crashed: Row(S.DOWNLOADING),
        Rebooted: Row(S.DOWNLOADING, _keep, (_run, _fetch)),
    },
    (Role.SERVE, S.VERIFYING): {
        Verified: Row(S.ACTIVATING, _keep, (_run,)),
        Unfit: Row(S.FAILED, _refuse, _ENDED),
        Crashed: Row(S.VERIFYING),
        Rebooted: Row(S.VERIFYING, _keep, (_run, _check)),
    },
    (Role.SERVE, S.ACTIVATING): {
        Activated: Row(S.PROBATION, _keep, (_watch,)),
        NotActivated: _BACK,
        Crashed: _BACK,
        Rebooted: Row(S.ACTIVATING, _keep, (_run,)),
    },
    (Role.SERVE, S.PROBATION): {
        Healthy: Row(S.COMMITTED, _commit, (_run, _collect, _proceed)),
        Unhealthy: _BACK,
        NotActivated: _BACK,
        Crashed: _BACK,
        Rebooted: Row(S.PROBATION, _keep, (_run, _watch)),
    },
    (Role.SHADOW, S.DOWNLOADING): {
        Fetched: Row(S.VERIFYING, _keep, (_check,)),
        Unfetchable: Row(S.FAILED, _let_go, _ENDED),
        Crashed: Row(S.DOWNLOADING),
        Rebooted: Row(S.DOWNLOADING, _keep, (_run, _fetch)),
    },
    (Role.SHADOW, S.VERIFYING): {
        Verified: Row(S.SHADOWING, _keep, (_run,)),
        Unfit: Row(S.FAILED, _refuse, _ENDED),
        Crashed: Row(S.VERIFYING),
        Rebooted: Row(S.VERIFYING, _keep, (_run, _check)),
    },
    (Role.SHADOW, S.SHADOWING): {
        Shadowed: Row(S.SHADOWING, _settle),
        NotShadowed: Row(S.FAILED, _refuse, _ENDED),
        Crashed: Row(S.FAILED, _refuse, _ENDED),
        Rebooted: Row(S.SHADOWING, _keep, (_run,)),
    },
    **{
        (role, state): {
            Crashed: Row(state),
            Rebooted: Row(state, _keep, (_run, _collect, _proceed)),
        }
        for role in Role
        for state in (S.COMMITTED, S.ROLLED_BACK, S.FAILED)
    },
}

BLAMED: dict[State, type[Failure]] = {
    S.VERIFYING: Unfit,
    S.ACTIVATING: NotActivated,
    S.PROBATION: Unhealthy,
    S.SHADOWING: NotShadowed,
}
"""What it counts as when the agent was restarted too often in these states."""


def step(update: Update, event: Event) -> tuple[Update, tuple[Effect, ...]]:
    """Answer an event: the new truth, and what the shell must do once it is in the journal.

    Raises:
        IllegalEvent: the event has no meaning in this state; nothing changed.
        UpdateError: there is nothing to roll back to; nothing changed.
    """
    anywhere = ANYWHERE.get(type(event))
    if anywhere is not None:
        return anywhere(update, event)
    if isinstance(event, OfAttempt) and event.attempt != update.attempt:
        return update, ()
    row = TABLE[update.role, update.state].get(type(event))
    if row is None:
        raise IllegalEvent(
            f"{type(event).__name__} has no meaning in {update.state.value} ({update.role.value})."
        )
    if isinstance(event, Rebooted) and in_flight(update) and update.state in BLAMED:
        if update.boots >= MAX_BOOTS:
            reason = f"the agent was restarted {update.boots + 1} times while {update.state.value}"
            return step(update, BLAMED[update.state](update.attempt, reason))
        update = replace(update, boots=update.boots + 1)
    return _take(row, update, event)


def _take(row: Row, update: Update, event: Event) -> tuple[Update, tuple[Effect, ...]]:
    state = row.state
    if state is S.ROLLED_BACK and update.serving is None:
        state = S.FAILED
    boots = update.boots if state is update.state else 0
    update = replace(row.change(update, event), state=state, boots=boots)
    return update, tuple(make(update) for make in row.effects)


# ----------------------------------------------------------------- what may happen in every state

Answer = tuple[Update, tuple[Effect, ...]]


def _desired(update: Update, event: Event) -> Answer:
    """A newer goal pre-empts; one heard before changes nothing."""
    if not isinstance(event, Desired) or event.counter <= update.counter:
        return update, ()
    named = _named(event.assignment)
    update = replace(
        update,
        counter=event.counter,
        wanted=event.assignment,
        refused=tuple(digest for digest in update.refused if digest in named),
    )
    if in_flight(update) and goal(update) == (update.role, update.target):
        return update, ()
    return _pursue(update)


def _idle(update: Update, event: Event) -> Answer:
    if in_flight(update) or goal(update) is None:
        return update, ()
    return _pursue(update)


def _pursue(update: Update) -> Answer:
    """Leave whatever is going on, and set out for what is wanted."""
    cancel: tuple[Effect, ...] = (Cancel(),) if in_flight(update) else ()
    next_ = goal(update)
    if next_ is None:
        rested = _rest(update)
        return rested, (*cancel, _run(rested), Collect())
    role, target = next_
    begun = replace(
        update,
        state=S.DOWNLOADING,
        role=role,
        target=target,
        attempt=update.attempt + 1,
        shadow=None,
        boots=0,
        reason="",
    )
    return begun, (*cancel, _run(begun), Collect(), _fetch(begun))


def _rest(update: Update) -> Update:
    """Where an application stands for which nothing has to be brought in."""
    wanted = update.wanted
    rested = replace(update, target=None, boots=0)
    if wanted.serve is None:  # stopped; what served can be had back
        previous = update.serving or update.previous
        return replace(
            rested, state=S.COMMITTED, reason="", serving=None, previous=previous, shadow=None
        )
    keeps = update.shadow is not None and wanted.shadow == update.shadow
    rested = replace(rested, shadow=update.shadow if keeps else None)
    if any(digest in update.refused for digest in _named(wanted)):
        if not in_flight(update) and update.state in (S.FAILED, S.ROLLED_BACK):
            return rested
        return replace(rested, state=S.FAILED, reason="This device gave up on it before.")
    return replace(rested, state=S.SHADOWING if keeps else S.COMMITTED, reason="")


def _roll_back(update: Update, event: Event) -> Answer:
    """At the device's own wish: give up the attempt, or else what serves."""
    if in_flight(update):
        tried = update.state in (S.ACTIVATING, S.PROBATION)
        return _take(Row(S.ROLLED_BACK if tried else S.FAILED, _refuse, _ENDED), update, event)
    if update.previous is None:
        raise UpdateError(
            "There is no previous version to go back to.", "edge agent status   # what there is"
        )
    given_up = () if update.serving is None else (update.serving.digest,)
    kept = tuple(d for d in update.refused if d not in (*given_up, update.previous.digest))
    back = replace(
        update,
        state=S.ROLLED_BACK,
        role=Role.SERVE,
        serving=update.previous,
        previous=None,
        shadow=None,
        boots=0,
        reason=getattr(event, "reason", ""),
        refused=(*kept, *given_up),
    )
    return back, (_run(back), Collect())


ANYWHERE: dict[type[Event], Callable[[Update, Event], Answer]] = {
    Desired: _desired,
    Idle: _idle,
    RollBack: _roll_back,
}

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

A probation in which there was too little to be tried on is *inconclusive*: the candidate stays, is
said to wait, and is watched anew. It ends when inputs come, or when the fleet wants something else.

A digest that failed on this device is *refused*: it is not tried again until the fleet has wanted
something else in between. What could not be fetched is not refused: a disk can be cleared, an
agent updated; it is tried again when the agent starts or the fleet says something new.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from msgspec.structs import replace

from device_agent.core.effects import Cancel, Check, Collect, Effect, Fetch, Proceed, Run, Watch
from device_agent.core.events import (
    Activated,
    Crashed,
    Desired,
    Event,
    Failure,
    Fetched,
    Healthy,
    Idle,
    Inconclusive,
    NotActivated,
    NotShadowed,
    OfAttempt,
    Rebooted,
    RollBack,
    Shadowed,
    Stopping,
    Unfetchable,
    Unfit,
    Unhealthy,
    Verified,
)
from device_agent.core.standing import Role, Update, answering, goal, in_flight, named
from edge_sdk.errors import EdgeError, UpdateError
from edge_sdk.spec.deployment import ArtifactRef
from edge_sdk.spec.deployment import State as S

MAX_BOOTS = 3
"""Restarts of the agent within one risky step before the candidate is held to be the cause: a model
can take the whole machine down, and then there is nobody left to count its crashes.

A restart that somebody asked for does not count: an agent that hears SIGTERM (``systemctl
restart``, a shutdown) says ``Stopping`` before it ends. A machine that lost its power counts, for
it looks like one that a candidate has taken down; and to blame a candidate wrongly costs an
attempt, to excuse it wrongly a device that never comes up again."""


class IllegalEvent(EdgeError):
    """The event has no meaning in this state; nothing changed. A bug of the shell's."""


# ------------------------------------------------------------------------- changes of an update

Change = Callable[[Update, Event], Update]


def _keep(update: Update, _: Event) -> Update:
    return update


def _commit(update: Update, _: Event) -> Update:
    """What was given up by going back is nothing to go back to."""
    went_back = update.target == update.previous
    previous = None if went_back else update.serving
    return replace(update, serving=update.target, previous=previous, target=None, reason="")


def _wait(update: Update, event: Event) -> Update:
    """It ran for a whole probation, so no restart from now on is held against it for what it did
    before: a device without a camera may be restarted every night."""
    return replace(update, reason=_why(event), boots=0)


def _settle(update: Update, _: Event) -> Update:
    return replace(update, shadow=update.target or update.shadow, target=None)


def _why(event: Event) -> str:
    return event.reason if isinstance(event, Failure | Crashed | RollBack) else ""


def _let_go(update: Update, event: Event) -> Update:
    candidate = update.target or update.shadow
    name = f"{candidate.name} {candidate.version}: " if candidate else ""
    return replace(update, target=None, shadow=None, reason=name + _why(event))


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
    candidate = update.target if update.state is S.SHADOWING else None
    return Run(answering(update), candidate or update.shadow, update.attempt)


def _cancel(_: Update) -> Effect:
    return Cancel()


def _collect(_: Update) -> Effect:
    return Collect()


def _proceed(_: Update) -> Effect:
    return Proceed()


# ------------------------------------------------------------------------------------- the table


@dataclass(frozen=True, slots=True)
class Row:
    """What an event does: the next state, the change, and the effects, in order."""

    state: S
    change: Change = _keep
    effects: tuple[Make, ...] = ()


_ENDED = (_cancel, _run, _collect)
_BACK = Row(S.ROLLED_BACK, _refuse, _ENDED)
"""Back to what is committed; a first deployment has nothing to go back to and has FAILED."""

TABLE: dict[tuple[Role, S], dict[type[Event], Row]] = {
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
        Inconclusive: Row(S.PROBATION, _wait, (_watch,)),
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

BLAMED: dict[S, type[Failure]] = {
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
    row = TABLE.get((update.role, update.state), {}).get(type(event))
    if row is None:
        raise IllegalEvent(
            f"{type(event).__name__} has no meaning in {update.state.value} ({update.role.value})."
        )
    if isinstance(event, Rebooted):
        unasked = not update.stopping
        update = replace(update, stopping=False)
        if unasked and _on_trial(update):
            if update.boots >= MAX_BOOTS:
                state = update.state.value
                reason = f"the agent was restarted {update.boots + 1} times unasked while {state}"
                return step(update, BLAMED[update.state](update.attempt, reason))
            update = replace(update, boots=update.boots + 1)
    return _take(row, update, event)


def _on_trial(update: Update) -> bool:
    """Whether the end of the agent could be the candidate's doing."""
    return in_flight(update) and update.state in BLAMED


def _take(row: Row, update: Update, event: Event) -> tuple[Update, tuple[Effect, ...]]:
    state = row.state
    if state is S.ROLLED_BACK and update.serving is None:
        state = S.FAILED
    if state is not update.state:
        update = replace(update, boots=0)
    update = replace(row.change(update, event), state=state)
    return update, tuple(make(update) for make in row.effects)


# ----------------------------------------------------------------- what may happen in every state

Answer = tuple[Update, tuple[Effect, ...]]


def _desired(update: Update, event: Event) -> Answer:
    """A newer goal pre-empts; one heard before changes nothing."""
    if not isinstance(event, Desired) or event.counter <= update.counter:
        return update, ()
    still = named(event.assignment)
    update = replace(
        update,
        counter=event.counter,
        wanted=event.assignment,
        refused=tuple(digest for digest in update.refused if digest in still),
    )
    if in_flight(update) and goal(update) == (update.role, update.target):
        return update, ()
    return _pursue(update)


def _idle(update: Update, _: Event) -> Answer:
    if in_flight(update) or goal(update) is None:
        return update, ()
    return _pursue(update)


def _stopping(update: Update, _: Event) -> Answer:
    return (replace(update, stopping=True) if _on_trial(update) else update), ()


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
    keeps = (
        update.shadow is not None
        and wanted.shadow is not None
        and wanted.shadow.digest == update.shadow.digest
    )
    rested = replace(rested, shadow=update.shadow if keeps else None)
    if any(digest in update.refused for digest in named(wanted)):
        if not in_flight(update) and update.state in (S.FAILED, S.ROLLED_BACK):
            return rested
        return replace(rested, state=S.FAILED, reason="this device gave up on it before")
    return replace(rested, state=S.SHADOWING if keeps else S.COMMITTED, reason="")


def _roll_back(update: Update, event: Event) -> Answer:
    """At the device's own wish: give up the attempt, or else what serves."""
    if in_flight(update):
        tried = update.state in (S.ACTIVATING, S.PROBATION)
        return _take(Row(S.ROLLED_BACK if tried else S.FAILED, _refuse, _ENDED), update, event)
    if update.wanted.serve is None:
        raise UpdateError(
            "The fleet has stopped this application: nothing is to serve here.",
            "edge fleet rollout start NAME@VERSION --to DEVICE   # on the fleet's machine",
        )
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
        reason=_why(event),
        refused=(*kept, *given_up),
    )
    return back, (_run(back), Collect())


ANYWHERE: dict[type[Event], Callable[[Update, Event], Answer]] = {
    Desired: _desired,
    Idle: _idle,
    RollBack: _roll_back,
    Stopping: _stopping,
}

"""What can happen to an application's update. ``update`` says what each means in each state."""

from __future__ import annotations

from dataclasses import dataclass

from edge_sdk.spec.deployment import Assignment


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
class Stopping(Event):
    """The agent was asked to end, by a person or the machine: the restart is nobody's fault."""


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
    """It cannot be had here, for now: no room, no engine for it, an agent too old."""

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


class Inconclusive(Failure):
    """Probation is over and nothing is known: what it was to be tried on did not come."""

    __slots__ = ()


class Shadowed(OfAttempt):
    """It runs beside what serves."""

    __slots__ = ()


class NotShadowed(Failure):
    """It cannot run beside what serves, or no longer."""

    __slots__ = ()

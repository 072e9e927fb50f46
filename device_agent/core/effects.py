"""What an update asks of the shell. Doing any of it twice does no harm: after a crash it is."""

from __future__ import annotations

from dataclasses import dataclass

from edge_sdk.spec.deployment import ArtifactRef


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

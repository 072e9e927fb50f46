"""Deployments: what a device should run, what it does run, and the states in between.

``Desired`` is the fleet's word, signed, with a counter per device that only grows: a device obeys
the highest it has seen and no other, so that neither a forged nor a replayed one moves it. It
names the whole goal, not a change, so that whatever was lost in between does not matter.
``Reported`` is the device's word.
"""

from __future__ import annotations

from enum import Enum

from msgspec import field

from edge_sdk.spec.manifest import Name, SemVer, Sha256
from edge_sdk.spec.word import Word


class State(str, Enum):
    """Where a device's attempt at a deployment stands."""

    DOWNLOADING = "downloading"
    VERIFYING = "verifying"
    SHADOWING = "shadowing"
    ACTIVATING = "activating"
    PROBATION = "probation"
    COMMITTED = "committed"
    ROLLED_BACK = "rolled_back"
    FAILED = "failed"


TERMINAL = frozenset({State.COMMITTED, State.ROLLED_BACK, State.FAILED})


class ArtifactRef(Word, frozen=True, kw_only=True):
    """An artifact by its digest, with its name for people."""

    digest: Sha256
    name: Name
    version: SemVer


class Assignment(Word, frozen=True, kw_only=True):
    """What one application on one device should run.

    Attributes:
        serve: the artifact that answers; None stops the application.
        shadow: a candidate that runs beside it on the same inputs and answers nobody.
        rollout: which rollout wants it so, for reports; empty outside rollouts.
    """

    serve: ArtifactRef | None = None
    shadow: ArtifactRef | None = None
    rollout: str = ""


class Desired(Word, frozen=True, kw_only=True):
    """The whole goal of one device.

    Attributes:
        device: whom it is for; anybody else refuses it.
        counter: grows by at least one with every change, for ever.
        issued_ms: wall clock of the fleet.
        apps: by application name; an application not named is left alone.
    """

    device: str
    counter: int
    issued_ms: int
    apps: dict[str, Assignment] = field(default_factory=dict)


class Signed(Word, frozen=True, kw_only=True):
    """Bytes and an Ed25519 signature over them, by the key of that id.

    Attributes:
        payload: what was signed, kept as it is: re-encoding could lose what a newer fleet added.
        key: hex SHA-256 of the public key's 32 bytes.
        signature: 64 bytes, over ``CONTEXT`` followed by the payload.
    """

    payload: bytes
    key: Sha256
    signature: bytes


DESIRED_CONTEXT = b"edgeloop desired v1\0"
"""Prefixed before signing, so that a signature made for another purpose never fits."""


class AppState(Word, frozen=True, kw_only=True):
    """One application on one device.

    Attributes:
        serving: what answers now; None if nothing does.
        previous: what a rollback would go back to.
        shadow: what runs in shadow.
        target: what is being brought in; None if nothing is.
        state: where that stands, or how the last attempt ended.
        attempt: counts attempts on this device, for ever.
        reason: why it failed or was rolled back, or what probation waits for.
        refused: digests that this device gave up on, and will not try again by itself.
        problems: what is in the way just now, each with the time since when: bytes that do not
            come, no input, answers that cannot be recorded. None of it is the artifact's fault.
        limits: how inputs are guarded, where the device's operator has it otherwise than artifacts
            declare: switched off, or limits of the device's own; empty where theirs are kept.
    """

    serving: ArtifactRef | None = None
    previous: ArtifactRef | None = None
    shadow: ArtifactRef | None = None
    target: ArtifactRef | None = None
    state: State = State.COMMITTED
    attempt: int = 0
    reason: str = ""
    refused: tuple[Sha256, ...] = ()
    problems: tuple[str, ...] = ()
    limits: str = ""


class Reported(Word, frozen=True, kw_only=True):
    """What a device says of itself.

    Attributes:
        counter: of the newest Desired it holds, 0 if none.
        apps: by application name.
    """

    counter: int = 0
    apps: dict[str, AppState] = field(default_factory=dict)

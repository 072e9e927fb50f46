"""What is said to the API and what it says: the same words for server, commands and OpenAPI."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import field

from edge_sdk.spec.bench import BenchReport
from edge_sdk.spec.deployment import ArtifactRef
from edge_sdk.spec.drift import DriftVerdict
from edge_sdk.spec.enrolment import DeviceId
from edge_sdk.spec.manifest import Name
from edge_sdk.spec.profile import DeviceProfile
from edge_sdk.spec.word import Word
from edge_sdk.text import printable
from fleet.core.gate import Limits, Line
from fleet.core.rollout import Pace, Rollout

MOST_REASONS = 8


class EnrollRequest(Word, frozen=True, kw_only=True):
    """Let a device in."""

    device: DeviceId
    labels: dict[str, str] = field(default_factory=dict)


class RemovalReport(Word, frozen=True, kw_only=True):
    """A device that was let go, and what that meant.

    Attributes:
        serves: what it served last, by application, as ``NAME@VERSION``: it goes on with that.
        left: rollouts that go on without it.
        broker: where its credentials were.
        ended: whether they have ended there; False where the broker's list of users is yours.
    """

    device: str
    serves: dict[str, str]
    left: tuple[str, ...]
    broker: str
    ended: bool


class RolloutRequest(Word, frozen=True, kw_only=True):
    """Bring a version to devices.

    Attributes:
        artifact: ``NAME@VERSION``, or a digest.
        app: the application that is to run it.
        to: ``all``, device ids, or a label.
    """

    artifact: str
    app: Name
    to: str = "all"
    limits: Limits = Limits()
    pace: Pace = Pace()


class FleetReport(Word, frozen=True, kw_only=True):
    """The fleet itself.

    Attributes:
        broker_connected: whether the fleet hears its devices now.
        broker_problem: why not.
        doubled: devices as which two agents speak.
        messages: what came in since the start, by what became of it.
        troubled: devices online that say that something is in the way; ``devices`` says what.
    """

    name: str
    version: str
    broker: str
    broker_connected: bool
    broker_problem: str
    devices: int
    online: int
    messages: dict[str, int]
    doubled: tuple[str, ...] = ()
    troubled: int = 0


class AppReport(Word, frozen=True, kw_only=True):
    """One application on one device, by names.

    Attributes:
        wanted: what the fleet told it to serve.
        serving, shadow, target: as in ``AppState``, as ``NAME@VERSION``; empty for none.
        problems: what is in the way there just now, as it said last.
        limits: how inputs are guarded there, where that is not as its artifacts declare.
    """

    state: str
    wanted: str = ""
    serving: str = ""
    shadow: str = ""
    target: str = ""
    attempt: int = 0
    reason: str = ""
    problems: tuple[str, ...] = ()
    limits: str = ""


class DeviceReport(Word, frozen=True, kw_only=True):
    """One device.

    Attributes:
        online: something came from it lately.
        seen_ms: when, by the fleet's clock; None if never.
        told, heard: counters of what it was told last, and of what it has heard.
        windows, inferences: in the telemetry that is kept of it.
        doubled: two agents speak as it.
        hint: what to do about that.
        refused: inputs there that the artifacts' limits did not let through; ``models`` says why.
        unrecorded: answers there that should have left a record for audit, and could not.
    """

    device: str
    online: bool
    enrolled_ms: int
    seen_ms: int | None
    told: int
    heard: int
    windows: int
    inferences: int
    labels: Mapping[str, str] = field(default_factory=dict)
    profile: DeviceProfile | None = None
    apps: dict[str, AppReport] = field(default_factory=dict)
    doubled: bool = False
    hint: str = ""
    refused: int = 0
    unrecorded: int = 0


class ModelReport(Word, frozen=True, kw_only=True):
    """One artifact in one role in one application, over the devices that run it lately.

    Attributes:
        p50_us, p99_us: latency in microseconds, merged; None where there is none.
        refused: inputs that its limits did not let through, by reason.
        unrecorded: answers that should have left a record for audit, and could not.
    """

    app: str
    artifact: str
    digest: str
    role: str
    devices: tuple[str, ...]
    inferences: int
    errors: int
    crashes: int
    p50_us: float | None
    p99_us: float | None
    refused: dict[str, int] = field(default_factory=dict)
    unrecorded: int = 0


class WaveReport(Word, frozen=True, kw_only=True):
    """Some of the devices that follow the canaries.

    Attributes:
        wave: its number, from 1.
        share: of all devices, with everybody before it.
        state: ``waits``, ``goes`` or ``passed``.
        devices: who is in it.
        places: how many of them ``arrived``, ``failed`` or are ``open``, once it goes.
    """

    wave: int
    share: float
    state: str
    devices: tuple[str, ...]
    places: dict[str, int]


class RolloutReport(Word, frozen=True, kw_only=True):
    """A rollout and its evidence so far.

    Attributes:
        evidence: the newest judgement's lines.
        outcome: what they come to.
        places: by device of the current stage: ``arrived``, ``failed`` or ``open``.
        waves: how the others follow; a single one if at once.
        problems: by device of that stage, what is in the way there just now.
    """

    rollout: Rollout
    outcome: str
    evidence: tuple[Line, ...]
    canaries: tuple[str, ...]
    devices: tuple[str, ...]
    places: dict[str, str]
    waves: tuple[WaveReport, ...] = ()
    problems: dict[str, tuple[str, ...]] = field(default_factory=dict)


class ArtifactReport(Word, frozen=True, kw_only=True):
    """One published artifact."""

    artifact: str
    digest: str
    published_ms: int
    running_on: tuple[str, ...] = ()


class DriftReport(Word, frozen=True, kw_only=True):
    """One model on one device.

    Attributes:
        trend: of the last windows, the distance from the baseline of the feature farthest off.
    """

    app: str
    artifact: str
    device: str
    verdict: DriftVerdict
    trend: tuple[float, ...] = ()


class BenchEntry(Word, frozen=True, kw_only=True):
    """What one model costs on one device, as that device measured it last.

    Attributes:
        model: ``NAME@VERSION``, or the name of a bare model's file.
        received_ms: when it came, by the fleet's clock.
        report: all of it, as ``edge bench --json`` writes it.
    """

    device: str
    model: str
    received_ms: int
    report: BenchReport


class Entry(Word, frozen=True, kw_only=True):
    """One line of the trail.

    Attributes:
        id: grows from entry to entry.
        at_ms: wall clock of the fleet.
        who: ``operator``, ``fleet`` or a device's id.
        what: ``enrolled``, ``published``, ``rollout canary``, …
        subject: the device, artifact or rollout it happened to.
        detail: for people.
    """

    id: int
    at_ms: int
    who: str
    what: str
    subject: str
    detail: str = ""


def name_of(ref: ArtifactRef | None) -> str:
    """``NAME@VERSION``; empty for none."""
    return f"{ref.name}@{ref.version}" if ref else ""


def twins_hint(device: str) -> str:
    """What to do about two agents that speak as one device."""
    return (
        "A copied card or enrolment? Enrol the second under a name of its own: "
        f"edge fleet enroll NAME   # or end both: edge fleet enroll {device}"
    )


def reasons(refused: Mapping[str, int]) -> str:
    """``412 dark, 3 blurred``: the most frequent."""
    most = sorted(refused.items(), key=lambda each: (-each[1], each[0]))[:MOST_REASONS]
    return ", ".join(f"{count:,} {printable(reason)}" for reason, count in most)

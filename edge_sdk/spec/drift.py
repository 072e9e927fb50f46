"""Drift verdicts: whether what a model sees or says on a device has changed, with the evidence."""

from __future__ import annotations

from enum import Enum

from edge_sdk.spec.word import Word


class Drift(str, Enum):
    """What can be said of one model on one device."""

    LEARNING = "learning"
    STEADY = "steady"
    DRIFTING = "drifting"


class Evidence(Word, frozen=True, kw_only=True):
    """One feature of the newest windows.

    Attributes:
        feature: its name; ``classes`` for what was answered.
        distance: from the artifact's baseline, 0..1.
        usual: the median of that distance on this device before.
        effect: population stability index against this device's own past, without its bias; about
            0, or below, where nothing changed.
    """

    feature: str
    distance: float
    usual: float
    effect: float


class DriftVerdict(Word, frozen=True, kw_only=True):
    """What one device's windows of one artifact say.

    Attributes:
        verdict: ``learning`` while there is too little past to compare with.
        windows: of the past that the newest was compared with.
        needed: how many there must be before anything is said.
        p: how often chance alone puts the newest window as far out as it is; None while learning.
        since_ms: when the drift began, Unix milliseconds; 0 if there is none.
        evidence: by feature, the one that changed most first; empty while learning.
    """

    verdict: Drift
    windows: int
    needed: int
    p: float | None = None
    since_ms: int = 0
    evidence: tuple[Evidence, ...] = ()

    def __str__(self) -> str:
        if self.verdict is Drift.LEARNING:
            return f"learning ({self.windows} of {self.needed} windows)"
        if self.verdict is Drift.STEADY or not self.evidence:
            return f"{self.verdict.value} (p = {self.p or 0:.2f})"
        first = self.evidence[0]
        return (
            f"drifting: {first.feature} is {first.distance:.2f} from the baseline, "
            f"usually {first.usual:.2f} (p = {self.p or 0:.2f})"
        )

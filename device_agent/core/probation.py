"""Probation: whether an artifact that has just gone into service may stay. Pure.

Golden vectors have shown that it answers rightly; probation shows that it does so here, on live
inputs, without failing or falling silent. It is judged on two counts together, time and inferences:
a camera that sees nothing for five seconds has proven nothing.

Where inputs were missing, too few answers are nobody's proof of anything: the verdict is
inconclusive, and probation goes on. Going back would help nobody, and would be held against an
artifact that was never asked.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


@dataclass(frozen=True, slots=True)
class Terms:
    """What is asked for.

    Attributes:
        duration_ms: how long it lasts at least.
        inferences: how many must have been answered by then.
        max_errors: how many may have failed.
        deadline_ms: after this long without enough inferences there is a verdict all the same.
    """

    duration_ms: int
    inferences: int
    max_errors: int
    deadline_ms: int


class Outcome(Enum):
    """What probation comes to."""

    HEALTHY = "healthy"
    UNHEALTHY = "unhealthy"
    INCONCLUSIVE = "inconclusive"


@dataclass(frozen=True, slots=True)
class Verdict:
    """The outcome. ``reason`` is empty if it is healthy."""

    outcome: Outcome
    reason: str = ""


def judge(
    terms: Terms, elapsed_ms: int, inferences: int, errors: int, *, starved: bool
) -> Verdict | None:
    """The verdict, or None while there is none yet.

    Args:
        terms: what is asked for.
        elapsed_ms: since the artifact began to answer, or since the verdict before.
        inferences, errors: answered and failed since it began to answer.
        starved: whether inputs were missing in ``elapsed_ms``: some that the source could not give
            or the artifact's limits refused, or there were none at all.
    """
    if errors > terms.max_errors:
        return Verdict(
            Outcome.UNHEALTHY, f"{errors} of its first {inferences + errors} inferences failed"
        )
    if elapsed_ms >= terms.duration_ms and inferences >= terms.inferences:
        return Verdict(Outcome.HEALTHY)
    if elapsed_ms >= terms.deadline_ms:
        answered = (
            f"it answered {inferences} times in {elapsed_ms / 1000:.0f} s; "
            f"{terms.inferences} were needed"
        )
        if starved:
            return Verdict(
                Outcome.INCONCLUSIVE,
                f"inconclusive: {answered}, and inputs were missing or refused",
            )
        return Verdict(Outcome.UNHEALTHY, answered)
    return None

"""Probation: whether an artifact that has just gone into service may stay. Pure.

Golden vectors have shown that it answers rightly; probation shows that it does so here, on live
inputs, without failing or falling silent. It is judged on two counts together, time and inferences:
a camera that sees nothing for five seconds has proven nothing.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Terms:
    """What is asked for.

    Attributes:
        duration_ms: how long it lasts at least.
        inferences: how many must have been answered by then.
        max_errors: how many may have failed.
        deadline_ms: after this long without enough inferences it has failed.
    """

    duration_ms: int
    inferences: int
    max_errors: int
    deadline_ms: int


@dataclass(frozen=True, slots=True)
class Verdict:
    """The outcome. ``reason`` is empty if it is healthy."""

    healthy: bool
    reason: str = ""


def judge(terms: Terms, elapsed_ms: int, inferences: int, errors: int) -> Verdict | None:
    """The verdict, or None while there is none yet.

    Args:
        terms: what is asked for.
        elapsed_ms: since the artifact began to answer.
        inferences, errors: answered and failed since then.
    """
    if errors > terms.max_errors:
        return Verdict(False, f"{errors} of its first {inferences + errors} inferences failed")
    if elapsed_ms >= terms.duration_ms and inferences >= terms.inferences:
        return Verdict(True)
    if elapsed_ms >= terms.deadline_ms:
        return Verdict(
            False,
            f"it answered {inferences} times in {elapsed_ms / 1000:.0f} s; "
            f"{terms.inferences} were needed",
        )
    return None

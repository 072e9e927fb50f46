"""The gate: whether a candidate may go on, from what it did beside or instead of the incumbent.

Each device is its own control: the candidate's numbers are set against those that the incumbent
had *on the same device*, so that a slow board or a hard scene is nobody's fault. Every question is
one ``Line`` with its number, its limit and how many observations stand behind it; the verdict is
the worst of them. Three outcomes, as Argo Rollouts' analysis has them: what is not known is not
good.

A share (of errors, of disagreements) is judged by its Wilson score interval (Wilson, JASA 1927),
one-sided 95 %: it has failed when even the interval's lower end is over the limit, and passed when
the upper end is below it; in between more evidence is wanted. Latency likewise, by order
statistics. A gate that looks every second at a bare number would condemn a good candidate sooner
or later.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated

from msgspec import Meta

from edge_sdk.spec.word import Word
from fleet.core.tally import Tally, counts

Z = 1.6448536269514722
"""The standard normal's 95 % quantile."""


class Limits(Word, frozen=True, kw_only=True):
    """How bad a candidate may be, and how much must have been seen of it.

    Attributes:
        max_disagreement: share of inputs answered otherwise than the incumbent does.
        min_compared: inputs that both must have answered.
        max_error_rate: failed share of inferences.
        min_inferences: of the candidate, before errors and latency are judged.
        max_p99_ratio: 99th percentile of latency, candidate to incumbent, on one device.
        fast_ms: a candidate whose p99 is below is fast enough, whatever it is compared with: a few
            milliseconds are what the scheduler of a busy machine takes, whoever runs.
        max_p99_ms: the candidate's own p99, on each device; 0 for no such limit.
        max_crashes: of the worker, under the candidate, over all devices.
        max_failed_share: of devices that gave up on the candidate.
    """

    max_disagreement: Annotated[float, Meta(ge=0, le=1)] = 0.15
    min_compared: Annotated[int, Meta(ge=1)] = 100
    max_error_rate: Annotated[float, Meta(ge=0, le=1)] = 0.01
    min_inferences: Annotated[int, Meta(ge=1)] = 100
    max_p99_ratio: Annotated[float, Meta(gt=0)] = 3.0
    fast_ms: Annotated[float, Meta(ge=0)] = 5.0
    max_p99_ms: Annotated[float, Meta(ge=0)] = 0.0
    max_crashes: Annotated[int, Meta(ge=0)] = 0
    max_failed_share: Annotated[float, Meta(ge=0, le=1)] = 0.05


class Outcome(StrEnum):
    """What a question, or all of them, came to."""

    SUCCESSFUL = "successful"
    FAILED = "failed"
    INCONCLUSIVE = "inconclusive"


SHARES = frozenset({"failed devices", "errors", "disagreement"})
"""Measures between 0 and 1."""


class Line(Word, frozen=True, kw_only=True):
    """One question and its answer.

    Attributes:
        measure: ``failed devices``, ``crashes``, ``errors``, ``disagreement``, ``p99 ratio`` or
            ``p99 ms``.
        value: measured; None where nothing could be.
        limit: the most it may be.
        samples: observations behind it.
        wanted: observations that there should be at least.
        device: the one it is about; empty if about all.
    """

    measure: str
    outcome: Outcome
    value: float | None
    limit: float
    samples: int
    wanted: int = 0
    device: str = ""

    def text(self) -> str:
        """``disagreement 43 % > 15 % (n=120)``."""
        where = f" on {self.device}" if self.device else ""
        if self.value is None or self.samples < self.wanted:
            return f"{self.measure}{where}: {self.samples} of {self.wanted} seen"
        sign = ">" if self.value > self.limit else "≤"
        amounts = f"{self.amount(self.value)} {sign} {self.amount(self.limit)}"
        return f"{self.measure}{where} {amounts} (n={self.samples})"

    def amount(self, number: float) -> str:
        """A value or limit for people: shares in percent."""
        return f"{100 * number:.3g} %" if self.measure in SHARES else f"{number:.3g}"


class Verdict(Word, frozen=True, kw_only=True):
    """All questions and what they come to."""

    outcome: Outcome
    lines: tuple[Line, ...] = ()

    @property
    def summary(self) -> str:
        """The lines that decided, for people."""
        decisive = [line.text() for line in self.lines if line.outcome is self.outcome]
        return "; ".join(decisive)

    def after(self, earlier: Verdict | None) -> Verdict:
        """The same outcome, with what earlier stages showed that this one did not ask."""
        asked = {line.measure for line in self.lines}
        before = earlier.lines if earlier else ()
        kept = tuple(line for line in before if line.measure not in asked)
        return Verdict(outcome=self.outcome, lines=(*self.lines, *kept))


@dataclass(frozen=True, slots=True)
class Trial:
    """One device's evidence: the candidate and, on the same device, the incumbent."""

    device: str
    candidate: Tally
    incumbent: Tally


def judge(
    limits: Limits, trials: Sequence[Trial], *, devices: int, failed: int, beside: bool
) -> Verdict:
    """Judge a candidate.

    Args:
        limits: how bad it may be.
        trials: of the devices that have tried it.
        devices: how many are to try it.
        failed: how many of those gave up on it.
        beside: whether it ran in shadow, so that answers can be compared.
    """
    total = counts(trial.candidate for trial in trials)
    lines = [
        _count("failed devices", failed / max(devices, 1), limits.max_failed_share, devices),
        _count("crashes", total.crashes, limits.max_crashes, total.inferences),
        _share("errors", total.errors, total.tried, limits.max_error_rate, limits.min_inferences),
    ]
    if beside:
        lines.append(
            _share(
                "disagreement",
                total.disagreed,
                total.compared,
                limits.max_disagreement,
                limits.min_compared,
            )
        )
    for question in (_slowness, _p99):
        answers = [line for trial in trials if (line := question(trial, limits)) is not None]
        if answers:
            lines.append(max(answers, key=_badness))
    outcomes = {line.outcome for line in lines}
    for outcome in (Outcome.FAILED, Outcome.INCONCLUSIVE):
        if outcome in outcomes:
            return Verdict(outcome=outcome, lines=tuple(lines))
    return Verdict(outcome=Outcome.SUCCESSFUL, lines=tuple(lines))


def _badness(line: Line) -> tuple[bool, float]:
    return line.outcome is not Outcome.SUCCESSFUL, line.value or 0.0


def _count(measure: str, value: float, limit: float, samples: int) -> Line:
    outcome = Outcome.FAILED if value > limit else Outcome.SUCCESSFUL
    return Line(measure=measure, outcome=outcome, value=value, limit=limit, samples=samples)


def _share(measure: str, hits: int, samples: int, limit: float, wanted: int) -> Line:
    low, high = wilson(hits, samples)
    if samples < wanted:
        outcome = Outcome.INCONCLUSIVE
    elif low > limit:
        outcome = Outcome.FAILED
    elif high <= limit or hits == 0:
        outcome = Outcome.SUCCESSFUL
    else:
        outcome = Outcome.INCONCLUSIVE
    value = hits / samples if samples else None
    return Line(
        measure=measure, outcome=outcome, value=value, limit=limit, samples=samples, wanted=wanted
    )


def _slowness(trial: Trial, limits: Limits) -> Line | None:
    """None where the incumbent has not been measured well enough to compare with.

    A 99th percentile of some hundred latencies is little more than the worst of them, so a bare
    ratio would condemn by chance. It has failed only if even the candidate's lower bound is too
    many times the incumbent's upper one.
    """
    samples = min(trial.candidate.latency_count, trial.incumbent.latency_count)
    if samples < limits.min_inferences:  # first: of most of very many devices nothing is known
        return None
    before = trial.incumbent.percentile(0.99)
    now = trial.candidate.percentile(0.99)
    if not before or now is None:
        return None
    ratio = now / before
    low, _ = trial.candidate.percentile_bounds(0.99, Z)
    _, high = trial.incumbent.percentile_bounds(0.99, Z)
    fast_us = limits.fast_ms * 1000
    outcome = Outcome.INCONCLUSIVE
    if ratio <= limits.max_p99_ratio or now <= fast_us:
        outcome = Outcome.SUCCESSFUL
    elif low and high and low / high > limits.max_p99_ratio and low > fast_us:
        outcome = Outcome.FAILED
    return Line(
        measure="p99 ratio",
        outcome=outcome,
        value=ratio,
        limit=limits.max_p99_ratio,
        samples=samples,
        wanted=limits.min_inferences,
        device=trial.device,
    )


def _p99(trial: Trial, limits: Limits) -> Line | None:
    """The candidate's own p99 against its hard limit; None where there is no such limit."""
    if not limits.max_p99_ms:
        return None
    samples = trial.candidate.latency_count
    low, high = trial.candidate.percentile_bounds(0.99, Z)
    limit_us = limits.max_p99_ms * 1000
    outcome = Outcome.INCONCLUSIVE
    if samples >= limits.min_inferences and low and low > limit_us:
        outcome = Outcome.FAILED
    elif samples >= limits.min_inferences and high and high <= limit_us:
        outcome = Outcome.SUCCESSFUL
    p99_us = trial.candidate.percentile(0.99)
    return Line(
        measure="p99 ms",
        outcome=outcome,
        value=None if p99_us is None else p99_us / 1000,
        limit=limits.max_p99_ms,
        samples=samples,
        wanted=limits.min_inferences,
        device=trial.device,
    )


def wilson(hits: int, samples: int) -> tuple[float, float]:
    """The one-sided 95 % bounds of a share: (lower, upper). With no samples, (0, 1)."""
    if samples == 0:
        return 0.0, 1.0
    share = hits / samples
    shrink = 1 + Z * Z / samples
    centre = (share + Z * Z / (2 * samples)) / shrink
    half = Z / shrink * math.sqrt(share * (1 - share) / samples + Z * Z / (4 * samples * samples))
    return max(0.0, centre - half), min(1.0, centre + half)

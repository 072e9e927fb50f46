"""Rules by which a network's answers could be taken for the wake word."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

import numpy as np
from numpy.typing import NDArray

Answers = NDArray[np.float32]
Hits = NDArray[np.bool_]
Rule = Callable[[Answers], Hits]
"""Of all answers to a sound: at which of them the rule says that it was the word."""
LEVELS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.95, 0.97)


def over_mean(answers: Answers, of: int, level: float) -> Hits:
    """The mean of the last answers is over a level: what ``WakeWord`` does."""
    sums = np.concatenate([[0.0], np.cumsum(answers, dtype=np.float64)])
    found = np.zeros(len(answers), bool)
    found[of - 1 :] = (sums[of:] - sums[:-of]) / of > level
    return found


def votes(answers: Answers, of: int, most: int, level: float) -> Hits:
    """So many of the last answers are over a level."""
    return over_mean((answers > level).astype(np.float32), of, (most - 0.5) / of)


def two_levels(answers: Answers, high: float, of: int, low: float) -> Hits:
    """A high level for five answers, or a lower one for longer."""
    return over_mean(answers, 5, high) | over_mean(answers, of, low)


def leaky(answers: Answers, keep: float, level: float) -> Hits:
    """The exponential mean is over a level."""
    now, found = 0.0, np.zeros(len(answers), bool)
    for at, answer in enumerate(answers):
        now = keep * now + (1 - keep) * float(answer)
        found[at] = now > level
    return found


def evidence(answers: Answers, doubt: float, enough: float) -> Hits:
    """Log odds less a doubt, summed up and never below 0, are enough (Page's test)."""
    odds, total = np.log((answers + 1e-3) / (1 - answers + 1e-3)), 0.0
    found = np.zeros(len(answers), bool)
    for at, each in enumerate(odds):
        total = max(0.0, total + float(each) - doubt)
        found[at] = total > enough
    return found


def rules() -> Iterator[tuple[str, str, Rule, int]]:
    """Family, setting, rule, and how many networks listen, a frame apart."""
    for level in LEVELS:
        for of in (1, 3, 5, 8, 10, 15, 20):
            yield "mean", f"of {of} > {level}", partial(over_mean, of=of, level=level), 1
        for of in (3, 9, 15, 24, 30):
            rule = partial(over_mean, of=of, level=level)
            yield "three networks", f"mean of {of} > {level}", rule, 3
        for keep in (0.6, 0.7, 0.8, 0.9):
            yield "leaky", f"{keep} > {level}", partial(leaky, keep=keep, level=level), 1
        for of, most in ((5, 3), (5, 4), (8, 5), (8, 7), (10, 6), (10, 8), (15, 10)):
            voted = partial(votes, of=of, most=most, level=level)
            yield "votes", f"{most} of {of} > {level}", voted, 1
    for high in (0.9, 0.95, 0.97):
        for of in (8, 10, 15, 20):
            for low in (0.5, 0.6, 0.7, 0.8, 0.85):
                two = partial(two_levels, high=high, of=of, low=low)
                yield "two levels", f"mean of 5 > {high} or of {of} > {low}", two, 1
    for doubt in (-1.0, 0.0, 0.5, 1.0, 1.5, 2.0):
        for enough in (2, 4, 6, 8, 10, 12, 16, 20):
            summed = partial(evidence, doubt=doubt, enough=enough)
            yield "evidence", f"less {doubt} > {enough}", summed, 1

"""The limits a variant was held to, each with what was measured and how it ended.

The page does not judge again: what the conversion called a shortfall is missed, a limit without one
is met, and a limit for which there is no number was never put to the test.
"""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass
from enum import Enum

from converters.report import figures
from converters.report.accuracy import change_of
from edge_sdk.spec import Limits, Shortfall, VariantReport

LONGEST_BRIEF = 160
"""Characters of a reason that the verdict has room for."""


class Outcome(Enum):
    """How a check ended: (symbol, word)."""

    MET = ("✓", "met")
    MISSED = ("✗", "missed")
    OPEN = ("\N{EN DASH}", "not tested")


@dataclass(frozen=True)
class Check:
    """One limit, and what came of it.

    Attributes:
        name: what is limited.
        required: the limit with its sign, ``≥ 99.9%``.
    """

    name: str
    required: str
    outcome: Outcome


@dataclass(frozen=True)
class _Kind:
    """A limit the conversion knows.

    Attributes:
        name: the page's word for it.
        shortfall: the conversion's name for missing it.
        most: whether it is an upper limit.
        scale: the limit's figure is this many times its value,
        unit: followed by this.
    """

    name: str
    shortfall: str
    most: bool
    scale: float = 1.0
    unit: str = ""

    def required(self, limit: float) -> str:
        return f"{figures.required(self.scale * limit)}{self.unit}"

    def measured(self, value: float | None, limit: float) -> str:
        """Rounded, but never onto the limit it misses."""
        if value is None:
            return "not finite"
        shown = value
        for digits in range(4, 16):
            shown = float(f"{self.scale * value:.{digits}g}")
            if f"{shown:.15g}" != f"{self.scale * limit:.15g}":
                break
        return f"{shown:.15g}{self.unit}".replace("-", figures.MINUS)


_ACCURACY_DROP = _Kind("accuracy drop", "accuracy drop", most=True, scale=100, unit=" points")
_ARGMAX = _Kind("same argmax", "argmax agreement", most=False, scale=100, unit="%")
_COSINE = _Kind("cosine", "cosine similarity", most=False)
_ERROR = _Kind("relative error", "relative error", most=True, scale=100, unit="%")
_DIFFERENCE = _Kind("difference", "greatest difference", most=True)
_KINDS = (_ACCURACY_DROP, _ARGMAX, _COSINE, _ERROR, _DIFFERENCE)


def checks(variant: VariantReport) -> tuple[Check, ...]:
    """The limits of the variant, in a fixed order; none if it was held to none."""
    limits, found = variant.limits or Limits(), variant.agreement
    change = change_of(found)
    asked = {
        _ACCURACY_DROP: (limits.accuracy_drop, None if change is None else -change),
        _ARGMAX: (limits.argmax, found.argmax if found and found.on != "random" else None),
        _COSINE: (limits.cosine, found.cosine if found else None),
        _DIFFERENCE: (limits.max_difference, found.max_difference if found else None),
    }
    missed = {shortfall.limit: shortfall.required for shortfall in variant.shortfalls}
    made = []
    for kind in _KINDS:
        limit, value = asked.get(kind, (None, None))
        limit = missed.get(kind.shortfall, limit)
        if limit is not None:
            bound = f"{'≤' if kind.most else '≥'} {kind.required(limit)}"
            made.append(Check(kind.name, bound, _outcome(kind, value, missed)))
    return tuple(made)


def explain(shortfall: Shortfall) -> str:
    """One limit that was missed, as a sentence; a new kind in the conversion's own words."""
    for kind in _KINDS:
        if kind.shortfall == shortfall.limit:
            measured = kind.measured(shortfall.measured, shortfall.required)
            limit = kind.required(shortfall.required)
            bound = f"at most {limit} is allowed" if kind.most else f"at least {limit} is asked"
            return f"{kind.name} is {measured}; {bound}"
    return str(shortfall)


def reasons(variant: VariantReport) -> tuple[str, ...]:
    """Why it was refused: the limits it missed, else what its engine said."""
    if variant.shortfalls:
        return tuple(explain(shortfall) for shortfall in variant.shortfalls)
    return (variant.reason,) if variant.reason else ()


def in_brief(variant: VariantReport) -> str:
    """The reasons on one line, an engine's long story cut short."""
    said = "; ".join(reasons(variant)) or "no reason was given"
    line = said.splitlines()[0]
    return line if len(line) <= LONGEST_BRIEF else f"{line[:LONGEST_BRIEF]}…"


def _outcome(kind: _Kind, value: float | None, missed: Container[str]) -> Outcome:
    if kind.shortfall in missed:
        return Outcome.MISSED
    return Outcome.OPEN if value is None else Outcome.MET

"""Waves: in how many steps, after the canaries, all others follow.

Waves are said as shares of *all* devices of the rollout, each with everybody before it: after
``25%,100%`` a quarter serves the candidate, then everybody. Who is in which wave is drawn once,
when the rollout begins, and kept with its members: whoever is enrolled later changes nobody's
wave, and joins when it is done, as a latecomer. The draw is the canaries' own, so the same every
time it is asked; those that are away at the time are drawn behind all others, so that no early
wave waits for them.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from edge_sdk.errors import UsageError
from fleet.core.targeting import drawn

CANARY = 0
"""The number of the wave that goes first; those that follow are counted from 1."""
MOST = 100
_HINT = "For example --waves 25%,100%: a quarter of all devices, then all."


@dataclass(frozen=True, slots=True)
class Plan:
    """Who follows when.

    Attributes:
        shares: of the waves that there are, each with all before it; the last is 1.
        wave: of each device that is no canary, from 1.
    """

    shares: tuple[float, ...]
    wave: dict[str, int]


def share(text: str) -> float:
    """``5%`` or ``0.05``. Raises UsageError if it is none above 0 and up to 1."""
    try:
        number = float(text[:-1]) / 100 if text.endswith("%") else float(text)
    except ValueError:
        number = 0.0
    if not 0 < number <= 1:
        raise UsageError(f"{text[:80]!r} is no share; write 5%", "Above 0%, and at most 100%.")
    return number


def read(text: str) -> tuple[float, ...]:
    """``25%,100%`` as shares. Raises UsageError if it is no way to everybody."""
    shares = tuple(share(word.strip()) for word in text.split(","))
    check(shares)
    return shares


def check(shares: Sequence[float], canary_share: float = 0.0) -> None:
    """Make sure that waves grow, from above the canaries to everybody.

    Args:
        shares: of the waves; none is all others at once.
        canary_share: of those that go before; 0 if that is not known here.

    Raises:
        UsageError: they do not.
    """
    if not shares:
        return
    if len(shares) > MOST:
        raise UsageError(f"{len(shares)} waves are too many; {MOST} are the most.", _HINT)
    for before, after in pairwise(shares):
        if after <= before:
            raise UsageError(
                f"Waves grow, and {percent(after)} comes after {percent(before)}.", _HINT
            )
    if shares[-1] != 1:
        raise UsageError(
            f"The last wave is {percent(shares[-1])}: {percent(1 - shares[-1])} of the devices "
            "would never get it.",
            f"--waves {','.join(map(percent, shares))},100%",
        )
    if shares[0] <= canary_share:
        raise UsageError(
            f"The first wave, {percent(shares[0])}, has nobody beside the canaries, "
            f"{percent(canary_share)}.",
            "Each share counts all before it. Make it larger, or the canaries fewer: --canary 1%",
        )


def percent(number: float) -> str:
    """A share for people."""
    return f"{100 * number:.4g}%"


def plan(
    rollout: str,
    canaries: Iterable[str],
    devices: Iterable[str],
    shares: Sequence[float],
    awake: Iterable[str],
) -> Plan:
    """Deal the devices out.

    Of a few devices, a share can be no device more than the one before: such a wave is left out.

    Args:
        rollout: its id, which seeds the draw.
        canaries: who goes first.
        devices: all of the rollout, canaries among them.
        shares: as they passed ``check``.
        awake: those that were heard of lately.
    """
    first, here = set(canaries), set(awake)
    order = [device for device in drawn(rollout, devices) if device not in first]
    order.sort(key=lambda device: device not in here)  # stable: drawn as they were
    total, begun = len(first) + len(order), 0
    kept: list[float] = []
    wave: dict[str, int] = {}
    for each in shares or (1.0,):
        end = max(begun, math.floor(each * total + 1e-9) - len(first))
        if end > begun or each == 1:
            kept.append(each)
            wave.update(dict.fromkeys(order[begun:end], len(kept)))
            begun = end
    return Plan(tuple(kept), wave)

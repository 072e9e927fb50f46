"""What the fleet will believe of a window: shapes are checked by decoding, sense is checked here.

A device can be broken or taken over. What it sends ends up in sums and on pages, so a number that
cannot be one is refused before it is stored.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from edge_sdk.spec.manifest import NAME_PATTERN
from edge_sdk.spec.sketch import Window

ROLES = ("serve", "shadow")
MOST = 2**53
"""Larger counts and times than this cannot be; they would not fit a database's column either."""
FARTHEST = 10_000
"""The farthest latency bin that can be, in either direction."""
_APP = re.compile(NAME_PATTERN)
_DIGEST = re.compile(r"[0-9a-f]{64}")


def nonsense(window: Window) -> str | None:
    """What is wrong with a window; None if nothing is."""
    checks = (
        (_APP.match(window.app), f"{window.app[:80]!r} is no application's name"),
        (_DIGEST.fullmatch(window.artifact), "its artifact is no digest"),
        (window.role in ROLES, f"{window.role[:80]!r} is no role"),
        (1 < window.latency.ratio <= 2, "its latency bins have no sensible ratio"),
        (all(0 <= n <= MOST for n in _numbers(window)), "a count or a time in it is impossible"),
        (all(abs(n) <= FARTHEST for n in window.latency.counts), "a latency in it is impossible"),
    )
    return next((wrong for right, wrong in checks if not right), None)


def _numbers(window: Window) -> Iterator[int]:
    yield from (window.started_ms, window.ended_ms, window.monotonic_ms, window.memory_bytes)
    yield from (window.inferences, window.errors, window.dropped, window.crashes)
    yield from _counts(window)
    if window.comparison is not None:
        yield from (window.comparison.compared, window.comparison.disagreed)


def _counts(window: Window) -> Iterable[int]:
    yield window.latency.zeros
    yield from window.latency.counts.values()
    yield from window.classes.values()
    for feature in window.features.values():
        yield feature.missing
        yield from feature.counts

"""What the fleet will believe of a device: shapes are checked by decoding, sense is checked here.

A device can be broken or taken over. What it sends ends up in sums and on pages, so a number that
cannot be one is refused before it is stored.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator

import msgspec

from edge_sdk.spec.bench import BenchReport
from edge_sdk.spec.deployment import Reported
from edge_sdk.spec.manifest import NAME_PATTERN
from edge_sdk.spec.sketch import Window

ROLES = ("serve", "shadow")
MOST = 2**53
"""Larger counts and times than this cannot be; they would not fit a database's column either."""
MOST_MEASUREMENTS = 1000
LONGEST_MODEL = 128
LONGEST_WORD = 4096
FARTHEST = 10_000
"""The farthest latency bin that can be, in either direction."""
MOST_REASONS = 64
LONGEST_REASON = 128
"""Why an input was refused, in how few words."""
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
        (
            len(window.refused) <= MOST_REASONS
            and all(0 < len(reason) <= LONGEST_REASON for reason in window.refused),
            "its reasons to refuse are too many, or too long",
        ),
    )
    return next((wrong for right, wrong in checks if not right), None)


def nonsense_in_report(said: Reported) -> str | None:
    """What is wrong with what a device says of itself; None if nothing is."""
    numbers = [said.counter, *(app.attempt for app in said.apps.values())]
    right = all(0 <= number <= MOST for number in numbers)
    return None if right else "a counter or an attempt in it is impossible"


def is_text(said: str) -> bool:
    """Whether every database takes it: PostgreSQL's texts have no zero byte."""
    return "\0" not in said


def nonsense_in_bench(report: BenchReport) -> str | None:
    """What is wrong with a measurement; None if nothing is."""
    times = [
        number
        for each in report.measurements
        for number in (each.load_ms, each.first_ms, *msgspec.structs.astuple(each.timings))
    ]
    watts = [each.power_w or 0.0 for each in report.measurements]
    words = [report.model, report.profile.name, *map(str, _leaves(msgspec.to_builtins(report)))]
    checks = (
        (0 < len(report.measurements) <= MOST_MEASUREMENTS, "it measures nothing, or too much"),
        (
            0 < len(report.model) <= LONGEST_MODEL and is_text(report.model),
            "its model has no name that can be one",
        ),
        (all(math.isfinite(n) and 0 <= n <= MOST for n in times), "a time in it is impossible"),
        (all(math.isfinite(n) and 0 <= n <= MOST for n in watts), "a power in it is impossible"),
        (all(len(word) <= LONGEST_WORD for word in words), "a word in it is too long"),
        (not any(word in ("nan", "inf", "-inf") for word in words), "a number in it is none"),
    )
    return next((wrong for right, wrong in checks if not right), None)


def _leaves(tree: object) -> Iterator[object]:
    if isinstance(tree, dict):
        for key, value in tree.items():
            yield key
            yield from _leaves(value)
    elif isinstance(tree, list | tuple):
        for value in tree:
            yield from _leaves(value)
    else:
        yield tree


def _numbers(window: Window) -> Iterator[int]:
    yield from (window.started_ms, window.ended_ms, window.monotonic_ms, window.memory_bytes)
    yield from (window.inferences, window.errors, window.dropped, window.crashes)
    yield from (window.unread, window.unrecorded, *window.refused.values())
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

"""The fleet's wall clock."""

from __future__ import annotations

import time
from collections.abc import Callable

Clock = Callable[[], int]
"""Answers Unix milliseconds."""


def now_ms() -> int:
    """The system's."""
    return time.time_ns() // 1_000_000

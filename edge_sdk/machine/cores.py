"""The processor's cores that this process may use."""

from __future__ import annotations

import os


def usable_cores() -> int:
    """How many; systems that bind no process to some of them (macOS) have all of them to use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1

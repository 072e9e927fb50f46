"""Waiting in tests, counted in turns: while the whole machine stands still, nobody waits in vain.

A machine that is paused, as shared ones are, wakes up with every deadline behind it, before the
process that is waited for has had a moment to do anything.
"""

import asyncio
import signal
import subprocess
import time
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

TURN_S = 0.02


def turns(seconds: float) -> Iterator[None]:
    """As many turns as there are in that time on a machine that does nothing else."""
    for _ in range(round(seconds / TURN_S)):
        yield
        time.sleep(TURN_S)


async def async_turns(seconds: float) -> AsyncIterator[None]:
    """The same, and others of the event loop have theirs."""
    for _ in range(round(seconds / TURN_S)):
        yield
        await asyncio.sleep(TURN_S)


def ended(
    process: subprocess.Popen[Any], seconds: float, said: Callable[[], str] = lambda: ""
) -> int:
    """Wait for a process's end and answer its exit code; one that does not end is aborted."""
    for _ in turns(seconds):
        code = process.poll()
        if code is not None:
            return code
    process.send_signal(signal.SIGABRT)  # with PYTHONFAULTHANDLER it writes where its threads are
    process.wait()
    raise AssertionError(f"It did not end.\n{said()}")

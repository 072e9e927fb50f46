"""Blocking work beside the event loop that never outlives the one who asked for it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeVar

Answer = TypeVar("Answer")


def _nothing() -> None:
    """A thread that ends by itself needs no telling."""


async def in_thread(work: Callable[[], Answer], *, stop: Callable[[], None] = _nothing) -> Answer:
    """Run ``work`` in a thread.

    ``asyncio.to_thread``, cancelled, leaves its thread running on files that the next attempt will
    open. Here a cancellation first tells the thread to stop, then waits for its end.

    Args:
        work: called once, in a thread.
        stop: makes it end soon, called in the loop on cancellation.
    """
    task = asyncio.ensure_future(asyncio.to_thread(work))
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        stop()
        await asyncio.wait({task})
        if not task.cancelled():
            task.exception()  # looked at, or the loop would complain: it was told to end
        raise

"""A loop that waits with a time limit ends when it is told to, whatever comes in the same turn."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from edge_sdk.timeouts import timeout


async def ends(wait: Callable[[asyncio.Event], Awaitable[object]]) -> bool:
    event = asyncio.Event()

    async def loop() -> None:
        while True:
            await wait(event)
            event.clear()

    looping = asyncio.create_task(loop())
    await asyncio.sleep(0)
    event.set()
    await asyncio.sleep(0)  # what is waited for is done, and the loop has not gone on yet
    looping.cancel()
    ended, _ = await asyncio.wait({looping}, timeout=0.5)
    looping.cancel()
    return looping in ended


async def patiently(event: asyncio.Event) -> None:
    async with timeout(60):
        await event.wait()


def test_a_cancellation_is_never_lost() -> None:
    assert asyncio.run(ends(patiently))


def test_too_late_is_said() -> None:
    async def wait() -> None:
        async with timeout(0.01):
            await asyncio.Event().wait()

    with pytest.raises(asyncio.TimeoutError):
        asyncio.run(wait())

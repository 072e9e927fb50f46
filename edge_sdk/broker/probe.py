"""What a broker really does, found out by doing it: ``await probe(url)``.

Brokers grant what they then do not deliver, and acknowledge what they drop; what their
documentation says is not used. The fleet asks this of a foreign broker before it relies on it.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Coroutine
from typing import Any

from edge_sdk.broker import Broker, Credentials, Incoming, Pace, connect
from edge_sdk.errors import FleetError
from edge_sdk.spec.wire import MAX_MESSAGE_BYTES, down
from edge_sdk.spec.word import Word

_NUMBERED = 50


class Capabilities(Word, frozen=True, kw_only=True):
    """What was seen. A broker serves a fleet if ``problems`` is empty.

    Attributes:
        reached: it let us in, and granted a subscription.
        delivers_qos0, delivers_qos1: messages arrived; with QoS 1, they were acknowledged too.
        in_order: they arrived in the order they were sent in.
        carries_largest: a message of ``edge_sdk.spec.wire.MAX_MESSAGE_BYTES`` arrived whole.
        problems: what is missing, in sentences.
    """

    reached: bool = False
    delivers_qos0: bool = False
    delivers_qos1: bool = False
    in_order: bool = False
    carries_largest: bool = False
    problems: tuple[str, ...] = ()


class _Trial:
    """One broker under trial: sends to itself and looks at what comes back."""

    def __init__(self, broker: Broker, timeout_s: float) -> None:
        self._broker = broker
        self._timeout_s = timeout_s
        self._topic = down(f"probe-{secrets.token_hex(8)}")
        self._arrived: list[bytes] = []
        self._changed = asyncio.Event()
        broker.subscribe(self._topic, self._note, qos=1)
        broker.on_connected(self._changed.set)

    def _note(self, message: Incoming) -> None:
        self._arrived.append(message.payload)
        self._changed.set()

    async def connected(self) -> bool:
        """Whether the broker lets us in, in time."""
        return await self._within(self._connect())

    async def _connect(self) -> None:
        while not self._broker.connected:
            await self._changed.wait()
            self._changed.clear()

    async def returned(self, payloads: list[bytes], qos: int) -> list[bytes]:
        """What came back of ``payloads``, in time."""
        self._arrived.clear()
        await self._within(self._send(payloads, qos))
        return list(self._arrived)

    async def _send(self, payloads: list[bytes], qos: int) -> None:
        for payload in payloads:
            await self._broker.publish(self._topic, payload, qos=qos)
        while len(self._arrived) < len(payloads):
            await self._changed.wait()
            self._changed.clear()

    async def _within(self, work: Coroutine[Any, Any, None]) -> bool:
        """Whether ``work`` was done in time and nothing broke."""
        task = asyncio.ensure_future(work)
        try:
            await asyncio.wait({task}, timeout=self._timeout_s)
        finally:
            task.cancel()
            await asyncio.wait({task})
        if task.cancelled():
            return False
        error = task.exception()
        if error is not None and not isinstance(error, FleetError):
            raise error
        return error is None


async def probe(
    url: str,
    *,
    credentials: Credentials = Credentials(),  # noqa: B008  (frozen)
    pace: Pace = Pace(),  # noqa: B008
    timeout_s: float = 10.0,
) -> Capabilities:
    """Try a broker out, on the downlink of a device that does not exist.

    Args:
        url, credentials: as for ``connect``; the credentials are the fleet's.
        pace: as for ``connect``.
        timeout_s: for each of the steps: connecting, and each kind of message.

    Raises:
        UsageError, UnavailableError: as ``connect`` does.
    """
    broker = connect(url, name="probe", credentials=credentials, pace=pace)
    trial = _Trial(broker, timeout_s)
    running = asyncio.ensure_future(broker.run())
    try:
        if not await trial.connected():
            return Capabilities(problems=(broker.refusal or "The broker does not answer.",))
        numbered = [b"%d" % number for number in range(_NUMBERED)]
        largest = secrets.token_bytes(MAX_MESSAGE_BYTES)
        by_qos0 = await trial.returned(numbered, 0)
        by_qos1 = await trial.returned(numbered, 1)
        large = await trial.returned([largest], 0)
        return _judged(
            delivers_qos0=set(by_qos0) == set(numbered),
            delivers_qos1=set(by_qos1) == set(numbered),
            in_order=by_qos0 == by_qos1 == numbered,
            carries_largest=large == [largest],
        )
    finally:
        running.cancel()
        await asyncio.wait({running})


def _judged(**seen: bool) -> Capabilities:
    complaints = {
        "delivers_qos0": "Messages of QoS 0 do not arrive.",
        "delivers_qos1": "Messages of QoS 1 are not acknowledged, or do not arrive.",
        "in_order": "Messages do not arrive once each and in order.",
        "carries_largest": f"A message of {MAX_MESSAGE_BYTES} bytes does not arrive.",
    }
    problems = tuple(said for name, said in complaints.items() if not seen[name])
    return Capabilities(reached=True, problems=problems, **seen)

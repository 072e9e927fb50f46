"""The director: tells each device the whole of what it should run, signed, until it has heard.

A change goes into the store first, signed and with its counter, in the same transaction as
whatever caused it; only then is it sent. So a fleet that is killed between the two says, when it
is back, the very same bytes. Sending is QoS 0 and proves nothing: it is repeated, ever more
seldom, until the device reports the counter. A device that says hello is told at once.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from sqlalchemy import Connection

from edge_sdk.errors import EdgeError
from edge_sdk.spec.deployment import Assignment, Desired, Signed
from edge_sdk.spec.envelope import seal
from edge_sdk.spec.wire import DesiredMessage, Message, down
from fleet.clock import Clock
from fleet.stores import devices
from fleet.stores.packing import unpack
from fleet.stores.store import Store

Publish = Callable[[str, bytes], Awaitable[None]]
"""Sends a payload to a topic, QoS 0. Raises FleetError if it cannot."""

FIRST_PAUSE_S = 2.0
LONGEST_PAUSE_S = 120.0
VALID_MS = 600_000
"""How long anything said to a device is worth hearing. Whatever matters is said again before."""

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Saying:
    """Something that is being repeated."""

    counter: int
    next_s: float
    pause_s: float


class Director:
    """Decides nothing; signs, sends and repeats."""

    def __init__(
        self, store: Store, sign: Callable[[Desired], Signed], publish: Publish, clock: Clock
    ) -> None:
        """Nothing is sent before ``run``.

        Args:
            store: where Desired is kept.
            sign: with the director's key.
            publish: to the broker.
            clock: the fleet's.
        """
        self._store = store
        self._sign = sign
        self._publish = publish
        self._clock = clock
        self._changed = asyncio.Event()
        self._saying: dict[str, _Saying] = {}

    def assign(self, connection: Connection, device: str, app: str, wanted: Assignment) -> bool:
        """Change what one application of a device should run; answers whether anything changed.

        Call it in a write transaction, and ``wake`` after it. Who wants it (``rollout``) is no
        change by itself.
        """
        signed = devices.told(connection, device)
        goal = self._goal(connection, device, signed)
        held = goal.apps.get(app, Assignment())
        if (held.serve, held.shadow) == (wanted.serve, wanted.shadow):
            return False
        self._tell(connection, device, goal.counter + 1, {**goal.apps, app: wanted})
        return True

    def introduce(self, connection: Connection, device: str, held_counter: int = 0) -> Signed:
        """The newest word for a device, made if there is none, or if the device knows a higher one.

        A device can be ahead of a fleet that was restored from a backup. It would refuse anything
        lower, so the fleet says what it knows under a number that is higher still.
        """
        signed = devices.told(connection, device)
        goal = self._goal(connection, device, signed)
        if signed is not None and goal.counter >= held_counter:
            return signed
        return self._tell(connection, device, max(goal.counter, held_counter) + 1, goal.apps)

    def _goal(self, connection: Connection, device: str, signed: Signed | None) -> Desired:
        if signed is None:
            return Desired(device=device, counter=0, issued_ms=0)
        return unpack(signed.payload, Desired)

    def _tell(
        self, connection: Connection, device: str, counter: int, apps: dict[str, Assignment]
    ) -> Signed:
        signed = self._sign(
            Desired(device=device, counter=counter, issued_ms=self._clock(), apps=apps)
        )
        devices.tell(connection, device, counter, signed)
        return signed

    def wake(self) -> None:
        """Something was assigned: send it now, not at the next look."""
        self._changed.set()

    async def send(self, device: str, message: Message, answers: str = "") -> None:
        """Say something to a device, once. What cannot be sent now is not worth an error here:
        whatever matters is said again.
        """
        now_ms = self._clock()
        payload = seal(
            message,
            id=secrets.token_hex(8),
            sent_ms=now_ms,
            expires_ms=now_ms + VALID_MS,
            answers=answers,
        )
        try:
            await self._publish(down(device), payload)
        except EdgeError as error:
            _log.info("Nothing sent to %s: %s", device, error.message)

    async def run(self) -> None:
        """Repeat what has not been heard, until cancelled."""
        while True:
            self._changed.clear()
            pause_s = FIRST_PAUSE_S / 2
            try:
                await self._repeat()
            except EdgeError as error:
                _log.warning("The director cannot read the store: %s", error)
            try:
                async with asyncio.timeout(pause_s):
                    await self._changed.wait()
            except TimeoutError:
                continue

    async def _repeat(self) -> None:
        now_s = asyncio.get_running_loop().time()
        behind = await self._store.read(devices.behind)
        self._saying = {d: s for d, s in self._saying.items() if d in behind}
        for device, (counter, signed) in behind.items():
            saying = self._saying.get(device)
            if saying is None or saying.counter != counter:
                saying = _Saying(counter, now_s, FIRST_PAUSE_S)
                self._saying[device] = saying
            if saying.next_s > now_s:
                continue
            saying.next_s = now_s + saying.pause_s
            saying.pause_s = min(2 * saying.pause_s, LONGEST_PAUSE_S)
            await self.send(device, DesiredMessage(desired=signed))

"""A broker inside the process, for tests: ``memory://NAME``.

It keeps what the seam promises and no more, as a real one does: it checks users, drops what they
may not say, and can be ``cut`` and ``restore``d. What was published while it was cut is gone.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable
from weakref import WeakValueDictionary

from edge_sdk.broker.base import Credentials, Incoming, OnConnected, OnMessage
from edge_sdk.broker.subscriptions import Subscriptions, tell
from edge_sdk.broker.topics import check_message, covers, matches
from edge_sdk.broker.users import User
from edge_sdk.errors import FleetError, UsageError

_log = logging.getLogger(__name__)


class Hub:
    """What the connections of one ``memory://NAME`` share, all in one event loop."""

    def __init__(self) -> None:
        self._users: dict[str, User] | None = None
        self._up = True
        self._members: list[MemoryBroker] = []
        self._waiting: list[asyncio.Future[None]] = []

    def set_users(self, users: Iterable[User]) -> None:
        """Let only these in, from now on; whoever is in and is not one of them is cut off."""
        self._users = {user.name: user for user in users}
        self._drop([each for each in self._members if self.refusal_of(each.credentials)])
        self._wake()

    def cut(self) -> None:
        """Go away: every connection ends, nobody gets in."""
        self._up = False
        self._drop(list(self._members))

    def restore(self) -> None:
        """Come back, empty."""
        self._up = True
        self._wake()

    async def changed(self) -> None:
        """Wait until it may be worth trying again."""
        change = asyncio.get_running_loop().create_future()
        self._waiting.append(change)
        await change

    def refusal_of(self, credentials: Credentials) -> str:
        """Why these credentials are not let in; empty if they are."""
        if not self._up:
            return "The broker cannot be reached: it is cut."
        if self._users is None:
            return ""
        user = self._users.get(credentials.username)
        if user is None or user.password != credentials.password:
            return "The broker refused the connection: not authorized."
        return ""

    def may_hear(self, credentials: Credentials, pattern: str) -> bool:
        """Whether these credentials are granted a subscription."""
        return self._users is None or any(
            covers(allowed, pattern) for allowed in self._users[credentials.username].subscribe
        )

    def route(self, credentials: Credentials, message: Incoming) -> None:
        """Give a message to all who hear it, in order; drop it if its sender may not say it."""
        if self._users is not None and not any(
            matches(allowed, message.topic) for allowed in self._users[credentials.username].publish
        ):
            _log.warning("%s may not publish to %s.", credentials.username, message.topic)
            return
        for member in self._members:
            asyncio.get_running_loop().call_soon(member.take, message)

    def join(self, member: MemoryBroker) -> None:
        """Take a connection in."""
        self._members.append(member)

    def leave(self, member: MemoryBroker) -> None:
        """Let a connection go."""
        if member in self._members:
            self._members.remove(member)

    def _drop(self, members: list[MemoryBroker]) -> None:
        for member in members:
            self.leave(member)
            member.lose("The connection to the broker was lost.")

    def _wake(self) -> None:
        waiting, self._waiting = self._waiting, []
        for change in waiting:
            if not change.done():
                change.set_result(None)


_hubs: WeakValueDictionary[str, Hub] = WeakValueDictionary()


def hub(name: str) -> Hub:
    """The hub of that name; it lives as long as somebody holds it or a connection to it."""
    found = _hubs.get(name)
    if found is None:
        found = _hubs[name] = Hub()
    return found


class MemoryBroker:
    """A connection to a hub; see ``edge_sdk.broker.base.Broker``."""

    def __init__(self, hub: Hub, credentials: Credentials) -> None:
        self.credentials = credentials
        self._hub = hub
        self._subscriptions = Subscriptions()
        self._on_connected: list[OnConnected] = []
        self._lost: asyncio.Future[str] | None = None
        self._running = False
        self._refusal = ""

    @property
    def connected(self) -> bool:
        """Whether the broker has accepted us and nothing has broken since."""
        return self._lost is not None and not self._lost.done()

    @property
    def refusal(self) -> str:
        """Why the broker last refused us; empty while connected."""
        return self._refusal

    def subscribe(self, pattern: str, on_message: OnMessage, *, qos: int = 0) -> None:
        """Hear a topic pattern, now and after every reconnection."""
        self._subscriptions.add(pattern, on_message, qos)
        if self.connected and (refusal := self._subscription_refusal()):
            self._hub.leave(self)
            self.lose(refusal)

    def on_connected(self, callback: OnConnected) -> None:
        """Be told after every connection, once all subscriptions are granted."""
        self._on_connected.append(callback)

    async def publish(self, topic: str, payload: bytes, *, qos: int = 0) -> None:
        """Send; the hub has it when this returns."""
        check_message(topic, payload, qos)
        if not self.connected:
            raise FleetError(f"The message was not sent: {self._refusal or 'not connected.'}")
        self._hub.route(self.credentials, Incoming(topic, bytes(payload)))
        await asyncio.sleep(0)

    async def run(self) -> None:
        """Keep connected until cancelled."""
        if self._running:
            raise UsageError("This connection runs already.")
        self._running = True
        try:
            while True:
                self._refusal = (
                    self._hub.refusal_of(self.credentials) or self._subscription_refusal()
                )
                if self._refusal:
                    await self._hub.changed()
                    continue
                self._lost = asyncio.get_running_loop().create_future()
                self._hub.join(self)
                tell(self._on_connected)
                self._refusal = await asyncio.shield(self._lost)
                await asyncio.sleep(0)
        finally:
            self._running = False
            self._lost = None
            self._hub.leave(self)

    def take(self, message: Incoming) -> None:
        """Hear a message, if still connected."""
        if self.connected:
            self._subscriptions.deliver(message)

    def lose(self, why: str) -> None:
        """End this connection; ``run`` comes back when it can."""
        if self._lost is not None and not self._lost.done():
            self._refusal = why
            self._lost.set_result(why)

    def _subscription_refusal(self) -> str:
        refused = [
            pattern
            for pattern in self._subscriptions.wanted()
            if not self._hub.may_hear(self.credentials, pattern)
        ]
        return f"The broker refused to let us hear {', '.join(refused)}." if refused else ""

"""What one client listens to: patterns, who hears them, and how one bad message stays one."""

from __future__ import annotations

import logging
from collections.abc import Iterable

from edge_sdk.broker.base import Incoming, OnConnected, OnMessage
from edge_sdk.broker.topics import check_pattern, matches, overlap
from edge_sdk.errors import UsageError

_log = logging.getLogger(__name__)


def tell(callbacks: Iterable[OnConnected]) -> None:
    """Call each; what one raises is logged and keeps nobody else from hearing."""
    for callback in callbacks:
        try:
            callback()
        except Exception:  # noqa: BLE001  (a callback of any author)
            _log.exception("A callback of on_connected failed.")


class Subscriptions:
    """A client's patterns.

    Patterns of one client must not overlap: of a message that matches two, some brokers send two
    copies and some one.
    """

    def __init__(self) -> None:
        self._heard: dict[str, list[OnMessage]] = {}
        self._qos: dict[str, int] = {}

    def add(self, pattern: str, on_message: OnMessage, qos: int) -> bool:
        """Note who hears ``pattern``; return whether the broker has to be asked.

        Raises:
            UsageError: it is no pattern, overlaps another one, or the QoS is neither 0 nor 1.
        """
        if qos not in (0, 1):
            raise UsageError(f"QoS {qos} is not offered; 0 and 1 are.")
        check_pattern(pattern)
        if pattern in self._heard and self._qos[pattern] == qos:
            self._heard[pattern].append(on_message)
            return False
        for other in self._heard:
            if overlap(pattern, other):
                raise UsageError(f"The patterns {pattern} and {other} overlap.")
        self._heard[pattern] = [on_message]
        self._qos[pattern] = qos
        return True

    def wanted(self) -> dict[str, int]:
        """Every pattern and its QoS."""
        return dict(self._qos)

    def deliver(self, message: Incoming) -> None:
        """Hand a message to whoever hears its topic; what they raise is logged."""
        for pattern, listeners in self._heard.items():
            if matches(pattern, message.topic):
                for on_message in listeners:
                    try:
                        on_message(message)
                    except Exception:  # noqa: BLE001  (logged: one bad message is one)
                        _log.exception("A message on %s was dropped.", message.topic)

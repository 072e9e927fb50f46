"""MQTT topics and patterns: which may be used, which match. Pure, by MQTT 3.1.1 section 4.7.

We allow less than MQTT does. Some brokers cut the connection over a topic with a space in it, some
give empty levels a meaning of their own, and topics that begin with ``$`` belong to the broker.
"""

from __future__ import annotations

import re

from edge_sdk.errors import FleetError, UsageError
from edge_sdk.spec.wire import MAX_MESSAGE_BYTES

MAX_TOPIC_BYTES = 255

_LEVEL = re.compile(r"[A-Za-z0-9_:@=,.-]+")


def check_topic(topic: str) -> None:
    """Make sure that every broker takes messages on ``topic``.

    Raises:
        FleetError: it is empty or too long, or has a level that is empty or has a character that
            is not allowed (a space, a wildcard).
    """
    if problem := _problem(topic, topic.split("/")):
        raise FleetError(f"{topic[:80]!r} is no topic to publish to: {problem}.")


def check_message(topic: str, payload: bytes, qos: int) -> None:
    """Make sure that a message may be sent; a broker would cut the connection over it.

    Raises:
        FleetError: the topic or the size is not allowed.
        UsageError: the QoS is neither 0 nor 1.
    """
    if qos not in (0, 1):
        raise UsageError(f"QoS {qos} is not offered; 0 and 1 are.")
    check_topic(topic)
    if len(payload) > MAX_MESSAGE_BYTES:
        raise FleetError(
            f"A message of {len(payload)} bytes to {topic} is over the limit of "
            f"{MAX_MESSAGE_BYTES}."
        )


def check_pattern(pattern: str) -> None:
    """Make sure that every broker takes subscriptions to ``pattern``.

    Raises:
        UsageError: as for a topic, but that ``+`` may be a level and ``#`` the last one.
    """
    levels = pattern.split("/")
    if levels[-1] == "#" and len(levels) > 1:
        levels.pop()
    if problem := _problem(pattern, [level for level in levels if level != "+"]):
        raise UsageError(
            f"{pattern[:80]!r} is no pattern to subscribe to: {problem}.",
            "A level is a name or '+'; the last, after others, may be '#'.",
        )


def _problem(text: str, levels: list[str]) -> str:
    if len(text.encode("utf-8", "surrogatepass")) > MAX_TOPIC_BYTES:
        return f"it is longer than {MAX_TOPIC_BYTES} bytes"
    for level in levels:
        if not _LEVEL.fullmatch(level):
            return f"{level[:40]!r} is not allowed in it" if level else "a level of it is empty"
    return ""


def matches(pattern: str, topic: str) -> bool:
    """Whether a subscription to ``pattern`` hears ``topic``; ``a/#`` hears ``a`` too."""
    wanted, levels = pattern.split("/"), topic.split("/")
    for position, level in enumerate(wanted):
        if level == "#":
            return True
        if position == len(levels) or level not in ("+", levels[position]):
            return False
    return len(wanted) == len(levels)


def covers(wide: str, narrow: str) -> bool:
    """Whether every topic that matches pattern ``narrow`` matches ``wide`` too."""
    outer, inner = wide.split("/"), narrow.split("/")
    for position, level in enumerate(outer):
        if level == "#":
            return True
        if position == len(inner) or inner[position] == "#":
            return False
        if level not in ("+", inner[position]):
            return False
    return len(outer) == len(inner)


def overlap(one: str, other: str) -> bool:
    """Whether some topic matches both patterns."""
    ours, theirs = one.split("/"), other.split("/")
    for a, b in zip(ours, theirs):  # noqa: B905  (lengths are compared below)
        if "#" in (a, b):
            return True
        if a != b and "+" not in (a, b):
            return False
    longer = max(ours, theirs, key=len)
    return len(ours) == len(theirs) or longer[min(len(ours), len(theirs)) :] == ["#"]

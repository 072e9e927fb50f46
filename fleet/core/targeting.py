"""Targeting: which devices a rollout is for, and which of them go first.

A selector is ``all``, a list of device ids (``pi-1,pi-2``), or a label (``site=berlin``). Who goes
first is decided by a hash of rollout and device: the same every time it is asked, another choice
in every rollout, so that it is not always the same device that suffers.
"""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from edge_sdk.errors import UsageError
from edge_sdk.spec.wire import DEVICE_ID
from edge_sdk.text import nearest

ALL = "all"
LABEL = re.compile(r"[a-z0-9][a-z0-9_.-]{0,62}")


@dataclass(frozen=True, slots=True)
class Target:
    """A device, as far as choosing goes."""

    device: str
    labels: Mapping[str, str] = field(default_factory=dict)


def select(selector: str, targets: Iterable[Target]) -> list[str]:
    """The ids, sorted, of the devices that a selector names.

    Raises:
        UsageError: it is no selector, or names a device that there is not.
    """
    known = {target.device: target.labels for target in targets}
    if selector == ALL:
        return sorted(known)
    key, equals, value = selector.partition("=")
    if equals:
        if not LABEL.fullmatch(key) or not LABEL.fullmatch(value):
            raise _no_selector(selector)
        return sorted(device for device, labels in known.items() if labels.get(key) == value)
    named = sorted({device.strip() for device in selector.split(",")})
    for device in named:
        if not DEVICE_ID.fullmatch(device):
            raise _no_selector(selector)
        if device not in known:
            raise UsageError(f"There is no device {device!r}.", nearest(device, sorted(known)))
    return named


def is_open(selector: str) -> bool:
    """Whether a selector speaks of devices that are not there yet; a list of ids does not."""
    return selector == ALL or "=" in selector


def canaries(rollout: str, devices: Iterable[str], share: float) -> list[str]:
    """The devices that go first: that share of them, at least one; never all, of several.

    Args:
        rollout: its id, which seeds the choice.
        devices: to choose from.
        share: in (0, 1].
    """
    order = drawn(rollout, devices)
    if not order:
        return []
    most = max(1, len(order) - 1) if share < 1 else len(order)
    return sorted(order[: min(most, max(1, math.floor(share * len(order))))])


def drawn(rollout: str, devices: Iterable[str]) -> list[str]:
    """The devices in the order in which a rollout draws them, in whatever order they are given."""
    return sorted(devices, key=lambda device: (_draw(rollout, device), device))


def _draw(rollout: str, device: str) -> bytes:
    return hashlib.sha256(f"{rollout}\0{device}".encode()).digest()


def _no_selector(selector: str) -> UsageError:
    return UsageError(
        f"{selector[:80]!r} selects nothing.",
        "Write all, device ids (pi-1,pi-2), or a label (site=berlin).",
    )

"""What each device has served of a rollout's candidate: added up once, and then as it comes.

Of 5,000 devices a rollout has 30,000 windows more every minute. To add all of them up at every
look, once a second, would take longer than the second before the hour is over. What is remembered
here is no truth of its own: a fleet that starts again adds up what the store holds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import Connection

from fleet.core.rollout import Rollout
from fleet.core.tally import Tally, counts
from fleet.stores import telemetry

MOST = 32
"""Rollouts that are remembered; those that go on at a time are one for each application."""


@dataclass(frozen=True, slots=True)
class _Sums:
    """By device, up to and with the window of the id ``newest``."""

    newest: int
    by_device: Mapping[str, Tally]


class Served:
    """By rollout. Threads may ask at once: each finds one whole sum, and leaves another."""

    def __init__(self) -> None:
        self._known: dict[str, _Sums] = {}

    def of(self, connection: Connection, rollout: Rollout) -> Mapping[str, Tally]:
        """Counts by device, without latencies, since the rollout was made."""
        newest = telemetry.newest(connection)
        known = self._known.get(rollout.id)
        ref, since_ms = rollout.candidate.digest, rollout.created_ms
        if known is None or newest < known.newest:  # ids may come again once windows are removed
            sums = telemetry.sums(connection, rollout.app, ref, "serve", since_ms)
        else:
            sums = dict(known.by_device)
            came = telemetry.sums_after(connection, rollout.app, ref, "serve", known.newest)
            for device, more in came.items():
                sums[device] = counts([sums[device], more]) if device in sums else more
        self._known.pop(rollout.id, None)
        self._known[rollout.id] = _Sums(newest, sums)
        for oldest in list(self._known)[:-MOST]:
            self._known.pop(oldest, None)
        return sums

"""The trail of what an application answered, where its settings ask for one (``audit``).

A record that cannot be written is no fault of the model's: it answers on. But somebody relies on
the trail, so that each such loss is counted, told to the fleet with its reason, and said in the
trail itself, by the next record that can be written (``Decision.lost``).
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

from device_agent import ipc
from edge_sdk.text import utc_text

if TYPE_CHECKING:
    from device_agent.inference import Inference, Model
    from device_agent.sources import Input
    from edge_sdk.audit import AuditLog

OPEN_EVERY_S = 1.0
"""A log that cannot be opened is tried again as often: that reads its end, and takes time."""
CALM_S = 10.0
"""A problem is over when for so long nothing was lost: a disk at its brim is not told of at every
record."""


class Trail:
    """A log that is opened when there is something to write.

    Attributes:
        problem: why answers are not recorded, and since when; empty if they are.
    """

    def __init__(self, path: Path) -> None:
        self.problem = ""
        self._path = path
        self._log: AuditLog | None = None
        self._lost = 0
        self._lost_s = self._opened_s = float("-inf")

    def record(self, model: Model, given: Input, inference: Inference) -> bool:
        """Write down one answer; whether that could be done."""
        now_s = time.monotonic()
        try:
            if self._log is None:
                self._open(now_s)
            if self._log is not None:
                model.record(self._log, given, inference, lost=self._lost)
        except Exception as error:  # noqa: BLE001 - whatever it is, the answer stands
            self._failed(error)
        else:
            if self._log is not None:
                self._lost = 0
                if now_s - self._lost_s >= CALM_S:
                    self.problem = ""
                return True
        self._lost, self._lost_s = self._lost + 1, now_s
        return False

    def _open(self, now_s: float) -> None:
        if now_s - self._opened_s < OPEN_EVERY_S:
            return
        self._opened_s = now_s
        from edge_sdk.audit import AuditLog  # brings OpenSSL, 4 MB: not for who keeps no trail

        self._path.parent.mkdir(mode=0o700, exist_ok=True)
        # A sync costs milliseconds, and wears a memory card: the system's own seconds will do.
        self._log = AuditLog(self._path, sync=False)

    def _failed(self, error: Exception) -> None:
        if not self.problem:
            since = utc_text(time.time_ns() // 1_000_000)
            self.problem = f"answers are not recorded since {since}: {ipc.sentence(error)}"

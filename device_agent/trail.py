"""The trail of what an application answered, where its settings ask for one (``audit``)."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from device_agent.inference import Inference, Model
    from device_agent.sources import Input
    from edge_sdk.audit import AuditLog


class Trail:
    """A log that is opened when there is something to write, so that an error is an inference's."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._log: AuditLog | None = None

    def record(self, model: Model, given: Input, inference: Inference) -> None:
        """Write down one answer. Raises as ``AuditLog``."""
        if self._log is None:
            from edge_sdk.audit import AuditLog  # brings OpenSSL, 4 MB: not for who keeps no trail

            self._path.parent.mkdir(mode=0o700, exist_ok=True)
            # A sync costs milliseconds, and wears a memory card: the system's own seconds will do.
            self._log = AuditLog(self._path, sync=False)
        model.record(self._log, given, inference)

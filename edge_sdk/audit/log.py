"""The audit log: decisions in whole lines, appended one at a time, by one program at a time.

How its lines get onto the disk, and how much of it they take, is ``log_files``.
"""

from __future__ import annotations

import os
import platform
from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from edge_sdk.audit.chain import sealed
from edge_sdk.audit.decided import digests, in_words, placed
from edge_sdk.audit.log_files import LogFiles
from edge_sdk.closing import Closing
from edge_sdk.errors import UsageError
from edge_sdk.files import disk_error
from edge_sdk.spec import Decision, Identity, Placed

if TYPE_CHECKING:
    from edge_sdk.explain import Explanation
    from edge_sdk.runtime import Session

MAX_BYTES = 16 << 20
KEEP = 4


class AuditLog(Closing):
    """A log opened for writing. Use as a context manager, or ``close``. Safe between threads."""

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        max_bytes: int = MAX_BYTES,
        keep: int = KEEP,
        sync: bool = True,
        clock: Callable[[], datetime] = lambda: datetime.now(timezone.utc),
    ) -> None:
        """Open a log, or begin one.

        Args:
            path: of its newest file; beside it lie ``NAME.1`` … and ``NAME.lock``.
            max_bytes: of one file.
            keep: how many older files stay.
            sync: wait for the disk at every record. Without, a power cut may take the last seconds
                of records with it; a crash of the program takes none.
            clock: tells the time, with its zone.

        Raises:
            UsageError: another program has it open, it is no audit log, or it cannot be written.
                Nothing of what is there was touched then.
            UnavailableError: there is no room.
        """
        if max_bytes < 1 or keep < 1:
            raise UsageError("An audit log needs room.", "AuditLog(…, max_bytes=16 << 20, keep=4)")
        self.path = Path(path).absolute()  # it is renamed later, wherever the program is then
        self._clock = clock
        self._mutex = Lock()
        self._known: WeakKeyDictionary[Session, tuple[Identity, Placed]] = WeakKeyDictionary()
        self._files = LogFiles(self.path, max_bytes=max_bytes, keep=keep, sync=sync)
        self._number, self._chain = self._files.number, self._files.chain
        self._torn, self._broken = self._files.torn, self._files.broken
        self._closed = False

    @property
    def broken(self) -> str:
        """What did not hold when it was opened; empty if what was looked at did (``standing``).

        The first record after that says the same. To have a log that holds, move all of its files
        away, the lock file too.
        """
        return self._files.broken

    @property
    def head(self) -> str:
        """The chain value of the newest record; noted elsewhere, it seals all before it."""
        return self._chain

    def record(
        self,
        session: Session,
        inputs: Any,
        answer: Any,
        *,
        explanation: Explanation | None = None,
        source_sha256: str = "",
        index: int = 0,
        note: str = "",
        lost: int = 0,
    ) -> Decision:
        """Write down one decision. When this returns, it is on the disk.

        Args:
            session: what answered.
            inputs: the picture or the arrays it was asked about; only their digests are kept.
            answer: of ``session.predict``, or ``run``.
            explanation: of the same picture.
            source_sha256, index, note: see ``Decision``.
            lost: answers before this one whose record could not be written, if the caller went on
                all the same.

        Raises:
            UsageError: the log is closed, or its folder is not to be written any more.
            UnavailableError: there is no room; nothing was written.
        """
        with self._mutex:
            if self._closed:
                raise UsageError("The audit log is closed.", "Open it again: AuditLog(path)")
            if session not in self._known:
                self._known[session] = session.identity, placed(session.placement)
            model, placement = self._known[session]
            decision = Decision(
                number=self._number + 1,
                previous=self._chain,
                time=self._clock().astimezone(timezone.utc).isoformat(timespec="milliseconds"),
                host=platform.node(),
                model=model,
                variant=session.variant,
                placement=placement,
                inputs=digests(inputs),
                answer=in_words(answer),
                source_sha256=source_sha256,
                index=index,
                explanation=None if explanation is None else explanation.word(),
                note=note,
                torn_bytes=self._torn,
                lost=lost,
                broken=self._broken,
            )
            line, chain = sealed(decision)
            try:
                self._files.append(line)
            except OSError as error:
                raise disk_error(error, self.path) from error
            self._number, self._chain, self._torn = decision.number, chain, 0
            self._broken = ""
            return decision

    def close(self) -> None:
        """Close it; another program may open it then."""
        with self._mutex:
            if not self._closed:
                self._closed = True
                self._files.close()

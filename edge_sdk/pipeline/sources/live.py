"""A live source: opened, read until it breaks off, opened again.

Everything that takes pictures by itself behaves alike. What cannot be opened in the first place is
refused at once. What breaks off later is tried again, every ``retry_s`` seconds, for ``patience_s``
seconds; once pictures come again, the run goes on and the report tells of the gap; if not, it ends.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from edge_sdk.errors import EdgeError, UnavailableError
from edge_sdk.pipeline.frames import Frame
from edge_sdk.pipeline.parts import Running
from edge_sdk.pipeline.picture_file import quiet
from edge_sdk.pipeline.pool import PicturePool
from edge_sdk.processing.picture import Picture

PATIENCE_S = 30.0
RETRY_S = 0.5


class Capture(Protocol):
    """Something opened that gives pictures; ``cv2.VideoCapture`` is one."""

    def read(self) -> tuple[bool, Picture]:
        """The next picture, BGR; False if there is none, or not in time."""

    def release(self) -> None:
        """Close it."""


class Quiet:
    """A capture of OpenCV's whose troubles are ours to tell."""

    def __init__(self, cv2: Any, capture: Capture) -> None:
        self._cv2, self._capture, self._pool = cv2, capture, PicturePool()

    def read(self) -> tuple[bool, Picture]:
        """See ``Capture.read``."""
        with quiet(self._cv2):
            try:
                return self._pool.read(self._capture)
            except self._cv2.error:  # some drivers' surprises are raised, and not answered
                return False, np.empty((0, 0, 3), np.uint8)

    def release(self) -> None:
        """See ``Capture.release``."""
        with quiet(self._cv2):
            self._capture.release()


class LiveSource:
    """See above.

    Args:
        name: what its frames are called after.
        address: what is told to people; without secrets.
        patience_s: how long to wait for its return; None for ever.
        retry_s: how often to try meanwhile.
    """

    live = True
    fps = 0.0

    def __init__(
        self,
        name: str,
        address: str,
        *,
        patience_s: float | None = PATIENCE_S,
        retry_s: float = RETRY_S,
    ) -> None:
        self.name = name
        self.address = address
        self._patience_s = patience_s
        self._retry_s = retry_s

    def open(self) -> Capture:
        """Open it anew.

        Raises:
            UnavailableError: it is not there, or does not answer in time.
        """
        raise NotImplementedError

    def at_end(self, running: Running, index: int) -> bool:
        """Whether after so many frames it is over, and not to be opened again."""
        return False

    def stream(self, running: Running) -> Iterator[Frame]:
        """Its frames, across breaks. Raises UnavailableError if it stays away too long."""
        path, index, began = Path(self.address), 0, running.clock.now()
        gap: _Gap | None = None
        capture: Capture | None = self.open()
        try:
            while capture is not None and not running.stopping:
                there, picture = capture.read()
                now = running.clock.now()
                if there:
                    if gap is not None:
                        running.metrics.warn(
                            f"{self.address} broke off after {index} frames; "
                            f"back {now - gap.since_s:.1f} s later."
                        )
                        gap = None
                    yield Frame(picture, path, index, now - began, "bgr", self.name, now)
                    index += 1
                    continue
                capture.release()
                if self.at_end(running, index):
                    break
                gap = gap or _Gap(now)
                capture = self._open_again(running, index, gap)
        finally:
            if capture is not None:
                capture.release()

    def _open_again(self, running: Running, index: int, gap: _Gap) -> Capture | None:
        """Opened once more; None if the run is to end meanwhile."""
        while not running.stopping:
            if gap.tried:
                away = running.clock.now() - gap.since_s
                if self._patience_s is not None and away >= self._patience_s:
                    raise self._gone(index, away, gap.last) from gap.last
                running.pause(self._retry_s)
            gap.tried = True
            try:
                capture = self.open()
            except UnavailableError as error:
                gap.last = error
            else:
                gap.last = _nothing_comes()
                return capture
        return None

    def _gone(self, index: int, away: float, last: EdgeError) -> UnavailableError:
        return UnavailableError(
            f"{self.address} broke off after {index} frames and has not come back for {away:.0f} "
            f"s: {last.message}",
            last.hint,
        )


def _nothing_comes() -> UnavailableError:
    return UnavailableError("it opens, and gives no pictures.", "Is another program using it?")


@dataclass
class _Gap:
    """A time without pictures.

    Attributes:
        since_s: when it began.
        tried: whether it has been opened again since.
        last: why there are none.
    """

    since_s: float
    tried: bool = False
    last: UnavailableError = field(default_factory=_nothing_comes)

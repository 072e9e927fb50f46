"""A live source: opened, read until it breaks off, opened again.

Everything that takes pictures by itself behaves alike. What cannot be opened in the first place is
refused at once. What breaks off later is tried again, every ``retry_s`` seconds, for ``patience_s``
seconds; if it comes back, the run goes on and the report tells of the gap; if not, the run ends.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

from edge_sdk.errors import EdgeError, UnavailableError
from edge_sdk.pipeline.frames import Frame
from edge_sdk.pipeline.pipeline import Running
from edge_sdk.processing.picture import Picture

PATIENCE_S = 30.0
RETRY_S = 0.5


class Capture(Protocol):
    """Something opened that gives pictures; ``cv2.VideoCapture`` is one."""

    def read(self) -> tuple[bool, Picture]:
        """The next picture, BGR; False if there is none, or not in time."""

    def release(self) -> None:
        """Close it."""


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
        capture: Capture | None = self.open()
        try:
            while capture is not None and not running.stopping:
                there, picture = capture.read()
                now = running.clock.now()
                if there:
                    yield Frame(picture, path, index, now - began, "bgr", self.name, now)
                    index += 1
                    continue
                capture.release()
                if self.at_end(running, index):
                    break
                capture = self._open_again(running, index)
        finally:
            if capture is not None:
                capture.release()

    def _open_again(self, running: Running, index: int) -> Capture | None:
        """Opened once more; None if the run is to end meanwhile."""
        lost = running.clock.now()
        while not running.stopping:
            try:
                capture = self.open()
            except UnavailableError as error:
                away = running.clock.now() - lost
                if self._patience_s is not None and away >= self._patience_s:
                    raise self._gone(index, away, error) from error
                running.pause(self._retry_s)
            else:
                away = running.clock.now() - lost
                running.metrics.warn(
                    f"{self.address} broke off after {index} frames; back {away:.1f} s later."
                )
                return capture
        return None

    def _gone(self, index: int, away: float, last: EdgeError) -> UnavailableError:
        return UnavailableError(
            f"{self.address} broke off after {index} frames and has not come back for {away:.0f} "
            f"s: {last.message}",
            last.hint,
        )

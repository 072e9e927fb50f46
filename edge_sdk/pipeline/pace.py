"""When a recording shows which frame, so that it lasts as long as what it shows.

A video file has one rate: a place every ``1 / fps`` seconds. Frames come when they come: those of a
camera whose model is slow are few, those of a phone's video are not evenly spread, another stream's
are more than the file has places for. Each goes to the place of its own time; places that stay
empty show the frame before them again, and a frame whose place is taken is left out. Frames of the
file's own rate are one a place, whatever their times are rounded to and however late one comes.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from statistics import median

UNKNOWN_FPS = 25.0
"""The rate of what does not tell its own."""
MOST_FPS = 1000.0
"""A source that speaks of more has no idea: FFmpeg says 90000 of streams that tell nothing."""
MOST_REPEATED_S = 60.0
"""A gap is filled with what was there before it, but not longer than this."""

_SLACK = 0.75
"""Of a place: so far a frame may be off its own and still take the next one."""
_MOST_FOUND_FPS = 60.0
_CLEARLY_MORE = 1.02


class Pace:
    """Places for the frames of one stream.

    Args:
        fps: of the file.
    """

    def __init__(self, fps: float) -> None:
        self.fps = fps
        self.most = max(1, round(MOST_REPEATED_S * fps))
        self._next = 0
        self._origin_s: float | None = None
        self._last_s = 0.0

    def repeats(self, time_s: float | None) -> int | None:
        """How often the frame before it is shown again, up to ``most``, until this one is.

        Args:
            time_s: of the frame; None follows the one before. Times that go back are a new start.

        Returns:
            None if this one is left out: all places up to now are taken.
        """
        again = 0
        if time_s is not None:
            if self._origin_s is None or time_s < self._last_s:
                self._origin_s = time_s - self._next / self.fps
            self._last_s = time_s
            ahead = (time_s - self._origin_s) * self.fps - self._next
            if ahead < -_SLACK:
                return None
            again = round(ahead) if ahead > _SLACK else 0
            if again > self.most:
                self._origin_s += (again - self.most) / self.fps
                again = self.most
        self._next += again + 1
        return again


def rate_of(times_s: Sequence[float | None], told: float = 0.0) -> float:
    """The rate of a file for frames of which these are the first.

    Args:
        times_s: when each is shown.
        told: what their source says it is, 0.0 if nothing. Of a video whose rate varies it is the
            average, and too few where it begins with more.
    """
    known = [time_s for time_s in times_s if time_s is not None]
    steps = [after - before for before, after in pairwise(known) if after > before]
    if not steps:
        return told or UNKNOWN_FPS
    usual = [step for step in steps if step < 1.5 * median(steps)]  # frames may be missing
    found = min(len(usual) / sum(usual), _MOST_FOUND_FPS)
    if told and found < told * _CLEARLY_MORE:
        return told
    whole = round(found)
    return float(whole) if abs(found - whole) <= 0.01 * found else found

"""What a pipeline counts while it runs, readable at any time from any thread, in flat memory."""

from __future__ import annotations

import threading

import msgspec

from edge_sdk.pipeline.frames import Frame
from edge_sdk.spec import Word
from edge_sdk.telemetry.histogram import LogTally, percentile

_MOST_WARNINGS = 50
"""A camera that comes and goes for a month must not fill the memory with its story."""


class Spread(Word, frozen=True, kw_only=True):
    """Milliseconds of many; percentiles are right within 1 %, null if there were none."""

    p50: float | None
    p99: float | None
    most: float


class StageReport(Word, frozen=True, kw_only=True):
    """One stage.

    Attributes:
        frames: how many it has worked on.
        ms: what one took.
    """

    frames: int
    ms: Spread


class PipelineReport(Word, frozen=True, kw_only=True):
    """A pipeline, while it runs or at its end.

    Unless it ended with an error, ``taken`` is ``done`` + ``dropped`` + what is under way.

    Attributes:
        taken: frames that the sources gave.
        done: frames that reached the sinks.
        dropped: the others, by stage and reason: ``"before faces: overtaken"``.
        seconds, fps: since the start, and frames done a second.
        missed: what reached a sink and got no further from there, by sink and reason.
        age_ms: from a frame's being taken until the sinks were done with it.
        stages: by name, the sinks among them.
        warnings: what a person should know.
    """

    taken: int
    done: int
    dropped: dict[str, int]
    seconds: float
    fps: float
    age_ms: Spread
    stages: dict[str, StageReport]
    missed: dict[str, int] = msgspec.field(default_factory=dict)
    warnings: tuple[str, ...] = ()


class _Times:
    def __init__(self) -> None:
        self.tally, self.count, self.most = LogTally(), 0, 0.0

    def observe(self, seconds: float) -> None:
        ms = seconds * 1000
        self.tally.observe(ms)
        self.count += 1
        self.most = max(self.most, ms)

    def spread(self) -> Spread:
        word = self.tally.word()
        half, most = percentile(word, 0.5), percentile(word, 0.99)
        return Spread(
            p50=None if half is None else round(half, 3),
            p99=None if most is None else round(min(most, self.most), 3),
            most=round(self.most, 3),
        )


class Metrics:
    """The counters behind ``PipelineReport``."""

    def __init__(self, started_s: float) -> None:
        self._lock = threading.Lock()
        self._started_s = started_s
        self._taken = self._done = 0
        self._dropped: dict[str, int] = {}
        self._missed: dict[str, int] = {}
        self._age = _Times()
        self._stages: dict[str, _Times] = {}
        self._warnings: list[str] = []
        self._under_way: dict[int, tuple[str, Frame]] = {}
        self._ended_s: float | None = None
        self._moves = 0

    def start(self, now_s: float) -> None:
        """The first frame may come now; frames a second are counted from here."""
        self._started_s = now_s

    def end(self, now_s: float) -> None:
        """No frame comes any more."""
        self._ended_s = now_s

    def moves(self) -> int:
        """How often something has happened to a frame."""
        return self._moves

    def under_way(self) -> list[tuple[str, Frame]]:
        """What stages and sinks are at, now."""
        return list(self._under_way.values())

    def take(self) -> None:
        """A source gave a frame."""
        with self._lock:
            self._moves += 1
            self._taken += 1

    def drop(self, where: str, reason: str, count: int = 1) -> None:
        """Frames went no further."""
        self._count(self._dropped, f"{where}: {reason}", count)

    def miss(self, sink: str, reason: str, count: int = 1) -> None:
        """What a sink had to leave out of what it was given."""
        self._count(self._missed, f"{sink}: {reason}", count)

    def _count(self, counters: dict[str, int], key: str, count: int) -> None:
        if count:
            with self._lock:
                counters[key] = counters.get(key, 0) + count

    def begin(self, stage: str, frame: Frame) -> None:
        """A stage begins to work on a frame, in this thread."""
        self._under_way[threading.get_ident()] = stage, frame

    def work(self, stage: str, seconds: float, frames: int = 1) -> None:
        """A stage worked so long on so many frames, together."""
        with self._lock:
            self._moves += 1
            self._under_way.pop(threading.get_ident(), None)
            times = self._stages.setdefault(stage, _Times())
            for _ in range(frames):
                times.observe(seconds / frames)

    def finish(self, age_s: float) -> None:
        """A frame reached the sinks."""
        with self._lock:
            self._done += 1
            self._age.observe(age_s)

    def warn(self, text: str) -> None:
        """Something a person should know; said once."""
        with self._lock:
            if text not in self._warnings and len(self._warnings) < _MOST_WARNINGS:
                self._warnings.append(text)

    def report(self, now_s: float) -> PipelineReport:
        """All of it as it stands."""
        with self._lock:
            seconds = (now_s if self._ended_s is None else self._ended_s) - self._started_s
            return PipelineReport(
                taken=self._taken,
                done=self._done,
                dropped=dict(sorted(self._dropped.items())),
                seconds=round(seconds, 3),
                fps=round(self._done / seconds, 2) if seconds > 0 else 0.0,
                age_ms=self._age.spread(),
                stages={
                    name: StageReport(frames=times.count, ms=times.spread())
                    for name, times in self._stages.items()
                },
                missed=dict(sorted(self._missed.items())),
                warnings=tuple(self._warnings),
            )

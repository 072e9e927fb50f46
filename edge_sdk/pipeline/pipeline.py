"""Source, stages, sinks: frames flow through them, each lane in a thread of its own.

    pipeline = Pipeline(camera, stages=[faces, blur], sinks=[screen])
    print(pipeline.run())

What a source, a stage and a sink are is said below by ``FrameSource``, ``Stage`` and ``FrameSink``.

Between two lanes lies a ``Channel`` of bounded size, so memory is flat and a slow stage holds the
fast ones back (``block``) or makes frames drop (``latest``, ``oldest``). A live source drops by
itself, a file never. OpenCV and the engines work outside of Python's lock, so decoding, inference
and drawing overlap.

With ``latest`` and a capacity of 1 a frame that meets a busy model waits until the model is free,
or is overtaken by the next: its age at the sink is at most one period and the work itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from typing import Any, Literal, Protocol

from edge_sdk.errors import EdgeError, UsageError
from edge_sdk.pipeline.channel import Channel, Policy
from edge_sdk.pipeline.clock import Clock, WallClock
from edge_sdk.pipeline.frames import Frame
from edge_sdk.pipeline.metrics import Metrics, PipelineReport

FILE_CAPACITY, LIVE_CAPACITY = 4, 1
_PATIENCE_S = 10.0


class Refused(Exception):
    """Raised by a stage: this frame goes no further; the reason is counted."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Running(Protocol):
    """What a source may ask of the pipeline it feeds."""

    clock: Clock
    metrics: Metrics

    @property
    def stopping(self) -> bool:
        """Whether it is to end."""

    def pause(self, seconds: float) -> None:
        """Wait, at most until the pipeline stops."""

    def stop(self) -> None:
        """End the run."""

    def report(self) -> PipelineReport:
        """How it goes."""


class FrameSource(Protocol):
    """Gives frames; pulled by one thread.

    Attributes:
        name: what its frames are called after (``Frame.stream``).
        live: whether it goes on whether anybody looks or not.
        fps: frames a second, 0.0 if that is not known.
    """

    name: str
    live: bool
    fps: float

    def stream(self, running: Running) -> Iterator[Frame]:
        """Its frames, until there are no more or ``running.stopping``."""


class Stage(Protocol):
    """Works on frames, one at a time, in one thread.

    Four things more are done for a stage that has them: ``inline = True`` puts a cheap one into
    the thread of the one before it; ``begin(running)`` is called before the first frame, of a sink
    too; and one with ``most``, a number over 1, gets up to so many waiting frames at once, of
    whatever streams, by ``process_many(frames)``, which answers as many frames in the same order.
    One that is a context manager is used as such around the run.

    Attributes:
        name: for errors, metrics and ``Frame.answers``.
    """

    name: str

    def process(self, frame: Frame) -> Frame:
        """The frame that goes on.

        Raises:
            Refused: it goes no further.
        """


class FrameSink(Protocol):
    """Where frames end. Used as a context manager around the run, if it is one."""

    name: str

    def take(self, frame: Frame) -> None:
        """Take the next frame."""


class Pipeline:
    """See above; runs once. A picture without a single pixel never enters: dropped, and counted.

    Args:
        sources: one, or several whose frames mix; ``Frame.stream`` tells them apart.
        stages: in order.
        sinks: every one gets every frame that arrives.
        policy: of all queues; None is ``latest`` if any source is live, else ``block``.
        capacity: of every queue; None is 1 for live sources, else 4.
        on_error: what a stage's exception does: ``stop`` ends the run with it, ``skip`` drops the
            frame and counts it.
        clock: where time and threads come from.

    Raises:
        UsageError: nothing to pull from, or two stages or sources of one name.
    """

    def __init__(
        self,
        sources: FrameSource | Sequence[FrameSource],
        stages: Sequence[Stage] = (),
        sinks: Sequence[FrameSink] = (),
        *,
        policy: Policy | None = None,
        capacity: int | None = None,
        on_error: Literal["stop", "skip"] = "stop",
        clock: Clock | None = None,
    ) -> None:
        self.sources = list(sources) if isinstance(sources, Sequence) else [sources]
        if not self.sources:
            raise UsageError("A pipeline needs a source.", "Pipeline(open_video('clip.mp4'), …)")
        names = [stage.name for stage in stages] + [sink.name for sink in sinks]
        if double := _double(names):
            raise UsageError(f"Two stages are called {double!r}.", "Give each its own name.")
        # What remembers anything, remembers it by stream: of two alike, one would be the other's.
        if double := _double([source.name for source in self.sources]):
            raise UsageError(
                f"Two sources are called {double!r}.", "Rename one: source.name = 'left'"
            )
        self.clock: Clock = clock or WallClock()
        live = any(source.live for source in self.sources)
        self._policy: Policy = policy or ("latest" if live else "block")
        self._capacity = capacity or (LIVE_CAPACITY if live else FILE_CAPACITY)
        self._on_error = on_error
        self.metrics = Metrics(self.clock.now())
        self._sinks = list(sinks)
        self._lanes = _lanes(stages)
        self._channels: list[Channel[Frame]] = [self._channel(lane[0].name) for lane in self._lanes]
        self._channels.append(self._channel("sinks"))
        self._failure: BaseException | None = None
        self._stopping = False
        self._stopped = self.clock.condition()
        self._open_sources = len(self.sources)
        self._idle = self.clock.condition()
        self._at_work = 0

    @property
    def stopping(self) -> bool:
        """Whether it is to end."""
        return self._stopping

    def pause(self, seconds: float) -> None:
        """Wait, at most until the pipeline stops."""
        until = self.clock.now() + seconds
        with self._stopped:
            while not self._stopping and (left := until - self.clock.now()) > 0:
                self._stopped.wait(left)

    def stop(self) -> None:
        """End the run from any thread: sources stop, what is under way is finished."""
        with self._stopped:
            self._stopping = True
            self._stopped.notify_all()

    def report(self) -> PipelineReport:
        """How it goes, now."""
        return self.metrics.report(self.clock.now())

    def run(self) -> PipelineReport:
        """Run until the sources end or ``stop`` is called.

        Raises:
            EdgeError: a source, stage or sink failed; the message names it.
        """
        with ExitStack() as stack:
            parts: list[Any] = [*self._sinks, *(stage for lane in self._lanes for stage in lane)]
            for part in parts:
                if hasattr(part, "__enter__"):
                    stack.enter_context(part)
            self.metrics = Metrics(self.clock.now())
            for part in parts:
                if hasattr(part, "begin"):
                    part.begin(self)
            self.metrics.start(self.clock.now())  # getting ready may have taken seconds
            self._at_work = len(self.sources) + len(self._lanes) + 1
            for source in self.sources:
                self.clock.start(source.name, self._guarded(source.name, self._pull, source))
            for at, lane in enumerate(self._lanes):
                self.clock.start(lane[0].name, self._guarded(lane[0].name, self._work, at))
            self.clock.start("sinks", self._guarded("sinks", self._sink))
            try:
                self._wait_for_all()
            except KeyboardInterrupt:
                self.stop()
                self._wait_for_all(_PATIENCE_S)
                raise
            if self._failure is not None:
                raise self._failure
        return self.report()

    def _wait_for_all(self, patience_s: float | None = None) -> None:
        """Until no thread is at work; after a failure, or with patience, no longer than that.

        Not by ``Thread.join``: a Ctrl-C within it makes Python 3.11 take the thread for ended.
        """
        until: float | None = None
        with self._idle:
            while self._at_work:
                now = self.clock.now()
                if until is None and (patience_s is not None or self._failure is not None):
                    until = now + (_PATIENCE_S if patience_s is None else patience_s)
                if until is not None and now >= until:
                    return
                self._idle.wait(0.5)  # in slices: a wait without end would hold Ctrl-C back

    def _channel(self, before: str) -> Channel[Frame]:
        def overtaken(_: Frame) -> None:
            self.metrics.drop(f"before {before}", "overtaken")

        return Channel(
            self.clock, self._capacity, self._policy, overtaken, lambda frame: frame.stream
        )

    def _guarded(self, name: str, work: Callable[..., None], *args: Any) -> Callable[[], None]:
        def body() -> None:
            try:
                work(*args)
            except BaseException as error:  # noqa: BLE001 - whatever it is, the run ends with it
                self._fail(placed(error, name))
            finally:
                with self._idle:
                    self._at_work -= 1
                    self._idle.notify_all()

        return body

    def _fail(self, error: BaseException) -> None:
        if self._failure is None:
            self._failure = error
        self.stop()
        for channel in self._channels:
            self.metrics.drop("ended", "after an error", channel.abandon())

    def _pull(self, source: FrameSource) -> None:
        first = self._channels[0]
        try:
            for frame in source.stream(self):
                self.metrics.take()
                if not frame.picture.size:
                    self.metrics.drop(source.name, "an empty picture")
                elif not first.put(frame):
                    self.metrics.drop("ended", "after an error")
                    break
                if self._stopping:
                    break
        finally:
            with self._stopped:
                self._open_sources -= 1
                last = self._open_sources == 0
            if last:
                first.end()

    def _work(self, at: int) -> None:
        lane, here, onward = self._lanes[at], self._channels[at], self._channels[at + 1]
        most = max(getattr(stage, "most", 1) for stage in lane)
        try:
            while frames := here.take(most):
                for stage in lane:
                    frames = self._through(stage, frames)
                for frame in frames:
                    if not onward.put(frame):
                        self.metrics.drop("ended", "after an error")
        finally:
            onward.end()

    def _through(self, stage: Stage, frames: list[Frame]) -> list[Frame]:
        passed: list[Frame] = []
        if len(frames) > 1 and getattr(stage, "most", 1) > 1:
            return self._through_at_once(stage, frames)
        for frame in frames:
            started = self.clock.now()
            try:
                passed.append(stage.process(frame))
            except Refused as refusal:
                self.metrics.drop(stage.name, refusal.reason)
            except Exception as error:
                if self._on_error == "stop":
                    raise placed(error, stage.name, frame) from error
                self.metrics.drop(stage.name, f"failed with {type(error).__name__}")
                self.metrics.warn(str(placed(error, stage.name, frame)))
            finally:
                self.metrics.work(stage.name, self.clock.now() - started)
        return passed

    def _through_at_once(self, stage: Any, frames: list[Frame]) -> list[Frame]:
        started = self.clock.now()
        try:
            passed: list[Frame] = stage.process_many(frames)
        except Refused as refusal:
            self.metrics.drop(stage.name, refusal.reason, len(frames))
            return []
        except Exception as error:
            if self._on_error == "stop":
                raise placed(error, stage.name, frames[0]) from error
            self.metrics.drop(stage.name, f"failed with {type(error).__name__}", len(frames))
            self.metrics.warn(str(placed(error, stage.name, frames[0])))
            return []
        each_s = (self.clock.now() - started) / len(frames)
        for _ in frames:
            self.metrics.work(stage.name, each_s)
        return passed

    def _sink(self) -> None:
        while frames := self._channels[-1].take():
            for frame in frames:
                for sink in self._sinks:
                    started = self.clock.now()
                    try:
                        sink.take(frame)
                    except Exception as error:
                        raise placed(error, sink.name, frame) from error
                    self.metrics.work(sink.name, self.clock.now() - started)
                self.metrics.finish(self.clock.now() - frame.taken_s)


def _double(names: Sequence[str]) -> str | None:
    return next((name for name in names if names.count(name) > 1), None)


def _lanes(stages: Sequence[Stage]) -> list[list[Stage]]:
    """Stages by thread: an inline one joins the one before it."""
    lanes: list[list[Stage]] = []
    for stage in stages:
        if lanes and getattr(stage, "inline", False):
            lanes[-1].append(stage)
        else:
            lanes.append([stage])
    return lanes


def placed(error: BaseException, name: str, frame: Frame | None = None) -> BaseException:
    """The error with its place in front; what is none of ours becomes one of ours, once."""
    if getattr(error, "_placed", False) or not isinstance(error, Exception):
        return error
    where = f"{name!r}" if frame is None else f"{name!r}, at frame {frame.index} of {frame.source}"
    ours: EdgeError
    if isinstance(error, EdgeError):
        ours = error
        ours.message = f"In {where}: {error.message}"
    else:
        ours = UsageError(
            f"In {where}: {type(error).__name__}: {error}.",
            "Mend that stage, or skip what it fails on: Pipeline(…, on_error='skip')",
        )
        ours.__cause__ = error
    ours._placed = True  # type: ignore[attr-defined]
    return ours

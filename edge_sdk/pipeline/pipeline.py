"""Source, stages, sinks: frames flow through them, each lane in a thread of its own.

    pipeline = Pipeline(camera, stages=[faces, blur], sinks=[screen])
    print(pipeline.run())

What a source, a stage and a sink are is said in ``parts``.

Between two lanes lies a ``Channel`` of bounded size, so memory is flat and a slow stage holds the
fast ones back (``block``) or makes frames drop (``latest``, ``oldest``). A live source drops by
itself, a file never. OpenCV and the engines work outside of Python's lock, so decoding, inference
and drawing overlap.

With ``latest`` and a capacity of 1 a frame that meets a busy model waits until the model is free,
or is overtaken by the next: its age at the sink is at most one period and the work itself.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from typing import Any, Literal, get_args

from edge_sdk.errors import UsageError
from edge_sdk.pipeline.channel import Channel, Policy
from edge_sdk.pipeline.clock import Clock, WallClock
from edge_sdk.pipeline.failures import placed
from edge_sdk.pipeline.frames import Frame
from edge_sdk.pipeline.lane import Lane, rows_of
from edge_sdk.pipeline.metrics import Metrics, PipelineReport
from edge_sdk.pipeline.parts import FrameSink, FrameSource, Stage
from edge_sdk.text import nearest

FILE_CAPACITY, LIVE_CAPACITY = 4, 1
_PATIENCE_S = 10.0


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
        on_done: is told of every frame that the sinks are done with: for a person who waits.
        clock: where time and threads come from.

    Raises:
        UsageError: nothing to pull from, two stages or sources of one name, or no such policy.
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
        on_done: Callable[[Frame], None] | None = None,
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
        _refuse_unknown("policy", policy, (*get_args(Policy), None))
        _refuse_unknown("on_error", on_error, ("stop", "skip"))
        if capacity is not None and capacity < 1:
            raise UsageError(f"A queue of {capacity} holds nothing.", "Give 1 or more, or None.")
        live = any(source.live for source in self.sources)
        self._policy: Policy = policy or ("latest" if live else "block")
        self._capacity = capacity or (LIVE_CAPACITY if live else FILE_CAPACITY)
        self.metrics = Metrics(self.clock.now())
        self._sinks = list(sinks)
        self._on_done = on_done or (lambda _: None)
        rows = rows_of(stages)
        places = [*(lane[0][0].name for lane in rows), "sinks"]
        self._channels = [self._channel(place) for place in places]
        self._lanes = [
            Lane(
                lane,
                *self._channels[at : at + 2],
                clock=self.clock,
                metrics=self.metrics,
                skip=on_error == "skip",
            )
            for at, lane in enumerate(rows)
        ]
        self._failure: BaseException | None = None
        self._begun = self._stopping = False
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
        if self._begun:
            raise UsageError("A pipeline runs once.", "Make another: Pipeline(…).run()")
        self._begun = True
        with ExitStack() as stack:
            rows = [(lane, row) for lane in self._lanes for row in lane.rows]
            parts: list[Any] = [*self._sinks, *(stage for _, row in rows for stage in row)]
            for part in parts:
                if hasattr(part, "__enter__"):
                    stack.enter_context(part)
            for part in parts:
                if hasattr(part, "begin"):
                    part.begin(self)
            self.metrics.start(self.clock.now())  # getting ready may have taken seconds
            self._at_work = len(self.sources) + len(rows) + 1
            for source in self.sources:
                self.clock.start(source.name, self._guarded(source.name, self._pull, source))
            for lane, row in rows:
                self.clock.start(lane.name, self._guarded(lane.name, lane.work, row))
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
                self._on_done(frame)


def _refuse_unknown(option: str, given: str | None, choices: Sequence[str | None]) -> None:
    if given not in choices:
        names = [name for name in choices if name is not None]
        raise UsageError(f"There is no {option} {given!r}.", nearest(str(given), names))


def _double(names: Sequence[str]) -> str | None:
    return next((name for name in names if names.count(name) > 1), None)

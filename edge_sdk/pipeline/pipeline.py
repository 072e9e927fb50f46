"""Source, stages, sinks: frames flow through them, each lane in a thread of its own.

    pipeline = Pipeline(camera, stages=[faces, blur], sinks=[screen])
    print(pipeline.run())

What a source, a stage and a sink are is said in ``parts``.

Between two lanes lies a ``Channel`` of bounded size, so memory is flat and a slow stage holds the
fast ones back (``block``) or makes frames drop (``latest``, ``oldest``). A live source drops by
itself, a file never. OpenCV and the engines work outside of Python's lock, so decoding, inference
and drawing overlap.

With ``latest`` and a capacity of 1 a frame that meets a busy model waits until the model is free,
or is overtaken by the next: its age at the sink is at most one period and the work itself. Each
further stage that is slower than the source may keep it waiting once more, until the next comes
along: at most as long as the slowest before it takes. (The last frame of all, which none overtakes,
may wait for as long as each stage takes.)
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from typing import Any, Literal, get_args

from edge_sdk.errors import UnavailableError, UsageError
from edge_sdk.pipeline.channel import Channel, Policy
from edge_sdk.pipeline.clock import Clock, WallClock
from edge_sdk.pipeline.crew import PATIENCE_S, Crew, Member
from edge_sdk.pipeline.failures import Placed, placed, placing
from edge_sdk.pipeline.frames import Frame
from edge_sdk.pipeline.lane import Lane, rows_of
from edge_sdk.pipeline.metrics import Metrics, PipelineReport
from edge_sdk.pipeline.parts import FrameSink, FrameSource, Stage, parts_of
from edge_sdk.text import nearest

FILE_CAPACITY, LIVE_CAPACITY = 4, 1


class Pipeline:
    """See above; runs once. A picture without a single pixel never enters: dropped, and counted.

    Args:
        sources: one, or several whose frames mix; ``Frame.stream`` tells them apart.
        stages: in order.
        sinks: every one gets every frame that arrives.
        policy: of all queues; None is ``latest`` for what live sources give, else ``block``.
        capacity: of every queue, for each stream; None is 1 if any source is live, else 4.
        on_error: what a stage's exception does: ``stop`` ends the run with it, ``skip`` drops the
            frame and counts it.
        on_done: is told of every frame that the sinks are done with: for a person who waits.
        clock: where time and threads come from.

    Raises:
        UsageError: nothing to pull from, something that is no source, stage or sink, two stages or
            sources of one name, or no such policy.
    """

    def __init__(
        self,
        sources: FrameSource | Sequence[FrameSource],
        stages: Stage | Sequence[Stage] = (),
        sinks: FrameSink | Sequence[FrameSink] = (),
        *,
        policy: Policy | None = None,
        capacity: int | None = None,
        on_error: Literal["stop", "skip"] = "stop",
        on_done: Callable[[Frame], None] | None = None,
        clock: Clock | None = None,
    ) -> None:
        self.sources: list[FrameSource] = parts_of(sources, "source")
        if not self.sources:
            raise UsageError("A pipeline needs a source.", "Pipeline(open_source('clip.mp4'), …)")
        stages = parts_of(stages, "stage")
        self._sinks: list[FrameSink] = parts_of(sinks, "sink")
        names = [part.name for part in (*stages, *self._sinks)]
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
        if capacity is not None and (not isinstance(capacity, int) or capacity < 1):
            raise UsageError(f"A queue of {capacity!r} holds nothing.", "Give 1 or more, or None.")
        live = any(source.live for source in self.sources)
        self._policy: Policy = policy or ("latest" if live else "block")
        self._patient = set() if policy else {each.name for each in self.sources if not each.live}
        self._capacity = capacity or (LIVE_CAPACITY if live else FILE_CAPACITY)
        self.metrics = Metrics(self.clock.now())
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
        self._crew = Crew(self.clock, self.metrics.moves, self._fail, self._ended)

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
            EdgeError: a source, stage or sink failed, or hangs when it is to end; the message names
                it.
        """
        if self._begun:
            raise UsageError("A pipeline runs once.", "Make another: Pipeline(…).run()")
        self._begun = True
        with ExitStack() as stack:
            rows = [(lane, row) for lane in self._lanes for row in lane.rows]
            parts: list[Any] = [*self._sinks, *(stage for _, row in rows for stage in row)]
            for part in parts:
                if hasattr(part, "__enter__"):
                    stack.enter_context(Placed(part))
            for part in parts:
                if hasattr(part, "begin"):
                    with placing(part.name):
                        part.begin(self)
            self.metrics.start(self.clock.now())  # getting ready may have taken seconds
            for source in self.sources:
                member = Member(source.name, source=True)
                self._crew.enlist(member, self._pull, source, member)
            for lane, row in rows:
                self._crew.enlist(Member(lane.name), lane.work, row)
            self._crew.enlist(Member("sinks"), self._sink)
            try:
                all_ended = self._crew.wait(lambda: self._stopping)
            except KeyboardInterrupt:
                self.stop()
                self._crew.wait(lambda: True)
                raise
            self.metrics.end(self.clock.now())  # closing a file is no frame's time
            if self._failure is not None:
                raise self._failure
            if not all_ended:
                raise self._hanging()
        return self.report()

    def _hanging(self) -> UnavailableError:
        doing = self.metrics.under_way()
        where = " and ".join(
            f"{name!r} (at frame {frame.index} of {frame.source})" for name, frame in doing
        )
        return UnavailableError(
            f"The run was to end, and for {PATIENCE_S:g} s nothing has moved: "
            f"{where or ', '.join(map(repr, self._crew.names))} hangs.",
            "OwnProcess(…, limit_s=2.0)   # a stage that hangs is ended there",
        )

    def _channel(self, before: str) -> Channel[Frame]:
        def overtaken(_: Frame) -> None:
            self.metrics.drop(f"before {before}", "overtaken")

        return Channel(
            self.clock, self._capacity, self._policy_of, overtaken, lambda frame: frame.stream
        )

    def _policy_of(self, frame: Frame) -> Policy:
        return "block" if frame.stream in self._patient else self._policy

    def _fail(self, error: BaseException, name: str) -> None:
        if self._failure is None:
            self._failure = placed(error, name)
        self.stop()
        for channel in self._channels:
            self.metrics.drop("ended", "after an error", channel.abandon())

    def _pull(self, source: FrameSource, member: Member) -> None:
        first = self._channels[0]
        for frame in source.stream(self):
            if member.left_behind:
                return
            self.metrics.take()
            if not frame.picture.size:
                self.metrics.drop(source.name, "an empty picture")
            elif not first.put(frame):
                self.metrics.drop(
                    "ended", "left behind" if member.left_behind else "after an error"
                )
                return
            if self._stopping:
                return

    def _ended(self, member: Member) -> None:
        """With the last source, the first queue gets no more."""
        self._open_sources -= member.source
        if member.source and not self._open_sources:
            self._channels[0].end()

    def _sink(self) -> None:
        while frames := self._channels[-1].take():
            for frame in frames:
                for sink in self._sinks:
                    self.metrics.begin(sink.name, frame)
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

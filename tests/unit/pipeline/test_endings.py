"""How a run ends: what hangs is left behind and named, and errors name their part."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from edge_sdk.errors import UnavailableError, UsageError
from edge_sdk.pipeline.channel import Channel
from edge_sdk.pipeline.crew import PATIENCE_S, SOURCE_PATIENCE_S
from edge_sdk.pipeline.fake_clock import FakeClock
from edge_sdk.pipeline.frames import Frame
from edge_sdk.pipeline.parts import Running
from edge_sdk.pipeline.pipeline import Pipeline
from edge_sdk.pipeline.stages import Parallel
from tests.unit.pipeline.test_pipeline import Camera, Kept, Work

FOR_EVER_S = 10**6


@dataclass
class Stopper(Kept):
    """Stops the run at a frame."""

    at: int = 5
    pipeline: Pipeline | None = None

    def take(self, frame: Frame) -> None:
        super().take(frame)
        if frame.index == self.at and self.pipeline is not None:
            self.pipeline.stop()


def hangs_at(clock: FakeClock, index: int, name: str = "model") -> Work:
    def does(frame: Frame) -> Frame:
        if frame.index == index:
            clock.sleep(FOR_EVER_S)
        return frame

    return Work(clock, 0.01, name, does)


def test_a_stage_that_hangs_when_the_run_is_to_end_is_named_and_left_behind():
    clock = FakeClock()
    sink = Stopper(clock, at=5)
    model = hangs_at(clock, 6)
    pipeline = Pipeline(
        Camera(100, live=False), [model, Work(clock, name="next")], [sink], clock=clock
    )
    sink.pipeline = pipeline
    with pytest.raises(UnavailableError) as caught:
        pipeline.run()
    assert (
        "for 10 s nothing has moved: 'model' (at frame 6 of camera) hangs." in caught.value.message
    )
    assert "limit_s" in caught.value.hint
    assert clock.now() < 30
    assert sink.left_with is UnavailableError  # what it wrote is not whole


def test_a_sink_that_hangs_is_named():
    clock = FakeClock()

    class Stuck(Kept):
        def take(self, frame: Frame) -> None:
            if frame.index == 3:
                pipeline.stop()
                clock.sleep(FOR_EVER_S)

    pipeline = Pipeline(Camera(100), [Work(clock, 0.01)], [Stuck(clock, "screen")], clock=clock)
    with pytest.raises(UnavailableError, match=r"'screen' \(at frame 3 of camera\) hangs"):
        pipeline.run()
    assert clock.now() < 30


def test_who_is_slow_is_not_taken_for_hanging():
    clock = FakeClock()
    slow = Work(clock, 0.9 * PATIENCE_S)
    sink = Stopper(clock, at=1)
    pipeline = Pipeline(Camera(100, live=False), [slow], [sink], clock=clock)
    sink.pipeline = pipeline
    report = pipeline.run()  # four more wait in the queue: 36 s
    assert report.taken == report.done >= 4
    assert clock.now() > 3 * PATIENCE_S
    assert sink.left_with is None


@pytest.mark.parametrize("lanes", [1, 2, 3])
def test_a_source_that_waits_at_a_full_queue_hands_no_frame_over_that_nobody_counts(lanes: int):
    clock = FakeClock()
    slow = [Work(clock, 0.9 * PATIENCE_S, "slow") for _ in range(lanes)]
    sink = Stopper(clock, at=1)
    pipeline = Pipeline(Camera(100, live=False), [Parallel(slow)], [sink], clock=clock, capacity=1)
    sink.pipeline = pipeline
    report = pipeline.run()
    assert report.done >= 2
    assert report.taken == report.done + sum(report.dropped.values())


def test_a_queue_that_has_ended_takes_nothing():
    clock = FakeClock()
    channel: Channel[int] = Channel(clock, 1)
    answers: list[bool] = []

    def put_two() -> None:
        answers.append(channel.put(1))
        answers.append(channel.put(2))  # waits for room

    def end() -> None:
        clock.sleep(1)
        channel.end()

    clock.start("puts", put_two)
    clock.start("ends", end)
    clock.sleep(2)
    assert answers == [True, False]
    assert channel.take(5) == [1]


def test_a_source_that_hangs_is_left_behind_and_what_came_is_kept():
    clock = FakeClock()
    sink = Stopper(clock, at=5)

    class Driver(Camera):
        def stream(self, running: Running) -> Iterator[Frame]:
            yield from Camera(6).stream(running)
            clock.sleep(60)
            yield from Camera(2).stream(running)  # nobody takes it any more
            raise UnavailableError("The driver has come back, too late.")

    pipeline = Pipeline(
        [Driver(), Camera(10**6, name="well")], [Work(clock, 0.01)], [sink], clock=clock
    )
    sink.pipeline = pipeline
    report = pipeline.run()
    assert report.taken == report.done + sum(report.dropped.values())
    assert sink.left_with is None
    assert SOURCE_PATIENCE_S <= clock.now() < 5
    clock.sleep(120)
    assert pipeline.report() == report


def test_a_source_that_hangs_before_its_first_frame_can_be_stopped():
    clock = FakeClock()

    class Silent(Camera):
        def stream(self, running: Running) -> Iterator[Frame]:
            clock.sleep(60)
            yield from Camera(1).stream(running)

    pipeline = Pipeline(Silent(), [Work(clock)], [Kept(clock)], clock=clock)
    clock.start("person", lambda: (clock.sleep(3), pipeline.stop()))
    assert pipeline.run().taken == 0
    assert clock.now() < 3 + SOURCE_PATIENCE_S + 1


class Broken(Kept):
    """Fails where it is told to."""

    where = ""

    def __enter__(self) -> Broken:
        self._fail("enter")
        return self

    def begin(self, running: Running) -> None:
        self._fail("begin")

    def __exit__(self, kind: object, *_: object) -> None:
        self._fail("exit")

    def _fail(self, here: str) -> None:
        if here == self.where:
            raise RuntimeError(f"no {here}")


@pytest.mark.parametrize("where", ["enter", "begin", "exit"])
def test_a_part_that_cannot_begin_or_end_is_named(where: str):
    clock = FakeClock()
    sink = Broken(clock, "screen")
    sink.where = where
    with pytest.raises(UsageError) as caught:
        Pipeline(Camera(3, live=False), [Work(clock)], [sink], clock=clock).run()
    assert caught.value.message == f"In 'screen': RuntimeError: no {where}."
    assert isinstance(caught.value.__cause__, RuntimeError)
    assert "on_error" not in caught.value.hint


def test_only_a_stage_can_be_skipped():
    def hint(**parts: object) -> str:
        clock = FakeClock()
        sink = Kept(clock)
        if "sink" in parts:
            sink.take = lambda _: 1 / 0  # type: ignore[method-assign]
        stage = Work(clock, does=lambda _: 1 / 0) if "stage" in parts else Work(clock)
        source = Camera(3, live=False)
        if "source" in parts:
            source.stream = lambda _: 1 / 0  # type: ignore[method-assign]
        with pytest.raises(UsageError) as caught:
            Pipeline(source, [stage], [sink], clock=clock).run()
        return caught.value.hint

    assert "on_error='skip'" in hint(stage=True)
    assert "on_error" not in hint(sink=True)
    assert "on_error" not in hint(source=True)


def test_frames_a_second_are_of_the_run_and_not_of_closing_its_files():
    clock = FakeClock()

    class Slow(Kept):
        def __exit__(self, kind: object, *_: object) -> None:
            clock.sleep(50)

    report = Pipeline(Camera(30), [Work(clock, 0.001)], [Slow(clock)], clock=clock).run()
    assert report.seconds == pytest.approx(1.0, abs=0.01)
    assert report.fps == pytest.approx(30, rel=0.01)


def test_no_percentile_is_above_the_most():
    clock = FakeClock()
    report = Pipeline(Camera(50), [Work(clock)], [Kept(clock)], clock=clock).run()
    for spread in (report.age_ms, *(stage.ms for stage in report.stages.values())):
        assert spread.p50 <= spread.p99 <= spread.most

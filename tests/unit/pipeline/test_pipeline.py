"""Pipelines in a fake clock's time: the very threads and queues of a real run, always the same."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

from edge_sdk.errors import UnavailableError, UsageError
from edge_sdk.pipeline.channel import Channel
from edge_sdk.pipeline.clock import WallClock
from edge_sdk.pipeline.fake_clock import DeadlockError, FakeClock
from edge_sdk.pipeline.frames import Frame
from edge_sdk.pipeline.parts import Refused, Running
from edge_sdk.pipeline.pipeline import Pipeline

PICTURE = np.zeros((4, 4, 3), np.uint8)
PERIOD_S = 1 / 30
MODEL_S = 0.1


@dataclass
class Camera:
    """Takes a frame every period, as long as it is asked to."""

    frames: int = 300
    period_s: float = PERIOD_S
    live: bool = True
    name: str = "camera"

    def stream(self, running: Running) -> Iterator[Frame]:
        for index in range(self.frames):
            running.clock.sleep(self.period_s)
            now = running.clock.now()
            yield Frame(PICTURE, Path(self.name), index, stream=self.name, taken_s=now)


@dataclass
class Work:
    """Takes its time; does what it is told with a frame."""

    clock: FakeClock
    seconds: float = MODEL_S
    name: str = "model"
    does: Callable[[Frame], Frame] = lambda frame: frame
    seen: list[int] = field(default_factory=list)

    def process(self, frame: Frame) -> Frame:
        self.clock.sleep(self.seconds)
        self.seen.append(frame.index)
        return self.does(frame)


@dataclass
class Kept:
    """A sink that remembers; as a context manager, how it was left."""

    clock: FakeClock
    name: str = "kept"
    ages: list[float] = field(default_factory=list)
    frames: list[Frame] = field(default_factory=list)
    left_with: object = "not left"

    def take(self, frame: Frame) -> None:
        self.frames.append(frame)
        self.ages.append(self.clock.now() - frame.taken_s)

    def __enter__(self) -> Kept:
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        self.left_with = kind


def test_the_age_at_the_sink_is_at_most_a_period_and_the_work():
    clock = FakeClock()
    kept = Kept(clock)
    report = Pipeline(Camera(), [Work(clock)], [kept], clock=clock).run()
    assert max(kept.ages) <= PERIOD_S + MODEL_S + 1e-9
    assert report.taken == 300
    # One every 0.1 s from the first frame at 1/30 s to the last at 10 s, which waits its turn.
    assert report.done == len(kept.frames) == 101
    assert kept.frames[-1].index == 299
    assert report.dropped == {"before model: overtaken": 199}
    assert report.fps == pytest.approx(10, rel=0.02)
    assert report.stages["model"].ms.p50 == pytest.approx(100, rel=0.01)
    assert report.age_ms.most <= 1000 * (PERIOD_S + MODEL_S) + 0.001
    indices = [frame.index for frame in kept.frames]
    assert indices == sorted(indices)


def most_age_s(works_s: list[float]) -> float:
    """What the docs promise of a chain of stages."""
    first, *others = works_s
    most, slowest = PERIOD_S + first, max(PERIOD_S, first)
    for work in others:
        most += work + min(work, slowest)
        slowest = max(slowest, work)
    return most


def test_slow_stages_in_a_row_keep_frames_as_fresh_as_promised():
    rand = random.Random(1)
    times_s = (0.001, 0.01, 0.03, 0.033, 0.05, 0.1, 0.11, 0.12, 0.15, 0.2)
    chains = [[0.1, 0.15], [0.1, 0.11, 0.12]]
    chains += [[rand.choice(times_s) for _ in range(rand.randint(1, 4))] for _ in range(30)]
    reached = 0.0
    for chain in chains:
        clock = FakeClock()
        kept = Kept(clock)
        stages = [Work(clock, seconds, f"stage {at}") for at, seconds in enumerate(chain)]
        report = Pipeline(Camera(150), stages, [kept], clock=clock).run()
        assert report.taken == report.done + sum(report.dropped.values())
        overtaken_until = 150 * PERIOD_S - 2 * sum(chain) - 2 * PERIOD_S
        ages = [
            age
            for age, frame in zip(kept.ages, kept.frames, strict=True)
            if frame.taken_s < overtaken_until
        ]
        assert max(ages) <= most_age_s(chain) + 1e-9, chain
        reached = max(reached, max(ages) / most_age_s(chain))
    assert reached == pytest.approx(1), "the promise could be smaller"


def test_a_file_loses_nothing_and_is_held_back():
    clock = FakeClock()
    kept, work = Kept(clock), Work(clock)
    report = Pipeline(Camera(30, 0.0, live=False), [work], [kept], clock=clock).run()
    assert (report.taken, report.done, report.dropped) == (30, 30, {})
    assert work.seen == list(range(30))
    # One at work, four in the queue, one in the source's hand: back-pressure, flat memory.
    assert max(kept.ages) <= 6 * MODEL_S + 1e-9
    assert kept.left_with is None


def test_oldest_makes_room_one_by_one():
    clock = FakeClock()
    work = Work(clock)
    pipeline = Pipeline(Camera(30), [work], policy="oldest", capacity=2, clock=clock)
    report = pipeline.run()
    assert report.taken == 30 == report.done + report.dropped["before model: overtaken"]
    assert work.seen[-1] == 29


def test_the_same_run_twice_is_the_same():
    def once() -> tuple[list[int], object]:
        clock = FakeClock()
        kept = Kept(clock)
        cameras = [Camera(50, 0.033, name="a"), Camera(50, 0.041, name="b")]
        report = Pipeline(cameras, [Work(clock, 0.02)], [kept], clock=clock).run()
        return [(frame.stream, frame.index) for frame in kept.frames], report

    assert once() == once()
    streams = {stream for stream, _ in once()[0]}
    assert streams == {"a", "b"}


def refuse_odd(frame: Frame) -> Frame:
    if frame.index % 2:
        raise Refused("odd")
    return frame


def fail_at_seven(frame: Frame) -> Frame:
    if frame.index == 7:
        raise ValueError("seven")
    return frame


def test_what_a_stage_refuses_is_counted_by_its_reason():
    clock = FakeClock()
    work = Work(clock, does=refuse_odd)
    report = Pipeline(Camera(10, live=False), [work], [Kept(clock)], clock=clock).run()
    assert (report.done, report.dropped) == (5, {"model: odd": 5})


def test_a_stage_that_raises_ends_the_run_with_its_name_and_the_frame():
    clock = FakeClock()
    kept = Kept(clock)
    stages = [Work(clock, does=fail_at_seven), Work(clock, name="next")]
    pipeline = Pipeline(Camera(100, live=False), stages, [kept], clock=clock)
    with pytest.raises(UsageError) as caught:
        pipeline.run()
    assert caught.value.message == "In 'model', at frame 7 of camera: ValueError: seven."
    assert isinstance(caught.value.__cause__, ValueError)
    assert kept.left_with is UsageError  # so that a file of it is not taken for a whole one
    report = pipeline.report()
    assert report.done < 8


def test_a_stage_that_raises_may_be_skipped():
    clock = FakeClock()
    work = Work(clock, does=fail_at_seven)
    pipeline = Pipeline(Camera(10, live=False), [work], clock=clock, on_error="skip")
    report = pipeline.run()
    assert report.done == 9
    assert report.dropped == {"model: failed with ValueError": 1}
    (warning,) = report.warnings
    assert warning == "In 'model', at frame 7 of camera: ValueError: seven."


def test_a_source_and_a_sink_that_fail_are_named():
    clock = FakeClock()

    class Gone(Camera):
        def stream(self, running: Running) -> Iterator[Frame]:
            yield from Camera(3).stream(running)
            raise UnavailableError("The cable is out.", "Plug it in.")

    with pytest.raises(UnavailableError) as caught:
        Pipeline(Gone(), [Work(clock)], clock=clock).run()
    assert caught.value.message == "In 'camera': The cable is out."
    assert caught.value.hint == "Plug it in."
    clock = FakeClock()
    sink = Kept(clock)
    sink.take = lambda _: 1 / 0  # type: ignore[method-assign]
    with pytest.raises(UsageError, match=r"In 'kept', at frame 0 of camera: ZeroDivisionError"):
        Pipeline(Camera(50, live=False), [Work(clock)], [sink], clock=clock).run()


def test_stop_ends_a_live_run_and_finishes_what_is_under_way():
    clock = FakeClock()
    kept = Kept(clock)

    def stop_at_twenty(frame: Frame) -> Frame:
        if frame.index >= 20:
            pipeline.stop()
        return frame

    stages = [Work(clock, 0.01, does=stop_at_twenty)]
    pipeline = Pipeline(Camera(10**6), stages, [kept], clock=clock)
    report = pipeline.run()
    assert 20 <= report.taken <= 22
    assert report.taken == report.done + sum(report.dropped.values())
    assert kept.left_with is None


def test_an_inline_stage_shares_the_thread_of_the_one_before():
    clock = FakeClock()
    cheap = Work(clock, 0.0, "cheap")
    cheap.inline = True  # type: ignore[attr-defined]
    pipeline = Pipeline(Camera(5), [Work(clock, 0.01), cheap], clock=clock)
    assert [[len(row) for row in lane.rows] for lane in pipeline._lanes] == [[2]]
    assert pipeline.run().stages["cheap"].frames == 5


def test_what_cannot_be_a_pipeline():
    clock = FakeClock()
    with pytest.raises(UsageError, match="needs a source"):
        Pipeline([])
    with pytest.raises(UsageError, match="Two stages are called 'model'"):
        Pipeline(Camera(), [Work(clock), Work(clock)])
    with pytest.raises(UsageError, match="Two sources are called 'camera'"):
        Pipeline([Camera(), Camera()])
    with pytest.raises(UsageError, match="no policy 'lastest'") as caught:
        Pipeline(Camera(), policy="lastest")  # a queue without bounds, if it were taken
    assert "Did you mean 'latest'" in caught.value.hint
    with pytest.raises(UsageError, match="no on_error 'ignore'"):
        Pipeline(Camera(), on_error="ignore")
    for capacity in (0, -1):  # none could ever be put into them
        with pytest.raises(UsageError, match=f"A queue of {capacity}"):
            Pipeline(Camera(), capacity=capacity)
    pipeline = Pipeline(Camera(3), clock=clock)
    pipeline.run()
    with pytest.raises(UsageError, match="runs once"):
        pipeline.run()


@pytest.mark.parametrize("answered", [None, PICTURE], ids=["nothing", "a picture"])
def test_a_stage_that_answers_no_frame_has_the_blame_and_not_the_next(answered: object):
    clock = FakeClock()
    forgot = Work(clock, name="forgot", does=lambda _: answered)
    with pytest.raises(UsageError, match=r"In 'forgot', at frame 0 .* answered .*, not a Frame"):
        Pipeline(Camera(3), [forgot, Work(clock)], [Kept(clock)], clock=clock).run()


def test_a_batch_must_come_back_whole():
    clock = FakeClock()

    class Greedy(Work):
        most = 4

        def process_many(self, frames: list[Frame]) -> list[Frame]:
            return frames[:1]

    stages = [Work(clock, 0.001, "first"), Greedy(clock, name="greedy")]
    with pytest.raises(UsageError, match=r"In 'greedy'.*answered 1 frames for"):
        Pipeline(Camera(20, 0.0, live=False), stages, clock=clock).run()


def test_who_waits_is_told_of_every_frame_that_is_done():
    clock = FakeClock()
    kept = Kept(clock)
    told: list[tuple[int, int]] = []
    source = Camera(20, live=False)
    work = Work(clock, does=refuse_odd)
    pipeline = Pipeline(
        *(source, [work], [kept]),
        on_done=lambda frame: told.append((frame.index, len(kept.frames))),
        clock=clock,
    )
    report = pipeline.run()
    assert told == [(2 * at, at + 1) for at in range(10)]  # the sinks have had it
    assert set(report.stages) == {"model", "kept"}


def test_the_same_on_the_wall_clock():
    clock = WallClock()
    seen: list[int] = []

    class Seen:
        name = "seen"

        def take(self, frame: Frame) -> None:
            seen.append(frame.index)

    class Plain:
        name = "plain"

        def process(self, frame: Frame) -> Frame:
            return frame.answered("plain", frame.index)

    report = Pipeline(Camera(200, 0.0, live=False), [Plain()], [Seen()], clock=clock).run()
    assert seen == list(range(200))
    assert (report.taken, report.done, report.dropped) == (200, 200, {})


def test_a_deadlock_is_raised_and_not_waited_for():
    clock = FakeClock()
    channel: Channel[int] = Channel(clock)
    with pytest.raises(DeadlockError):
        channel.take()


def test_a_channel_gives_up_to_so_many_and_ends():
    channel: Channel[int] = Channel(FakeClock(), 5)
    for number in range(5):
        assert channel.put(number)
    assert channel.take(3) == [0, 1, 2]
    channel.end()
    assert (channel.take(9), channel.take()) == ([3, 4], [])
    assert channel.abandon() == 0
    assert not channel.put(1)

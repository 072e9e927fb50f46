"""A stage that is there several times: more frames at once, and out they come as they went in."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

import edge_sdk
from edge_sdk.errors import UsageError
from edge_sdk.pipeline.clock import WallClock
from edge_sdk.pipeline.fake_clock import FakeClock
from edge_sdk.pipeline.frames import Frame
from edge_sdk.pipeline.outputs import Callback
from edge_sdk.pipeline.parts import Refused, Running
from edge_sdk.pipeline.pipeline import Pipeline
from edge_sdk.pipeline.sources import open_source
from edge_sdk.pipeline.stages import Model, Parallel, Tracker
from edge_sdk.processing import read_processing
from examples.assets import asset
from tests.unit.pipeline.test_pipeline import MODEL_S, PERIOD_S, Camera, Kept, Work

ROOT = Path(__file__).parents[3]


@dataclass
class Uneven(Work):
    """Takes as long as the frame says, so that the second is often done before the first."""

    takes: Callable[[int], float] = lambda index: 0.3 if index % 3 == 0 else 0.05
    begun: list[Running] = field(default_factory=list)

    def process(self, frame: Frame) -> Frame:
        self.clock.sleep(self.takes(frame.index))
        self.seen.append(frame.index)
        return self.does(frame)

    def begin(self, running: Running) -> None:
        self.begun.append(running)


def file_of(frames: int) -> Camera:
    return Camera(frames, 0.0, live=False)


def indices(kept: Kept) -> list[int]:
    return [frame.index for frame in kept.frames]


def test_two_copies_take_half_the_time():
    def seconds(copies: int) -> float:
        clock = FakeClock()
        kept = Kept(clock)
        stage = Parallel([Work(clock) for _ in range(copies)])
        report = Pipeline(file_of(40), [stage], [kept], clock=clock).run()
        assert indices(kept) == list(range(40))
        assert report.stages["model"].frames == 40
        return clock.now()

    assert seconds(1) == pytest.approx(40 * MODEL_S)
    assert seconds(2) == pytest.approx(20 * MODEL_S)
    assert seconds(4) == pytest.approx(10 * MODEL_S)


@pytest.mark.parametrize("copies", [2, 3, 5])
def test_frames_leave_as_they_came_however_long_each_takes(copies: int):
    clock = FakeClock()
    kept = Kept(clock)
    stages = [Uneven(clock) for _ in range(copies)]
    report = Pipeline(
        file_of(60), [Parallel(stages), Work(clock, 0.01, "next")], [kept], clock=clock
    )
    assert report.run().done == 60
    assert indices(kept) == list(range(60))
    assert all(each.seen for each in stages)  # every copy had its share


def test_live_frames_stay_fresh_and_twice_as_many_get_through():
    clock = FakeClock()
    kept = Kept(clock)
    stage = Parallel([Work(clock) for _ in range(2)])
    report = Pipeline(Camera(), [stage], [kept], clock=clock).run()
    assert max(kept.ages) <= PERIOD_S + MODEL_S + 1e-9
    assert report.taken == 300 == report.done + report.dropped["before model: overtaken"]
    assert report.done >= 195
    assert indices(kept) == sorted(indices(kept))


def refuse_thirds(frame: Frame) -> Frame:
    if frame.index % 3 == 0:
        raise Refused("a third")
    return frame


def test_what_a_copy_refuses_holds_nobody_up():
    clock = FakeClock()
    kept = Kept(clock)
    stage = Parallel([Uneven(clock, does=refuse_thirds) for _ in range(2)])
    report = Pipeline(file_of(30), [stage], [kept], clock=clock).run()
    assert report.dropped == {"model: a third": 10}
    assert indices(kept) == [index for index in range(30) if index % 3]


def fail_at_six(frame: Frame) -> Frame:
    if frame.index == 6:
        raise ValueError("six")
    return frame


def test_a_copy_that_raises_ends_the_run_and_the_other_is_not_left_waiting():
    clock = FakeClock()
    kept = Kept(clock)
    stage = Parallel([Uneven(clock, does=fail_at_six) for _ in range(3)])
    pipeline = Pipeline(file_of(30), [stage], [kept], clock=clock)
    with pytest.raises(UsageError) as caught:
        pipeline.run()
    assert caught.value.message == "In 'model', at frame 6 of camera: ValueError: six."
    assert kept.left_with is UsageError
    assert clock.now() < 2  # and nobody had to be given up
    assert indices(kept) == sorted(indices(kept))


def test_a_copy_that_raises_may_be_skipped():
    clock = FakeClock()
    kept = Kept(clock)
    stage = Parallel([Uneven(clock, does=fail_at_six) for _ in range(2)])
    report = Pipeline(file_of(12), [stage], [kept], clock=clock, on_error="skip").run()
    assert report.dropped == {"model: failed with ValueError": 1}
    assert indices(kept) == [index for index in range(12) if index != 6]


def test_stop_finishes_what_the_copies_have_in_hand():
    clock = FakeClock()
    kept = Kept(clock)

    def stop_at_nine(frame: Frame) -> Frame:
        if frame.index == 9:
            pipeline.stop()
        return frame

    stage = Parallel([Uneven(clock, does=stop_at_nine) for _ in range(2)])
    pipeline = Pipeline(file_of(10**6), [stage], [kept], clock=clock)
    report = pipeline.run()
    assert 10 <= report.taken == report.done
    assert indices(kept) == list(range(report.done))


def test_a_batching_copy_gets_batches_and_keeps_the_order():
    clock = FakeClock()
    kept = Kept(clock)

    class Batched(Uneven):
        most = 4

        def process_many(self, frames: list[Frame]) -> list[Frame]:
            self.clock.sleep(0.1 + 0.1 * (frames[0].index % 2))
            self.seen += [len(frames)]
            return frames

    stages = [Batched(clock) for _ in range(2)]
    Pipeline(file_of(50), [Parallel(stages)], [kept], clock=clock).run()
    assert indices(kept) == list(range(50))
    assert max(stages[0].seen) > 1


def test_every_copy_is_begun_and_entered_and_left():
    clock = FakeClock()
    told: list[str] = []

    class Held(Uneven):
        def __enter__(self) -> Held:
            told.append("entered")
            return self

        def __exit__(self, *_: object) -> None:
            told.append("left")

    stages = [Held(clock) for _ in range(2)]
    pipeline = Pipeline(file_of(4), [Parallel(stages)], clock=clock)
    pipeline.run()
    assert told == ["entered", "entered", "left", "left"]
    assert [each.begun for each in stages] == [[pipeline], [pipeline]]


def test_an_inline_stage_behind_copies_has_a_thread_and_sees_every_frame_in_order():
    clock = FakeClock()
    cheap = Work(clock, 0.0, "cheap")
    cheap.inline = True  # type: ignore[attr-defined]
    stage = Parallel([Uneven(clock) for _ in range(2)])
    Pipeline(file_of(30), [stage, cheap], clock=clock).run()
    assert cheap.seen == list(range(30))


def test_on_the_wall_clock_with_many_threads():
    rand = random.Random(0)
    waits = [rand.choice((0.0, 0.0, 0.0005, 0.003)) for _ in range(400)]
    seen: list[int] = []

    class Waits:
        name = "waits"

        def process(self, frame: Frame) -> Frame:
            time.sleep(waits[frame.index])
            return frame

    class Seen:
        name = "seen"

        def take(self, frame: Frame) -> None:
            seen.append(frame.index)

    stage = Parallel([Waits() for _ in range(6)])
    report = Pipeline(file_of(400), [stage], [Seen()], clock=WallClock()).run()
    assert seen == list(range(400))
    assert (report.taken, report.done, report.dropped) == (400, 400, {})


def test_outside_of_a_pipeline_it_is_its_first_copy():
    clock = FakeClock()
    first, second = Work(clock), Work(clock)
    frame = next(file_of(1).stream(Pipeline(Camera(), clock=clock)))
    assert Parallel([first, second]).process(frame) is frame
    assert (first.seen, second.seen) == ([0], [])


def test_what_cannot_be_copies():
    clock = FakeClock()
    with pytest.raises(UsageError, match="without a copy does nothing"):
        Parallel([])
    with pytest.raises(UsageError, match="one name, and not 'a' and 'b'"):
        Parallel([Work(clock, name="a"), Work(clock, name="b")])
    with pytest.raises(UsageError, match="cannot be in two threads at once"):
        Parallel([Work(clock)] * 2)
    with pytest.raises(UsageError, match="'tracks' remembers what it has seen"):
        Parallel([Tracker("faces"), Tracker("faces")])


def test_two_sessions_answer_as_one():
    before, after = read_processing(ROOT / "examples" / "selfie_segmentation" / "selfie.toml")

    def masks(copies: int) -> list[np.ndarray]:
        kept: list[np.ndarray] = []
        with ExitStack() as stack:
            sessions = [
                stack.enter_context(
                    edge_sdk.load(
                        asset("selfie-segmentation"),
                        threads=1,
                        preprocess=before,
                        postprocess=after,
                    )
                )
                for _ in range(copies)
            ]
            stage = Parallel([Model(session, "person") for session in sessions])
            sink = Callback(lambda frame: kept.append(frame.answers["person"].scores))
            Pipeline(open_source(asset("carphone")), [stage], [sink]).run()
        return kept

    one, two = masks(1), masks(2)
    assert len(one) == len(two) == 120
    for mine, other in zip(one, two, strict=True):
        np.testing.assert_array_equal(mine, other)

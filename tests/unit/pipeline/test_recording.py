"""A recording lasts as long as what it shows, whatever comes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest

from edge_sdk.errors import UsageError
from edge_sdk.pipeline import Clip, Frame, Pipeline
from edge_sdk.pipeline.fake_clock import FakeClock
from edge_sdk.pipeline.outputs import Recording
from edge_sdk.pipeline.parts import Running
from edge_sdk.pipeline.sources import ClipSource, Synthetic


class Given:
    """A source of the frames it was given: a level of gray each, or a picture, at its time."""

    live = False

    def __init__(
        self, times_s: Sequence[float | None], pictures: Sequence[np.ndarray] = (), fps: float = 0.0
    ) -> None:
        self.name, self.fps = "given", fps
        self._times_s = times_s
        self._pictures = pictures or [
            np.full((48, 64, 3), 8 * at % 256, np.uint8) for at in range(len(times_s))
        ]

    def stream(self, running: Running) -> Iterator[Frame]:
        for at, (time_s, picture) in enumerate(zip(self._times_s, self._pictures, strict=True)):
            now = running.clock.now()
            yield Frame(picture, Path("given"), at, time_s, "bgr", self.name, now)


def levels(path: Path) -> list[int]:
    """Which of ``Given``'s frames each of a video's shows."""
    return [round(frame.picture.mean() / 8) for frame in Clip(path).frames()]


def test_each_stream_has_the_rate_of_its_own_source(tmp_path):
    sources = [
        Synthetic(64, 48, fps=fps, frames=frames, live=False, name=name)
        for name, fps, frames in (("ten", 10, 20), ("thirty", 30, 60))
    ]
    report = Pipeline(sources, sinks=[Recording(tmp_path / "{stream}.mp4")]).run()
    ten, thirty = Clip(tmp_path / "ten.mp4"), Clip(tmp_path / "thirty.mp4")
    assert (ten.fps, ten.announced, thirty.fps, thirty.announced) == (10, 20, 30, 60)
    assert (report.missed, report.warnings) == ({}, ())


def test_one_rate_for_all_keeps_the_time_and_counts_what_it_has_no_place_for(tmp_path):
    sources = [
        Synthetic(64, 48, fps=fps, frames=frames, live=False, name=name)
        for name, fps, frames in (("ten", 10, 20), ("forty", 40, 80))
    ]
    report = Pipeline(sources, sinks=[Recording(tmp_path / "{stream}.mp4", 20, name="disk")]).run()
    assert Clip(tmp_path / "ten.mp4").announced == pytest.approx(40, abs=1)
    forty = Clip(tmp_path / "forty.mp4").announced
    assert forty == pytest.approx(40, abs=1)
    assert report.missed == {"disk: more than 20 a second": 80 - forty}


def test_a_live_run_with_a_slow_stage_lasts_as_long_as_it_did(tmp_path):
    """As the documentation writes it: nothing says that it is live."""

    class Slow:
        name = "slow"

        def process(self, frame: Frame) -> Frame:
            clock.sleep(0.15)
            return frame

    clock = FakeClock()
    path = tmp_path / "live.mp4"
    source = Synthetic(64, 48, fps=30, frames=150)
    report = Pipeline(source, [Slow()], [Recording(path)], clock=clock).run()
    assert report.done < 50
    clip = Clip(path)
    assert clip.announced / clip.fps == pytest.approx(5, abs=0.3)


def test_a_rate_that_varies_is_shown_at_its_pace(tmp_path):
    path = tmp_path / "x.mp4"
    times = [at / 30 for at in range(10)] + [0.4, 0.6, 0.8]
    report = Pipeline(Given(times, fps=16.0), sinks=[Recording(path)]).run()
    assert Clip(path).fps == 30
    assert levels(path) == [*range(10), 9, 9, *[10] * 6, *[11] * 6, 12]
    assert report.missed == {}


@pytest.mark.parametrize("fps", [0.0, 90000.0])
def test_a_rate_that_no_source_tells_is_found_by_the_first_frames(tmp_path, fps):
    path = tmp_path / "x.mp4"
    Pipeline(Given([at / 12.5 for at in range(20)], fps=fps), sinks=[Recording(path)]).run()
    assert Clip(path).fps == 12.5
    assert levels(path) == list(range(20))


def test_a_source_of_ones_own_may_say_nothing_of_its_rate(tmp_path):
    path = tmp_path / "x.mp4"
    source = Given([at / 10 for at in range(9)])
    del source.fps
    Pipeline(source, sinks=[Recording(path)]).run()
    assert (Clip(path).fps, levels(path)) == (10, list(range(9)))


@pytest.mark.parametrize("times_s", [[1.0], [None] * 3, [0.0, 0.1]])
def test_few_frames_and_such_without_a_time_are_all_there(tmp_path, times_s):
    path = tmp_path / "x.mp4"
    Pipeline(Given(times_s), sinks=[Recording(path)]).run()
    assert levels(path) == list(range(len(times_s)))


def test_a_clip_that_begins_again_is_recorded_again(tmp_path):
    Pipeline(Synthetic(64, 48, frames=20, live=False), sinks=[Recording(tmp_path / "a.mp4")]).run()
    source = ClipSource(tmp_path / "a.mp4", repeat=True)
    seen: list[Frame] = []

    def stop(frame: Frame) -> None:
        seen.append(frame)
        if len(seen) == 50:
            pipeline.stop()

    pipeline = Pipeline(source, sinks=[Recording(tmp_path / "b.mp4")], on_done=stop)
    report = pipeline.run()
    assert Clip(tmp_path / "b.mp4").announced == report.done >= 50
    assert report.missed == {}


def test_a_long_silence_is_told_of(tmp_path):
    path = tmp_path / "x.mp4"
    times = [at / 5 for at in range(10)] + [500.0]
    report = Pipeline(Given(times), sinks=[Recording(path)]).run()
    assert levels(path) == [*range(10), *[9] * 300, 10]
    assert "given gave nothing for longer than 60 s" in report.warnings[0]


def test_another_shape_is_fitted_in_with_bars(tmp_path):
    wide, high = np.full((36, 64, 3), 200, np.uint8), np.full((48, 64, 3), 200, np.uint8)
    source = Given([at / 10 for at in range(12)], [high] * 6 + [wide] * 3 + [wide[::2, ::2]] * 3)
    report = Pipeline(source, sinks=[Recording(tmp_path / "x.mp4")]).run()
    frames = [frame.picture.mean(axis=(1, 2)) for frame in Clip(tmp_path / "x.mp4").frames()]
    assert frames[0] == pytest.approx(200, abs=8)
    for rows in (frames[7], frames[11]):
        assert rows[8:40] == pytest.approx(200, abs=12)
        assert np.concatenate([rows[:4], rows[44:]]) == pytest.approx(0, abs=20)
    assert "given goes on with 64 x 36: fitted into the 64 x 48 of" in report.warnings[0]


@pytest.mark.parametrize(
    ("picture", "said"),
    [
        (np.zeros((48, 64, 4), np.uint8), "not 48 x 64 x 4"),
        (np.zeros((48, 64, 3), np.float32), "this one float32"),
    ],
)
def test_what_is_no_picture_is_refused_by_its_shape(tmp_path, picture, said):
    with pytest.raises(UsageError, match=said) as caught:
        Pipeline(Given([0.0], [picture]), sinks=[Recording(tmp_path / "x.mp4")]).run()
    assert "In 'recording', at frame 0 of given" in caught.value.message
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("fps", [-1.0, float("nan"), float("inf")])
def test_what_is_no_rate_is_refused(tmp_path, fps):
    with pytest.raises(UsageError, match="frames a second cannot be"):
        Recording(tmp_path / "x.mp4", fps)


def test_the_clip_that_is_read_is_not_written_over(tmp_path):
    path, link = tmp_path / "a.mp4", tmp_path / "b.mp4"
    Pipeline(Synthetic(64, 48, frames=9, live=False), sinks=[Recording(path)]).run()
    link.symlink_to(path)
    before = path.read_bytes()
    with pytest.raises(UsageError, match=r"a\.mp4 is an input and would be overwritten"):
        Pipeline(ClipSource(link), sinks=[Recording(path)]).run()
    assert path.read_bytes() == before

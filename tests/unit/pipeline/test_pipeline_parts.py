"""What people hand to a pipeline: slips are named, gray pictures and mixed sources are at home."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge_sdk.errors import UsageError
from edge_sdk.guard.pace import TOO_MANY, Pace
from edge_sdk.pipeline import Frame, Pipeline
from edge_sdk.pipeline.fake_clock import FakeClock
from edge_sdk.pipeline.outputs import Callback
from edge_sdk.pipeline.parts import Running
from edge_sdk.pipeline.stages import Background, BlurFaces, Crops, Drawing, Guard, Tracker, Zones
from edge_sdk.pipeline.stages.model import at_least_one
from edge_sdk.pipeline.stages.zones import Region
from edge_sdk.processing import Geometry, Mask
from edge_sdk.spec import Box, Boxes, InputLimits
from tests.unit.pipeline.test_pipeline import Camera, Kept, Work


def a_box(score: float = 0.9, at: float = 0.5) -> Box:
    edges = {"left": at - 0.1, "top": 0.4, "right": at + 0.1, "bottom": 0.6}
    return Box(**edges, score=score, index=0, label="thing")


class Generated:
    def process(self, frame: Frame) -> Frame:
        return frame


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"sources": "clip.mp4"}, r"'clip.mp4' has not been opened.\n.*open_source\('clip.mp4'\)"),
        ({"sources": [Path("a.mp4")]}, r"'a.mp4' has not been opened"),
        ({"sources": (each for each in ())}, "A generator is no source: it has no name and no"),
        ({"sources": [None]}, "A NoneType is no source"),
        ({"stages": [Work]}, r"Work is a class, and no stage yet.\n.*Work\("),
        ({"stages": [Generated()]}, "A Generated is no stage: it has no name."),
        ({"stages": [lambda frame: frame]}, "A function is no stage: it has no name and no proc"),
        ({"stages": "faces"}, "A str is no stage"),
        ({"sinks": [print]}, "is no sink: it has no name and no take"),
        ({"sinks": "out.mp4"}, "A str is no sink"),
        ({"capacity": "4"}, "A queue of '4' holds nothing"),
    ],
    ids=lambda value: None if isinstance(value, str) else next(iter(value)),
)
def test_a_slip_is_named(given: dict[str, Any], says: str) -> None:
    with pytest.raises(UsageError, match=says):
        Pipeline(**{"sources": Camera(), **given})


def test_one_needs_no_list() -> None:
    clock = FakeClock()
    kept = Kept(clock)
    report = Pipeline(Camera(3, live=False), Work(clock), kept, clock=clock).run()
    assert report.done == len(kept.frames) == 3


@pytest.mark.parametrize("most", [0, -1, None, "4", 1.5])
def test_a_batch_has_at_least_one(most: Any) -> None:
    with pytest.raises(UsageError, match="most is "):
        at_least_one(most)


@dataclass
class Grays:
    """Pictures as some industrial cameras give them: height x width."""

    name: str = "gray"
    live: bool = False
    fps: float = 0.0

    def stream(self, running: Running) -> Iterator[Frame]:
        pixels = np.random.default_rng(1).integers(0, 256, (144, 160), np.uint8)
        for index in range(3):
            found = {"found": Boxes(found=(a_box(),))}
            mask = np.zeros((12, 16), np.float32)
            mask[:, :8] = 1
            answers = {**found, "person": Mask(mask, Geometry(), 0.5)}
            yield Frame(pixels, Path("gray"), index, stream="gray", answers=answers)


@pytest.mark.parametrize(
    "stage",
    [Background("person"), Background("person", "#102030"), Drawing("found"), BlurFaces("found")],
    ids=["blur", "colour", "drawing", "faces"],
)
def test_stages_work_on_gray_pictures(stage: Any) -> None:
    seen: list[Frame] = []
    report = Pipeline(Grays(), stage, Callback(seen.append)).run()
    assert report.done == 3
    (before, *_) = Grays().stream(report)  # type: ignore[arg-type]
    for frame in seen:
        assert frame.rgb().shape == (144, 160, 3)
        changed = (frame.rgb() != before.rgb()).any(axis=2).mean()
        assert 0.01 < changed < 0.9


def test_a_detectors_slip_is_nobody() -> None:
    def counted(seen_at: set[int]) -> tuple[int, int]:
        tracker = Tracker("found")
        zones = Zones([Region("all", ((0, 0), (1, 0), (1, 1), (0, 1)))])
        for index in range(40):
            boxes = (a_box(),) if index in seen_at else ()
            answers = {"found": Boxes(found=boxes)}
            frame = Frame(np.zeros((8, 8, 3), np.uint8), Path("x"), index, answers=answers)
            frame = zones.process(tracker.process(frame))
        count = frame.answers["zones"]["all"]
        return count.forward, count.back

    assert counted({5}) == counted({5, 6}) == (0, 0)
    assert counted({5, 6, 7}) == counted({5, 9, 12}) == (1, 1)


def test_crops_are_of_the_surest() -> None:

    class Session:
        guard = None

        class processing:
            @staticmethod
            def before(picture: Any, colour: str) -> tuple[dict[str, Any], None]:
                return {"x": np.full((1, 1), picture.mean())}, None

            @staticmethod
            def after(outputs: dict[str, Any], geometry: None) -> int:
                return round(float(outputs["x"][0, 0]))

        class engine_signature:
            inputs = ("x",)

        @staticmethod
        def run_batch(inputs: dict[str, Any]) -> dict[str, Any]:
            return inputs

    picture = np.repeat(np.arange(100, dtype=np.uint8)[None, :, None], 10, axis=0).repeat(3, 2)
    boxes = Boxes(found=(a_box(0.3, 0.2), a_box(0.9, 0.5), a_box(0.5, 0.8)))
    stage = Crops(Session(), "found", most=2, margin=0.0)  # type: ignore[arg-type]
    frame = stage.process(Frame(picture, Path("x"), answers={"found": boxes}))
    assert frame.answers["crops"] == (None, 50, 80)


def test_a_file_beside_a_camera_loses_nothing() -> None:
    clock = FakeClock()
    kept = Kept(clock)
    camera = Camera(150, name="camera")
    file = Camera(40, live=False, name="file", period_s=0.001)
    report = Pipeline([camera, file], [Work(clock, 0.05)], [kept], clock=clock).run()
    assert [each.index for each in kept.frames if each.stream == "file"] == list(range(40))
    assert report.taken == report.done + sum(report.dropped.values()) == 190
    live = [age for age, each in zip(kept.ages, kept.frames, strict=True) if each.stream != "file"]
    assert len(live) > 40
    assert max(live) < 0.05 * 4  # what is at work, a frame of the file, its own; and a period


def test_a_policy_that_is_named_is_for_all() -> None:
    clock = FakeClock()
    kept = Kept(clock)
    sources = [Camera(100, name="camera"), Camera(100, live=False, name="file", period_s=0.001)]
    report = Pipeline(sources, [Work(clock)], [kept], policy="latest", clock=clock).run()
    assert sum(each.stream == "file" for each in kept.frames) < 10
    assert report.taken == report.done + sum(report.dropped.values()) == 200


def test_a_rate_is_of_what_a_file_shows_and_not_of_how_fast_it_is_read() -> None:
    @dataclass
    class File(Camera):
        def stream(self, running: Running) -> Iterator[Frame]:
            noise = np.random.default_rng(1).integers(0, 256, (64, 64, 3), np.uint8)
            for _ in range(2):  # from the beginning again
                for index in range(90):
                    running.clock.sleep(0.001)
                    now = running.clock.now()
                    yield Frame(noise, Path("x"), index, index / 30, stream="f", taken_s=now)

    clock = FakeClock()
    guard = Guard(InputLimits(most_per_s=10))
    report = Pipeline(File(live=False), [guard], [Kept(clock)], clock=clock).run()
    assert report.done == 60
    assert report.dropped == {"guard: too many a second": 120}


def test_a_pace_begins_anew_where_time_goes_back() -> None:
    pace = Pace(1.0)
    told = [pace.fault("a", at_s) for at_s in (10.0, 10.5, 11.0, 2.0, 2.5, 3.0)]
    assert told == ["", TOO_MANY, "", "", TOO_MANY, ""]


def test_a_batch_that_fails_has_its_time_and_is_not_taken_for_under_way() -> None:
    class Batch:
        name, most = "batch", 3

        def process(self, frame: Frame) -> Frame:
            clock.sleep(0.1)
            return frame

        def process_many(self, frames: list[Frame]) -> list[Frame]:
            sizes.append(len(frames))
            clock.sleep(0.1 * len(frames))
            raise ZeroDivisionError

    clock = FakeClock()
    sizes: list[int] = []
    pipeline = Pipeline(
        Camera(30, live=False, period_s=0.001),
        [Batch()],
        [Kept(clock)],
        on_error="skip",
        clock=clock,
    )
    report = pipeline.run()
    assert report.dropped == {"batch: failed with ZeroDivisionError": sum(sizes)}
    assert sum(sizes) > 20
    assert report.stages["batch"].frames == 30
    assert report.stages["batch"].ms.p99 == pytest.approx(100, rel=0.1)
    assert pipeline.metrics.under_way() == []

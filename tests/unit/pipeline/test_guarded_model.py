"""A model's own limits hold in a pipeline: its stage drops what they refuse, and counts it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import picture_models
import pytest

import edge_sdk
from edge_sdk.errors import UsageError
from edge_sdk.pipeline import Frame, Pipeline, Refused, Running
from edge_sdk.pipeline.fake_clock import FakeClock
from edge_sdk.pipeline.outputs import Callback
from edge_sdk.pipeline.sources import Synthetic
from edge_sdk.pipeline.stages import Crops, Model, OwnProcess
from edge_sdk.spec import Box, Boxes, InputLimits
from tests import stages_apart


def half(level: int) -> np.ndarray:
    picture = np.full((16, 16, 3), level, np.uint8)
    picture[:, 8:] = 0
    return picture


class Lamps:
    """Six pictures, every third one dark; in BGR, all of it blue."""

    name, live, fps = "lamps", False, 10.0

    def stream(self, running: Running) -> Iterator[Frame]:
        for index in range(6):
            picture = half(40 if index % 3 == 1 else 240)
            yield Frame(picture, Path("lamps"), index, index / 10, "bgr")


@pytest.fixture
def lamp(tmp_path: Path) -> Path:
    picture_models.artifact(tmp_path / "lamp.edge", guard=InputLimits(min_luma=30))
    return tmp_path / "lamp.edge"


@pytest.mark.parametrize("most", [1, 4], ids=["one-by-one", "batches"])
def test_frames_that_are_refused_are_drops_by_their_reason(lamp: Path, most: int) -> None:
    seen: list[Frame] = []
    with edge_sdk.load(lamp) as session:
        stages = [Model(session, "light", most=most)]
        report = Pipeline(Lamps(), stages, [Callback(seen.append)], policy="block").run()
        assert (report.done, report.dropped) == (4, {"light: dark": 2})
        assert [frame.index for frame in seen] == [0, 2, 3, 5]
        assert {frame.answers["light"].top[0].label for frame in seen} == {"dark"}  # 120 of 255
        assert session.guard is not None
        assert session.guard.report().refused == {"dark": 2}
    with edge_sdk.load(lamp, guard=False) as session:
        report = Pipeline(Lamps(), [Model(session, most=most)], [], policy="block").run()
        assert (report.done, report.dropped) == (6, {})


def test_the_colour_order_is_minded(tmp_path: Path) -> None:
    """Blue has a luma of .114, red one of .299."""
    blue = np.zeros((16, 16, 3), np.uint8)
    blue[:, :8, 0] = 255
    picture_models.artifact(tmp_path / "lamp.edge", guard=InputLimits(min_luma=25))
    with edge_sdk.load(tmp_path / "lamp.edge") as session:
        with pytest.raises(Refused, match="dark"):
            Model(session).process(Frame(blue, Path("x"), colour="bgr"))
        Model(session).process(Frame(blue, Path("x"), colour="rgb"))


def test_the_rate_is_that_of_the_frames_and_begins_anew_with_each_run(lamp: Path) -> None:
    with edge_sdk.load(lamp, guard=InputLimits(most_per_s=5)) as session:
        for _ in range(2):
            source = Synthetic(64, 48, fps=10, frames=6)
            report = Pipeline(source, [Model(session)], [], policy="block", clock=FakeClock()).run()
            assert (report.done, report.dropped) == (3, {"model: too many a second": 3})


def test_crops_that_are_refused_have_no_answer(lamp: Path) -> None:
    picture = np.concatenate([half(240), half(40), half(240)])
    found = Boxes(
        found=tuple(
            Box(left=0, right=1, top=n / 3, bottom=(n + 1) / 3, score=1, index=0, label="x")
            for n in range(3)
        )
    )
    with edge_sdk.load(lamp) as session:
        frame = Frame(picture, Path("x"), answers={"found": found})
        answers = Crops(session, "found", margin=0).process(frame).answers["crops"]
        assert [answer is None for answer in answers] == [False, True, False]
        assert session.guard is not None
        assert session.guard.report().refused == {"dark": 1}


def test_what_is_no_picture_is_a_mistake_and_no_drop(lamp: Path) -> None:
    class Broken(Lamps):
        def stream(self, running: Running) -> Iterator[Frame]:
            yield Frame(np.zeros((4, 4), np.float32), Path("x"))  # type: ignore[arg-type]

    with edge_sdk.load(lamp) as session, pytest.raises(UsageError, match="In 'model', at frame"):
        Pipeline(Broken(), [Model(session)], []).run()


@pytest.mark.parametrize("make", ["Picky", "PickyBatch"])
def test_one_of_a_batch_is_dropped_in_another_process_too(make: str) -> None:
    seen: list[Frame] = []
    stage = OwnProcess(getattr(stages_apart, make), name="picky", most=3)
    report = Pipeline(Lamps(), [stage], [Callback(seen.append)], policy="block").run()
    assert (report.done, report.dropped) == (4, {"picky: every third": 2})
    assert [frame.index for frame in seen] == [0, 2, 3, 5]

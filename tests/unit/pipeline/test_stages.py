"""Stages: models in a graph, objects that last, who is where, and what never gets to a model."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

import edge_sdk
from edge_sdk.errors import UsageError
from edge_sdk.pipeline import Frame, Pipeline, Refused, read_picture
from edge_sdk.pipeline.fake_clock import FakeClock
from edge_sdk.pipeline.outputs import Callback
from edge_sdk.pipeline.parts import Running
from edge_sdk.pipeline.sources import Synthetic
from edge_sdk.pipeline.stages import (
    Background,
    BlurFaces,
    Crops,
    Drawing,
    Guard,
    Line,
    Model,
    Region,
    SideBySide,
    Tracker,
    Zones,
)
from edge_sdk.processing import Geometry, Mask, read_processing
from edge_sdk.spec import Box, Boxes, Classes, Classification, ImageInput, InputLimits
from examples.assets import asset

SPECS = Path(__file__).parents[3] / "examples"


def box(x: float, y: float, side: float = 0.2, index: int = 0) -> Box:
    half = side / 2
    edges = {"left": x - half, "top": y - half, "right": x + half, "bottom": y + half}
    return Box(**edges, score=0.9, index=index, label=str(index))


def frame(*boxes: Box, picture: np.ndarray | None = None, **fields: object) -> Frame:
    picture = np.zeros((60, 80, 3), np.uint8) if picture is None else picture
    answers = {"found": Boxes(found=boxes)}
    return Frame(picture, Path("x"), answers=answers, time_s=0.0, **fields)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def brightness(tmp_path_factory: pytest.TempPathFactory) -> Iterator[edge_sdk.Session]:
    """dark = 1 - m, bright = m of a picture with a mean gray of m; any number of rows."""
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, ["n", 1, 4, 4])
    scores = helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["n", 2])
    axes = helper.make_tensor("axes", TensorProto.INT64, [2], [2, 3])
    one = helper.make_tensor("one", TensorProto.FLOAT, [1], [1.0])
    nodes = [
        helper.make_node("ReduceMean", ["image", "axes"], ["m"], keepdims=0),
        helper.make_node("Sub", ["one", "m"], ["d"]),
        helper.make_node("Concat", ["d", "m"], ["scores"], axis=1),
    ]
    graph = helper.make_graph(nodes, "g", [image], [scores], [axes, one])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    path = tmp_path_factory.mktemp("model") / "brightness.onnx"
    onnx.save(model, path)
    with edge_sdk.load(
        path,
        preprocess=ImageInput(
            input="image", size=(4, 4), channels="gray", layout="chw", mean=(0.0,), std=(255.0,)
        ),
        postprocess=Classification(output="scores", activation="none"),
        labels=["dark", "bright"],
    ) as session:
        yield session


@dataclass
class Cameras:
    """Several cameras that take a picture at the same moments, each of its own brightness."""

    name: str
    level: int
    frames: int = 20
    live: bool = True

    def stream(self, running: Running) -> Iterator[Frame]:
        picture = np.full((8, 8, 3), self.level, np.uint8)
        for index in range(self.frames):
            running.clock.sleep(0.1)
            taken = running.clock.now()
            yield Frame(picture, Path(self.name), index, stream=self.name, taken_s=taken)


@dataclass
class Seen:
    name: str = "seen"
    frames: list[Frame] = field(default_factory=list)

    def take(self, each: Frame) -> None:
        self.frames.append(each)


def test_waiting_frames_of_all_streams_are_one_batch(brightness, monkeypatch):
    sizes: list[int] = []
    run = brightness.run

    def counted(inputs):
        sizes.append(len(inputs["image"]))
        clock.sleep(0.05)
        return run(inputs)

    monkeypatch.setattr(brightness, "run", counted)
    clock, seen = FakeClock(), Seen()
    cameras = [Cameras(name, level) for name, level in (("a", 20), ("b", 120), ("c", 230))]
    report = Pipeline(cameras, [Model(brightness, "light", most=4)], [seen], clock=clock).run()
    assert report.done == report.taken == 60
    assert max(sizes) >= 2
    assert sum(sizes) == 60
    assert len(sizes) < 60
    for each in seen.frames:
        answer = each.answers["light"]
        assert isinstance(answer, Classes)
        score = next(one.score for one in answer.top if one.label == "bright")
        level = {"a": 20, "b": 120, "c": 230}[each.stream]
        assert score == pytest.approx(level / 255, abs=0.01)


def test_a_fast_camera_does_not_starve_a_slow_one():
    class Slow:
        name = "slow"

        def process(self, each: Frame) -> Frame:
            clock.sleep(0.35)
            return each

    clock, seen = FakeClock(), Seen()
    cameras = [Cameras("fast", 20, 100), Cameras("slow one", 20, 100)]
    report = Pipeline(cameras, [Slow()], [seen], clock=clock).run()
    shares = [sum(each.stream == name for each in seen.frames) for name in ("fast", "slow one")]
    assert min(shares) / max(shares) > 0.8
    assert report.taken == report.done + sum(report.dropped.values())


def test_a_detector_then_a_classifier_on_its_crops(brightness):
    before, after = read_processing(SPECS / "face_detection" / "face.toml")
    model = asset("face-detection-short-range")
    photo = read_picture(asset("photos") / "astronaut.png")
    with edge_sdk.load(model, preprocess=before, postprocess=after, labels=["face"]) as faces:
        graph = [Model(faces, "faces"), Crops(brightness, "faces", "light")]
        picture = Frame(photo, Path("astronaut"))
        for stage in graph:
            picture = stage.process(picture)
    (face,) = picture.answers["faces"].found
    (light,) = picture.answers["light"]
    height, width = photo.shape[:2]
    grown = 0.1 * (face.right - face.left), 0.1 * (face.bottom - face.top)
    part = photo[
        int((face.top - grown[1]) * height) : int(np.ceil((face.bottom + grown[1]) * height)),
        int((face.left - grown[0]) * width) : int(np.ceil((face.right + grown[0]) * width)),
    ]
    gray = cv2.resize(cv2.cvtColor(part, cv2.COLOR_RGB2GRAY), (4, 4))
    bright = next(each.score for each in light.top if each.label == "bright")
    assert bright == pytest.approx(gray.mean() / 255, abs=0.02)


def test_crops_are_limited_and_need_boxes(brightness):
    many = frame(*(box(0.1 * at, 0.5) for at in range(1, 9)))
    answers = Crops(brightness, "found", "light", most=3).process(many).answers["light"]
    assert [answer is None for answer in answers] == [False] * 3 + [True] * 5
    edge = frame(box(1.0, 1.0, 0.001))
    assert len(Crops(brightness, "found").process(edge).answers["crops"]) == 1
    assert Crops(brightness, "found").process(frame()).answers["crops"] == ()
    with pytest.raises(
        UsageError, match="Boxes or Tracks of the stage 'faces' is wanted; it has answered nothing"
    ) as caught:
        Crops(brightness, "faces").process(frame())
    assert "found" in caught.value.hint


def test_objects_keep_their_ids_through_crossing_and_gaps():
    """Two pass each other at different heights; one is not seen for five frames meanwhile."""
    tracker = Tracker("found")
    ids: dict[str, set[int]] = {"right": set(), "left": set()}
    for at in range(40):
        right, left = box(0.1 + 0.02 * at, 0.3), box(0.9 - 0.02 * at, 0.6)
        boxes = (left,) if 15 <= at < 20 else (right, left)
        tracks = tracker.process(frame(*boxes)).answers["tracks"].tracks
        assert len(tracks) == 2
        for track in tracks:
            middle = (track.box.top + track.box.bottom) / 2
            ids["right" if middle < 0.45 else "left"].add(track.id)
        if 16 <= at < 20:  # where it should be by now, though nobody sees it
            hidden = next(track for track in tracks if track.unseen)
            centre = (hidden.box.left + hidden.box.right) / 2
            assert centre == pytest.approx(0.1 + 0.02 * at, abs=0.02)
            assert hidden.box.keypoints == ()
    assert ids == {"right": {1}, "left": {2}}
    assert tracks[0].velocity[0] == pytest.approx(0.02, abs=0.002)


def test_a_trembling_detector_is_smoothed():
    noise = np.random.default_rng(3).normal(0, 0.008, (80, 2))
    tracker = Tracker("found")
    places = []
    for dx, dy in noise:
        (track,) = tracker.process(frame(box(0.5 + dx, 0.5 + dy))).answers["tracks"].tracks
        places.append((track.box.left + track.box.right) / 2)
    assert np.std(np.diff(places[10:])) < 0.7 * np.std(np.diff(noise[10:, 0]))


def test_who_is_gone_is_forgotten_and_others_are_others():
    tracker = Tracker("found", patience=3)
    tracker.process(frame(box(0.5, 0.5)))
    for _ in range(3):
        assert len(tracker.process(frame()).answers["tracks"].tracks) == 1
    assert tracker.process(frame()).answers["tracks"].tracks == ()
    (track,) = tracker.process(frame(box(0.5, 0.5))).answers["tracks"].tracks
    assert track.id == 2
    # Another class, another stream: never the same object.
    other = tracker.process(frame(box(0.5, 0.5, index=1))).answers["tracks"].tracks
    assert [(each.id, each.box.index) for each in other] == [(2, 0), (3, 1)]
    (foreign,) = tracker.process(frame(box(0.5, 0.5), stream="b")).answers["tracks"].tracks
    assert foreign.id == 4
    with pytest.raises(UsageError, match="Boxes of the stage 'faces' is wanted"):
        Tracker("faces").process(frame())


def test_regions_and_lines_count_each_way():
    gate, hall = (
        Line("gate", (0.5, 0), (0.5, 1)),
        Region("hall", ((0.5, 0), (1, 0), (1, 1), (0.5, 1))),
    )
    tracker, zones = Tracker("found"), Zones([gate, hall])
    steps = [0.1 + 0.02 * at for at in range(30)] + [0.68 - 0.02 * at for at in range(30)]
    found = [zones.process(tracker.process(frame(box(x, 0.5)))).answers["zones"] for x in steps]
    there, back = found[29], found[-1]
    assert there["hall"].inside == (1,)
    assert (there["gate"].forward + there["gate"].back, there["hall"].forward) == (1, 1)
    assert (back["gate"].forward, back["gate"].back) == (1, 1)
    assert (back["hall"].inside, back["hall"].forward, back["hall"].back) == ((), 1, 1)


def test_a_line_has_ends_and_sides():
    line = Line("short", (0.4, 0.5), (0.6, 0.5))  # left to right: left of it is up
    assert line.crossed((0.5, 0.4), (0.5, 0.6)) == 1
    assert line.crossed((0.5, 0.6), (0.5, 0.4)) == -1
    assert line.crossed((0.9, 0.4), (0.9, 0.6)) == 0
    assert line.crossed((0.5, 0.1), (0.5, 0.2)) == 0
    notched = Region("L", ((0, 0), (1, 0), (1, 0.4), (0.4, 0.4), (0.4, 1), (0, 1)))
    assert notched.holds((0.2, 0.9))
    assert notched.holds((0.9, 0.2))
    assert not notched.holds((0.9, 0.9))
    for bad in (
        [Region("a", ((0, 0), (1, 1)))],
        [Region("pixels", ((0, 0), (320, 0), (320, 240)))],
        [Line("b", (0, 0), (0, 0))],
        [Line("pixels", (0, 240), (640, 240))],
        [Line("nan", (0, float("nan")), (1, 1))],
        [line, line],
    ):
        with pytest.raises(UsageError, match="The zone"):
            Zones(bad)
    with pytest.raises(UsageError, match="Tracks of the stage 'tracks' is wanted"):
        Zones([line]).process(frame())


def test_the_guard_names_what_is_wrong():
    photo = read_picture(asset("photos") / "coffee.png")
    looks = {
        "": photo,
        "blank": np.full_like(photo, 90),
        "dark": photo // 12,
        "bright": 255 - photo // 10,
        "burnt out": np.where(np.indices(photo.shape)[0] > 150, 255, photo).astype(np.uint8),
        "blurred": cv2.GaussianBlur(photo, (0, 0), 12),
        "too small": photo[:20, :20],
    }
    limits = InputLimits(
        min_size=(64, 48),
        min_luma=30,
        max_luma=225,
        max_burnt=0.5,
        min_sharpness=40,
        min_contrast=3,
    )
    for reason, picture in looks.items():
        stage = Guard(limits)
        if reason:
            with pytest.raises(Refused, match=reason):
                stage.process(frame(picture=picture))
        else:
            assert stage.process(frame(picture=picture)).picture is picture
    with pytest.raises(UsageError, match="No picture can pass"):
        Guard(InputLimits(min_luma=200, max_luma=100))


def test_what_the_guard_refuses_is_counted_and_the_rate_is_kept():
    clock, seen = FakeClock(), Seen()
    source = Synthetic(64, 48, fps=30, frames=90)
    report = Pipeline(
        source, [Guard(InputLimits(most_per_s=10))], [seen], policy="block", clock=clock
    ).run()
    assert report.done == pytest.approx(30, abs=1)
    assert report.dropped == {"guard: too many a second": 90 - report.done}
    gaps = np.diff([each.taken_s for each in seen.frames])
    assert gaps.min() >= 0.09


def test_a_background_needs_a_mask_and_covers_everything_without_a_person():
    picture = np.random.default_rng(1).integers(0, 256, (60, 80, 3), np.uint8)
    nobody = Mask(np.zeros((16, 16), np.float32), Geometry(), 0.5)
    everybody = Mask(np.ones((16, 16), np.float32), Geometry(), 0.5)
    stage = Background("person")
    blurred = stage.process(frame(picture=picture).answered("person", nobody))
    assert blurred.picture.std() < picture.std() / 4
    kept = Background("person").process(frame(picture=picture).answered("person", everybody))
    assert np.array_equal(kept.picture, picture)
    half = np.zeros((16, 16), np.float32)
    half[:, 8:] = 1
    one = frame(picture=picture).answered("person", Mask(half, Geometry(), 0.5))
    split = Background("person", "#102030").process(one)
    assert (split.picture[:, :30] == (16, 32, 48)).all()
    assert np.array_equal(split.picture[:, 50:], picture[:, 50:])
    # The same through the bars of a letterbox: the mask's middle half is the picture.
    boxed = Mask(half.repeat(2, 0), Geometry(1.0, 2.0, 0.0, -0.5), 0.5)
    barred = Background("person", "#102030").process(
        frame(picture=picture).answered("person", boxed)
    )
    assert (barred.picture[:, :30] == (16, 32, 48)).all()
    assert np.array_equal(barred.picture[:, 50:], picture[:, 50:])
    with pytest.raises(UsageError, match="Mask of the stage 'person' is wanted"):
        stage.process(frame(picture=picture))
    with pytest.raises(UsageError, match="is no colour"):
        Background("person", "#12")


def test_covering_leaves_the_input_alone_and_reaches_over_the_edge():
    picture = np.random.default_rng(1).integers(0, 256, (60, 80, 3), np.uint8)
    original = picture.copy()
    blur = BlurFaces("found")
    same = blur.process(frame(picture=picture))
    assert same.picture is picture
    for place in ((0.5, 0.5), (0.0, 0.0), (1.0, 1.0)):
        covered = blur.process(frame(box(*place, 0.4), picture=picture))
        assert np.array_equal(picture, original)
        middle = covered.picture[int(place[1] * 59), int(place[0] * 79)]
        assert not np.array_equal(middle, original[int(place[1] * 59), int(place[0] * 79)])
    outside = blur.process(frame(box(0.5, 0.5, 0.2), picture=picture)).picture
    assert np.array_equal(outside[:, :10], original[:, :10])


def test_answers_are_drawn_in_their_colours():
    picture = np.full((200, 200, 3), (200, 30, 30), np.uint8)[..., ::-1].copy()  # red, as BGR
    shown = Drawing("found").process(frame(box(0.5, 0.5), picture=picture, colour="bgr"))
    same = Drawing("found").process(frame(box(0.5, 0.5), picture=picture[..., ::-1].copy()))
    assert np.array_equal(shown.rgb(), same.picture)
    assert shown.rgb()[2, 2] == pytest.approx([200, 30, 30])
    assert (shown.rgb() != (200, 30, 30)).any()
    alone = Drawing("count").process(frame(picture=picture).answered("count", 3))
    assert alone.picture is picture
    with pytest.raises(UsageError, match="An answer of the stage 'fuond' is wanted") as caught:
        Drawing("fuond").process(frame(picture=picture))
    assert "found" in caught.value.hint


@pytest.mark.parametrize(
    "make",
    [
        lambda: BlurFaces(margin=-1),
        lambda: BlurFaces(margin=float("nan")),
        lambda: Guard(InputLimits(ranges={"image": (0, 1)})),
        lambda: Tracker("faces", min_overlap=5),
        lambda: Tracker("faces", patience=-1),
    ],
    ids=["uncovered", "nan", "ranges", "overlap", "patience"],
)
def test_settings_that_would_do_nothing(make: Callable[[], object]):
    with pytest.raises(UsageError) as caught:
        make()
    assert caught.value.hint


def test_beside_what_was_never_kept():
    with pytest.raises(UsageError, match="nothing to show beside") as caught:
        SideBySide().process(frame())
    assert "beside.keep" in caught.value.hint


def test_a_model_without_preprocessing_is_no_stage(tmp_path):
    import tiny_models

    path = tmp_path / "affine.tflite"
    path.write_bytes(tiny_models.tflite_affine())
    with edge_sdk.load(path) as session, pytest.raises(UsageError, match="takes no pictures"):
        Model(session)


def test_a_function_is_the_shortest_sink():
    seen: list[int] = []
    source = Synthetic(64, 48, frames=3, live=False)
    Pipeline(source, sinks=[Callback(lambda each: seen.append(each.index))]).run()
    assert seen == [0, 1, 2]

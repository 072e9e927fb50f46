"""``edge run`` on real models, real photographs and a real video."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import onnx
import pytest

from edge_sdk.cli.main import main
from edge_sdk.pipeline import open_sources, read_picture, write_picture
from edge_sdk.processing import read_processing
from examples.assets import asset

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = ROOT / "examples" / "face_detection"
SHORT_RANGE = ["--preprocess", EXAMPLE / "face.toml", "--labels", EXAMPLE / "labels.txt"]
FULL_RANGE = ["--preprocess", EXAMPLE / "face_full_range.toml", *SHORT_RANGE[2:]]


@pytest.fixture(scope="module")
def short_range() -> Path:
    return asset("face-detection-short-range")


@pytest.fixture(scope="module")
def photos() -> Path:
    return asset("photos")


@pytest.fixture(scope="module")
def carphone() -> Path:
    return asset("carphone")


@pytest.fixture(scope="module")
def colours(tmp_path_factory) -> Path:
    """A classifier of pictures by their strongest channel, as a bare .onnx."""
    helper, floats = onnx.helper, onnx.TensorProto.FLOAT
    graph = helper.make_graph(
        [
            helper.make_node("GlobalAveragePool", ["image"], ["mean"]),
            helper.make_node("Flatten", ["mean"], ["scores"]),
        ],
        "colours",
        [helper.make_tensor_value_info("image", floats, [1, 3, 8, 8])],
        [helper.make_tensor_value_info("scores", floats, [1, 3])],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    folder = tmp_path_factory.mktemp("colours")
    onnx.save(model, folder / "colours.onnx")
    (folder / "labels.txt").write_text("red\ngreen\nblue\n")
    (folder / "spec.toml").write_text(
        '[preprocess]\ninput = "image"\nsize = [8, 8]\nlayout = "chw"\n'
        '[postprocess]\nkind = "classification"\noutput = "scores"\nactivation = "softmax"\n'
    )
    return folder


@pytest.fixture
def edge(capfd):
    """Run one command line; gives its exit code, stdout and stderr."""

    def call(*words: object) -> tuple[int, str, str]:
        code = main([str(word) for word in words])
        out, err = capfd.readouterr()
        return code, out, err

    return call


@pytest.fixture
def edge_json(edge):
    def call(*words: object) -> dict:
        code, out, err = edge(*words, "--json")
        assert code == 0, err
        return json.loads(out)

    return call


def test_the_astronauts_face_is_found_and_drawn(edge, short_range, photos, tmp_path):
    target = tmp_path / "out.png"
    code, out, _ = edge(
        "run", short_range, photos / "astronaut.png", *SHORT_RANGE, "--draw", target
    )
    assert code == 0
    assert "astronaut.png  face 0.92" in out
    assert "litert" in out and "p50" in out and str(target) in out
    original, drawn = read_picture(photos / "astronaut.png"), read_picture(target)
    marks = np.argwhere((original != drawn).any(axis=-1))
    (top, left), (bottom, right) = marks.min(axis=0), marks.max(axis=0)
    assert left in range(150, 190) and right in range(250, 330)
    assert top in range(40, 90) and bottom in range(165, 190)


@pytest.mark.parametrize("resize", ["letterbox", "stretch", "crop"])
def test_the_way_back_to_the_picture_is_right_for_every_fit(
    edge_json, short_range, photos, tmp_path, resize
):
    spec = tmp_path / "face.toml"
    spec.write_text((EXAMPLE / "face.toml").read_text().replace("letterbox", resize))
    square = read_picture(photos / "astronaut.png")
    wide = np.zeros((512, 640, 3), np.uint8)
    wide[:, 64:576] = square
    write_picture(tmp_path / "wide.png", wide)
    report = edge_json("run", short_range, tmp_path / "wide.png", "--preprocess", spec)
    (box,) = report["results"][0]["result"]["found"]
    assert box["score"] > 0.7
    in_square = [(box[side] * 640 - 64) / 512 for side in ("left", "right")]
    assert in_square == pytest.approx([0.35, 0.53], abs=0.02)
    assert [box["top"], box["bottom"]] == pytest.approx([0.16, 0.34], abs=0.02)
    nose = box["keypoints"][2]
    assert [(nose[0] * 640 - 64) / 512, nose[1]] == pytest.approx([0.44, 0.24], abs=0.02)


def test_full_range_finds_it_too(edge_json, photos):
    model = asset("face-detection-full-range")
    report = edge_json("run", model, photos / "astronaut.png", *FULL_RANGE)
    (box,) = report["results"][0]["result"]["found"]
    assert box["score"] > 0.9 and box["label"] == "face"
    assert [box["left"], box["top"]] == pytest.approx([0.34, 0.13], abs=0.02)


def test_every_frame_of_a_video_has_its_face(edge_json, short_range, carphone, tmp_path):
    drawn, lines = tmp_path / "out.mp4", tmp_path / "out.jsonl"
    report = edge_json(
        "run", short_range, carphone, *SHORT_RANGE, "--draw", drawn, "--output", lines
    )
    assert report["frames"] == len(report["results"]) == 120
    assert report["placement"]["backend"] == "litert"
    assert 0 < report["latency_ms"]["p50"] <= report["latency_ms"]["p99"]
    assert report["fps"] > 0 and report["warnings"] == []
    for answer in report["results"]:
        (box,) = answer["result"]["found"]
        assert box["score"] > 0.5 and box["label"] == "face"
    assert report["results"][60]["time_s"] == pytest.approx(60 / 29.97, abs=0.001)
    assert [json.loads(line) for line in lines.read_text().splitlines()] == report["results"]
    (clip,) = open_sources([drawn])
    assert (clip.width, clip.height, clip.announced) == (176, 144, 120)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out.jsonl", "out.mp4"]


def test_a_folder_of_photos_goes_to_a_folder(edge_json, short_range, photos, tmp_path):
    report = edge_json("run", short_range, photos, *SHORT_RANGE, "--draw", tmp_path / "drawn")
    found = {
        Path(answer["source"]).name: len(answer["result"]["found"]) for answer in report["results"]
    }
    assert found == {"astronaut.png": 1, "chelsea.png": 0, "coffee.png": 0, "rocket.jpg": 0}
    assert {path.name for path in (tmp_path / "drawn").iterdir()} == set(found)


def test_a_video_summary_for_people(edge, short_range, carphone):
    code, out, _ = edge("run", short_range, carphone, *SHORT_RANGE)
    assert code == 0
    assert "120 frames" in out and "face in 120 (1.00 objects a frame, 1 at most)" in out


def test_a_cut_off_video_is_answered_as_far_as_it_goes_and_says_so(
    edge, short_range, carphone, tmp_path
):
    path = tmp_path / "clip.avi"
    (clip,) = open_sources([carphone])
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 30, (176, 144))
    for frame in clip.frames():
        writer.write(frame.picture[..., ::-1])
    writer.release()
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    code, out, err = edge("run", short_range, path, *SHORT_RANGE, "--json")
    report = json.loads(out)
    (source,) = report["sources"]
    assert code == 0
    assert 0 < source["frames"] < source["announced"] == 120
    assert f"only {source['frames']} of the 120 frames" in report["warnings"][0]
    assert report["warnings"][0] in err


def test_nothing_that_it_reads_is_written_over(edge, colours, tmp_path):
    write_picture(tmp_path / "a.png", np.full((20, 30, 3), 90, np.uint8))
    (tmp_path / "hard.png").hardlink_to(tmp_path / "a.png")
    (tmp_path / "labels.txt").write_text((colours / "labels.txt").read_text())
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    words = ["run", colours / "colours.onnx", tmp_path, "--preprocess", colours / "spec.toml"]
    labels = ["--labels", tmp_path / "labels.txt"]
    for given, said in (
        (["--output", tmp_path / "a.png"], "a.png is an input and would be overwritten"),
        (["--draw", tmp_path / "hard.png"], "hard.png is an input and would be overwritten"),
        (["--output", tmp_path / "labels.txt"], "labels.txt is an input"),
        (["--output", tmp_path / "o", "--draw", tmp_path / "o"], "--output and --draw are the"),
    ):
        code, _, err = edge(*words, *labels, *given)
        assert (code, said in err) == (2, True), err
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_pictures_are_classified(edge, edge_json, colours, tmp_path):
    for name, colour in (("a", (250, 0, 0)), ("b", (0, 0, 250))):
        write_picture(tmp_path / f"{name}.png", np.full((20, 30, 3), colour, np.uint8))
    words = [
        "run", colours / "colours.onnx", tmp_path / "a.png", tmp_path / "b.png",
        "--preprocess", colours / "spec.toml", "--labels", colours / "labels.txt",
    ]  # fmt: skip
    report = edge_json(*words, "--draw", tmp_path / "drawn")
    best = [answer["result"]["top"][0] for answer in report["results"]]
    assert [found["label"] for found in best] == ["red", "blue"]
    assert best[0]["score"] == pytest.approx(1 / (1 + 2 * np.exp(-250 / 255)), abs=1e-3)
    assert report["placement"]["backend"] == "onnxruntime"
    assert read_picture(tmp_path / "drawn" / "a.png").shape == (120, 180, 3)  # enlarged
    code, out, _ = edge(*words)
    assert code == 0 and "a.png  red 0.57, green 0.21, blue 0.21" in out


def test_a_bare_model_without_processing_takes_arrays(edge, edge_json, colours, tmp_path):
    x = np.random.default_rng(2).random((3, 3, 8, 8), np.float32)
    np.save(tmp_path / "x.npy", x)
    np.savez(tmp_path / "x.npz", image=x[:1])
    model = colours / "colours.onnx"
    report = edge_json("run", model, tmp_path / "x.npy", tmp_path / "x.npz")
    assert [source["frames"] for source in report["sources"]] == [3, 1]
    values = [answer["result"]["outputs"]["scores"]["values"][0] for answer in report["results"]]
    expected = x.mean(axis=(2, 3))
    np.testing.assert_allclose(values, [*expected, expected[0]], rtol=1e-5)
    code, out, _ = edge("run", model, tmp_path / "x.npz")
    assert code == 0 and "scores 1x3" in out


def test_the_command_itself_keeps_stdout_for_the_result(short_range, photos):
    words = ["run", short_range, photos / "astronaut.png", *SHORT_RANGE, "--json"]
    done = subprocess.run(
        [sys.executable, "-m", "edge_sdk", *words], cwd=ROOT, capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr.decode()
    assert json.loads(done.stdout)["frames"] == 1


def test_the_examples_declare_what_mediapipe_does():
    for name, boxes in (("face.toml", 896), ("face_full_range.toml", 2304)):
        before, after = read_processing(EXAMPLE / name)
        strides, per_cell = after.anchors.strides, after.anchors.per_cell
        assert sum((before.size[0] // stride) ** 2 * per_cell for stride in strides) == boxes


@pytest.mark.parametrize(
    ("inputs", "words", "code", "said", "hint"),
    [
        (["none.png"], SHORT_RANGE, 2, "none.png does not exist", "ls"),
        (["empty.png"], SHORT_RANGE, 2, "empty.png is empty", "again"),
        (["text.png"], SHORT_RANGE, 2, "text.png is neither a picture nor a video", "file"),
        (["cut.jpg"], SHORT_RANGE, 2, "cut.jpg is not a whole picture", "again"),
        (["cut.mp4"], SHORT_RANGE, 2, "cut.mp4 is neither a picture nor a video", "again"),
        (["x.npy"], SHORT_RANGE, 2, "x.npy holds arrays", "pictures"),
        (["rocket.jpg"], [], 2, "declares no preprocessing", "--preprocess SPEC.toml"),
        (["x.npy"], ["--draw", "o.png"], 2, "no picture to draw on", "--draw"),
        (["rocket.jpg"], ["--preprocess", "none.toml"], 2, "none.toml", "path"),
        (["rocket.jpg"], ["--preprocess", "typo.toml"], 2, "'keypoint'", "'keypoints'"),
        (["rocket.jpg"], ["--preprocess", "wrong.toml"], 2, "1x192x192x3", "[preprocess]"),
        (["rocket.jpg"], ["--preprocess", "before.toml", "--draw", "o.png"], 2, "draw", "--draw"),
        (["rocket.jpg"], [*SHORT_RANGE[:3], "two.txt"], 2, "2 labels for 1", "label"),
        (["rocket.jpg"], [*SHORT_RANGE, "--draw", "none/o.png"], 2, "none/o.png", "folder"),
        (["rocket.jpg", "cut.jpg"], [*SHORT_RANGE, "--draw", "o.png"], 2, "2 drawings", "--draw o"),
        (["rocket.jpg"], [*SHORT_RANGE, "--output", "none/o.jsonl"], 2, "none/o.jsonl", "folder"),
        (["rocket.jpg"], [*SHORT_RANGE, "--threads", "0"], 2, "0 threads", "1 to 1024"),
        (["rocket.jpg"], [*SHORT_RANGE, "--variant", "x"], 2, "no variants", "--variant"),
        (["rocket.jpg"], [*SHORT_RANGE, "--delegate", "warp"], 2, "warp", ""),
    ],
)  # fmt: skip
def test_bad_input_is_named_with_its_remedy_and_leaves_nothing_behind(
    edge, short_range, photos, tmp_path, monkeypatch, inputs, words, code, said, hint
):
    monkeypatch.chdir(tmp_path)
    photo, spec = (photos / "rocket.jpg").read_bytes(), (EXAMPLE / "face.toml").read_text()
    Path("rocket.jpg").write_bytes(photo)
    Path("cut.jpg").write_bytes(photo[:3000])
    Path("cut.mp4").write_bytes(asset("carphone").read_bytes()[:200_000])
    Path("empty.png").touch()
    Path("text.png").write_text("not a picture")
    Path("two.txt").write_text("face\nhand\n")
    Path("typo.toml").write_text(spec.replace("keypoints", "keypoint"))
    Path("wrong.toml").write_text(spec.replace("128, 128", "192, 192"))
    Path("before.toml").write_text(spec.partition("[postprocess]")[0])
    np.save("x.npy", np.zeros((1, 128, 128, 3), np.float32))
    before = sorted(tmp_path.iterdir())
    exit_code, out, err = edge("run", short_range, *inputs, *words)
    assert exit_code == code, err
    assert said in err and hint in err and "Traceback" not in err
    assert out == ""
    assert sorted(tmp_path.iterdir()) == before


def test_an_artifact_brings_its_own_processing(edge, tmp_path):
    code, _, err = edge("run", tmp_path / "x.edge", "p.png", *SHORT_RANGE)
    assert code == 2 and "brings its own processing" in err and "--preprocess" in err


def test_a_person_is_cut_out_and_drawn(edge, tmp_path):
    drawn = tmp_path / "person.png"
    code, out, err = edge(
        *("run", asset("selfie-segmentation"), asset("photos") / "astronaut.png", "--json"),
        *("--preprocess", ROOT / "examples/selfie_segmentation/selfie.toml", "--draw", drawn),
    )
    assert code == 0, err
    result = json.loads(out)["results"][0]["result"]
    assert result["kind"] == "area"
    assert 0.2 < result["share"] < 0.8
    before, after = read_picture(asset("photos") / "astronaut.png"), read_picture(drawn)
    assert (after[150, 220] == before[150, 220]).all()  # her face
    assert (after[60, 480] == before[60, 480] // 3).all()  # behind her

"""``edge explain``, ``--audit`` and ``--guard`` as typed, on planted and on real models."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from edge_sdk.cli.main import main
from edge_sdk.pipeline import read_picture, write_picture
from examples.assets import asset
from tests.planted_pictures import LABELS, picture, planted
from tests.tiny_models import onnx_affine

ROOT = Path(__file__).resolve().parents[2]
FACE = ROOT / "examples" / "face_detection"
SPEC = """\
[preprocess]
input = "image"
size = [32, 32]
std = [1.0]
[postprocess]
kind = "classification"
output = "scores"
activation = "softmax"
"""


@pytest.fixture
def planted_model(tmp_path: Path) -> list[object]:
    (tmp_path / "spec.toml").write_text(SPEC)
    (tmp_path / "labels.txt").write_text("\n".join(LABELS))
    write_picture(tmp_path / "photo.png", picture(160, 240))
    planted(tmp_path / "m.onnx")
    words = (tmp_path / "m.onnx", tmp_path / "photo.png")
    flags = ("--preprocess", tmp_path / "spec.toml", "--labels", tmp_path / "labels.txt")
    return [*words, *flags]


def edge(capfd: pytest.CaptureFixture[str], *words: object) -> tuple[int, str, str]:
    code = main([str(word) for word in words])
    return code, *capfd.readouterr()


def test_an_overlay_and_its_json(
    planted_model: list[object], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "why.png"
    code, said, _ = edge(capfd, "explain", *planted_model, "--out", out, "--json")
    assert code == 0
    report = json.loads(said)
    left, top, right, bottom = report["explanation"]["focus"]
    assert left < 24 / 32 < right  # the middle of the region
    assert top < 9 / 32 < bottom
    assert (right - left) * (bottom - top) < 0.3
    assert report["answer"]["top"][0]["label"] == "lit"
    assert report["explanation"]["target"] == "lit"
    assert report["drawn"] == str(out)
    drawn = cv2.imread(str(out)).astype(int)
    assert drawn.shape == (160, 240, 3)
    glow = drawn[..., 2] - drawn[..., 0]
    at = np.unravel_index(cv2.GaussianBlur(glow.astype(np.float32), (0, 0), 9).argmax(), (160, 240))
    assert 20 <= at[0] < 70
    assert 135 <= at[1] < 225


def test_for_a_person(planted_model: list[object], capfd: pytest.CaptureFixture[str]) -> None:
    code, said, _ = edge(capfd, "explain", *planted_model, "--class", "unlit", "--runs", 200)
    assert code == 0
    assert "photo.png  lit" in said
    assert "why      unlit" in said
    assert "no part of it stands out in its favour" in said
    assert "runs     200 in " in said
    assert "cpu" in said


def test_a_real_face_on_a_real_photograph(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    photo = asset("photos") / "astronaut.png"
    words = (asset("face-detection-short-range"), photo)
    flags = ("--preprocess", FACE / "face.toml", "--labels", FACE / "labels.txt", "--json")
    code, said, _ = edge(capfd, "explain", *words, *flags, "--out", tmp_path / "why.png")
    assert code == 0
    report = json.loads(said)
    (face,) = report["answer"]["found"]
    focus = dict(zip(("left", "top", "right", "bottom"), report["explanation"]["focus"]))  # noqa: B905
    for low, high in (("left", "right"), ("top", "bottom")):
        middle = (face[low] + face[high]) / 2
        assert focus[low] < middle < focus[high]
        assert abs((focus[low] + focus[high]) / 2 - middle) < 0.08
        assert focus[high] - focus[low] < 2 * (face[high] - face[low])
    assert report["explanation"]["hidden_score"] == 0
    assert read_picture(tmp_path / "why.png").shape == (512, 512, 3)


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        (("--class", "7"), "There is no class 7: the model has 2."),
        (("--class", "litt"), "Did you mean 'lit'?"),
        (("--runs", "2"), "too few"),
        (("--hide", "grey"), "Nothing is hidden by 'grey'"),
        (("--seed", "-1"), "The seed -1 is none"),
        (("--out", "why.txt"), "does not end as a picture"),
        (("--out", "missing/why.png"), "cannot be written"),
    ],
    ids=["class", "label", "runs", "hide", "seed", "suffix", "folder"],
)
def test_bad_words(
    planted_model: list[object],
    flags: tuple[str, ...],
    says: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    code, said, complaint = edge(capfd, "explain", *planted_model, *flags)
    assert (code, said) == (2, "")
    assert says in complaint


def test_what_cannot_be_explained(
    planted_model: list[object], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "affine.onnx").write_bytes(onnx_affine())
    photo = tmp_path / "photo.png"
    code, _, complaint = edge(capfd, "explain", tmp_path / "affine.onnx", photo)
    assert code == 2
    assert "declares no preprocessing" in complaint
    (tmp_path / "broken.png").write_bytes(photo.read_bytes()[:40])
    model, _, *flags = planted_model
    code, _, complaint = edge(capfd, "explain", model, tmp_path / "broken.png", *flags)
    assert code == 2
    assert "not a whole picture" in complaint
    planted(tmp_path / "nan.onnx", nan=True)
    code, _, complaint = edge(capfd, "explain", tmp_path / "nan.onnx", photo, *flags)
    assert code == 3
    assert "NaN" in complaint


def test_a_trail_of_what_was_run_and_explained(
    planted_model: list[object], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    model, photo, *flags = planted_model
    trail = tmp_path / "audit.jsonl"
    assert edge(capfd, "run", model, photo, photo, *flags, "--audit", trail)[0] == 0
    assert edge(capfd, "explain", model, photo, *flags, "--runs", 400, "--audit", trail)[0] == 0
    lines = [json.loads(line) for line in trail.read_text().splitlines()]
    assert [line["number"] for line in lines] == [1, 2, 3]
    assert len({line["source_sha256"] for line in lines}) == 1
    assert [line["explanation"] is None for line in lines] == [True, True, False]
    assert lines[2]["explanation"]["target"] == "lit"
    code, said, _ = edge(capfd, "audit", "verify", trail)
    assert code == 0
    assert "records  3 hold, in 1 file: number 1 of " in said
    assert "verdict  whole" in said
    trail.write_bytes(trail.read_bytes().replace(b'"label":"lit"', b'"label":"dim"', 1))
    code, said, _ = edge(capfd, "audit", "verify", trail, "--json")
    assert code == 1
    assert json.loads(said)["bad"]["line"] == 1


def test_a_trail_of_arrays(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "affine.onnx").write_bytes(onnx_affine())
    np.save(tmp_path / "x.npy", np.ones((1, 4), np.float32))
    trail = tmp_path / "audit.jsonl"
    words = (tmp_path / "affine.onnx", tmp_path / "x.npy", "--audit", trail)
    assert edge(capfd, "run", *words)[0] == 0
    (line,) = map(json.loads, trail.read_text().splitlines())
    assert line["inputs"]["x"]["shape"] == [1, 4]
    assert line["answer"]["kind"] == "tensors"
    assert line["source_sha256"]


def test_where_no_trail_can_be_kept_nothing_is_run(
    planted_model: list[object], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    model, photo, *flags = planted_model
    (tmp_path / "notes.txt").write_text("dear diary")
    words = (model, photo, *flags, "--audit", tmp_path / "notes.txt", "--output", tmp_path / "o")
    code, said, complaint = edge(capfd, "run", *words)
    assert (code, said) == (2, "")
    assert "no audit log that can be continued" in complaint
    assert (tmp_path / "notes.txt").read_text() == "dear diary"
    assert not (tmp_path / "o").exists()


def test_what_the_guard_refuses_is_not_run_and_is_told(
    planted_model: list[object], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    model, photo, *flags = planted_model
    write_picture(tmp_path / "cap.png", np.full((40, 40, 3), 3, np.uint8))
    (tmp_path / "limits.toml").write_text("min_luma = 20\nmost_per_s = 1\n")
    words = (model, photo, tmp_path / "cap.png", photo, *flags)
    guard = ("--guard", tmp_path / "limits.toml")
    code, said, _ = edge(capfd, "run", *words, *guard, "--draw", tmp_path / "drawn")
    assert code == 0
    assert "cap.png    refused: 1 blank" in said
    assert "guard: 2 passed, 1 refused: 1 blank" in said
    code, said, _ = edge(capfd, "run", *words, *guard, "--json", "--audit", tmp_path / "a.jsonl")
    report = json.loads(said)
    assert report["guard"] == {"passed": 2, "refused": {"blank": 1}}
    assert [source["frames"] for source in report["sources"]] == [1, 0, 1]
    assert report["frames"] == len(report["results"]) == 2
    assert len((tmp_path / "a.jsonl").read_text().splitlines()) == 2
    code, said, _ = edge(capfd, "run", model, tmp_path / "cap.png", *flags, *guard, "--json")
    assert code == 0
    assert json.loads(said)["latency_ms"] == {"p50": None, "p99": None}


def test_the_guard_on_a_video_and_on_arrays(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "limits.toml").write_text("most_per_s = 5\n")
    words = (asset("face-detection-short-range"), asset("carphone"))
    flags = ("--preprocess", FACE / "face.toml", "--labels", FACE / "labels.txt")
    drawn = ("--draw", tmp_path / "drawn.mp4")
    guard = ("--guard", tmp_path / "limits.toml")
    code, said, complaint = edge(capfd, "run", *words, *flags, *guard, *drawn, "--json")
    assert code == 0
    report = json.loads(said)
    refused = report["guard"]["refused"]["too many a second"]
    assert report["frames"] + refused == 120
    assert 18 <= report["frames"] <= 26  # four seconds and a bit
    assert report["warnings"] == []  # nothing of the video is missing
    assert "missing" not in complaint
    (tmp_path / "affine.onnx").write_bytes(onnx_affine())
    np.save(tmp_path / "x.npy", np.array([[1, 2, 3, 4], [1, 2, 3, 400]], np.float32))
    (tmp_path / "limits.toml").write_text("[ranges]\nx = [0, 5]\n")
    code, said, _ = edge(capfd, "run", tmp_path / "affine.onnx", tmp_path / "x.npy", *guard)
    assert code == 0
    assert "guard: 1 passed, 1 refused: 1 out of range: x" in said
    (tmp_path / "limits.toml").write_text("[rangs]\nx = [0, 5]\n")
    code, _, complaint = edge(capfd, "run", tmp_path / "affine.onnx", tmp_path / "x.npy", *guard)
    assert code == 2
    assert "Did you mean 'ranges'" in complaint


@pytest.mark.parametrize("command", ["run", "explain"])
@pytest.mark.parametrize(
    "name", ["m.onnx", "photo.png", "hard.jsonl", "link.jsonl", "spec.toml", "labels.txt"]
)
def test_no_file_of_the_commands_becomes_its_trail(
    planted_model: list[object],
    tmp_path: Path,
    command: str,
    name: str,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """By whatever name: refused, and it is as it was."""
    (tmp_path / "hard.jsonl").hardlink_to(tmp_path / "photo.png")
    (tmp_path / "link.jsonl").symlink_to(tmp_path / "m.onnx")
    for path in tmp_path.iterdir():
        path.chmod(0o644)
    before = {path: (path.stat(), path.read_bytes()) for path in tmp_path.iterdir()}
    trail = tmp_path / "missing" / ".." / name if name == "photo.png" else tmp_path / name
    (tmp_path / "missing").mkdir()
    code, said, complaint = edge(capfd, command, *planted_model, "--audit", trail)
    (tmp_path / "missing").rmdir()
    assert (code, said) == (2, "")
    assert f"The audit log cannot be {trail}" in complaint
    after = {path: (path.stat(), path.read_bytes()) for path in tmp_path.iterdir()}
    assert after.keys() == before.keys()
    for path, (was, content) in before.items():
        assert (after[path][0].st_mode, after[path][0].st_ctime_ns) == (
            was.st_mode,
            was.st_ctime_ns,
        )
        assert after[path][1] == content


@pytest.mark.parametrize(
    ("command", "flag", "name"),
    [("run", "--output", "o.jsonl"), ("run", "--draw", "o.png"), ("explain", "--out", "o.png")],
)
def test_what_is_written_is_not_its_own_trail(
    planted_model: list[object],
    tmp_path: Path,
    command: str,
    flag: str,
    name: str,
    capfd: pytest.CaptureFixture[str],
) -> None:
    words = (flag, tmp_path / name, "--audit", tmp_path / name)
    code, _, complaint = edge(capfd, command, *planted_model, *words)
    assert code == 2
    assert "The audit log cannot be " in complaint
    assert not (tmp_path / name).exists()


def test_a_trail_that_does_not_hold_is_told_of_at_once(
    planted_model: list[object], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    model, photo, *flags = planted_model
    trail = tmp_path / "audit.jsonl"
    words = ("run", model, photo, photo, photo, *flags, "--audit", trail)
    assert edge(capfd, *words)[::2] == (0, "")
    lines = trail.read_bytes().splitlines(keepends=True)
    trail.write_bytes(lines[0] + lines[2])
    code, said, complaint = edge(capfd, *words, "--json")
    assert code == 0
    assert json.loads(said)["frames"] == 3
    assert "audit.jsonl does not hold: audit.jsonl: it is number 3 after number 1" in complaint
    code, said, _ = edge(capfd, "audit", "verify", trail)
    assert code == 1
    assert "line 2: it is number 3 after number 1" in said
    assert "behind   2 records hold, and 1 lines do not" in said

"""The examples of models, engines and the fleet, and the page on explanations, as typed."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from edge_sdk.pipeline import read_picture, write_picture
from tests import picture_models
from tests.tiny_models import affine, onnx_affine, tflite_adds

ROOT = Path(__file__).parents[2]
DELEGATE = ROOT / "tests" / "contract" / "stub_delegate.c"
README = (ROOT / "examples" / "README.md").read_text(encoding="utf-8")
SHORT = {
    "classify": "examples/classify.py",
    "detect on video": "examples/detect_on_video.py",
    "blur faces": "examples/blur_faces.py",
    "wake word": "examples/wake_word/listen.py",
    "predictive text": "examples/predictive_text/suggest.py",
    "custom delegate": "examples/custom_delegate.py",
    "own backend": "examples/own_backend.py",
    "own stage": "examples/own_stage.py",
    "batch inference": "examples/batch_inference.py",
    "fleet in a script": "examples/fleet_in_a_script.py",
}


@pytest.fixture(autouse=True)
def _somewhere_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def run(name: str, *words: object) -> str:
    done = subprocess.run(
        [sys.executable, "-m", f"examples.{name}", *map(str, words)],
        env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin", "HOME": str(Path.cwd())},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return done.stdout


def _command(process: Path) -> str:
    try:
        return os.fsdecode((process / "cmdline").read_bytes())
    except OSError:
        return ""  # it has ended meanwhile


@pytest.fixture
def light(tmp_path: Path) -> Path:
    picture_models.artifact(tmp_path / "light-1.0.0.edge")
    return tmp_path / "light-1.0.0.edge"


@pytest.mark.parametrize("name", SHORT)
def test_each_is_short_is_in_the_readme_and_says_how_to_run_it(name: str) -> None:
    path = ROOT / SHORT[name]
    text = path.read_text(encoding="utf-8")
    code = re.sub(r'""".*?"""', "", text, flags=re.DOTALL)
    assert sum(bool(line.strip()) for line in code.splitlines()) <= 60
    module = SHORT[name].removesuffix(".py").replace("/", ".")
    assert f"-m {module}" in text
    assert path.name in README or module in README


def called(name: str, *words: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", f"examples.{name}", *map(str, words)],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


@pytest.mark.parametrize("name", SHORT)
def test_each_says_its_usage_in_one_line(name: str) -> None:
    module = SHORT[name].removesuffix(".py").replace("/", ".").removeprefix("examples.")
    asked = called(module, "--help")
    assert (asked.returncode, asked.stdout.count("\n")) == (0, 1)
    usage = f"usage: python -m examples.{module} "
    assert asked.stdout.startswith(usage)
    # The wake word may be called with nothing: it listens. Many it refuses as well.
    wrong = called(module, *["a", "b", "c"] * (module == "wake_word.listen"))
    assert (wrong.returncode, wrong.stdout) == (2, "")
    lines = [line for line in wrong.stderr.splitlines() if line.startswith("usage: ")]
    assert lines == [asked.stdout.rstrip()]
    assert "Traceback" not in wrong.stderr


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("classify", ("gone.edge", "photo.png")),
        ("batch_inference", ("model.edge", "gone")),
        ("detect_on_video", ("gone.mp4", "out.mp4", "found.jsonl")),
        ("blur_faces", ("gone.mp4",)),
        ("own_stage", ("gone.mp4",)),
        ("wake_word.listen", ("gone.wav",)),
        ("custom_delegate", ("gone.tflite", "./libmine.so")),
        ("own_backend", ("gone.onnx", "x.npy")),
        ("fleet_in_a_script", ("gone.edge", ".", "build")),
        ("fleet_in_a_script", ("model.edge", "gone", "build")),
    ],
    ids=lambda value: value if isinstance(value, str) else value[0],
)
def test_a_file_that_is_not_there_is_named(
    tmp_path: Path, name: str, words: tuple[str, ...]
) -> None:
    write_picture(tmp_path / "here.png", np.zeros((8, 8, 3), np.uint8))
    done = called(name, *words)
    assert done.returncode == 2, done.stderr
    assert "gone" in done.stderr
    assert "Traceback" not in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["here.png"]  # nothing was begun


@pytest.mark.parametrize(
    ("name", "words", "code"),
    [
        ("classify", ("junk.edge", "photo.png"), 4),
        ("batch_inference", ("junk.edge", ".", "many"), 2),
        ("custom_delegate", ("junk.tflite", "./libmine.so"), 2),
        ("own_backend", ("junk.onnx", "x.npy"), 2),
        ("own_stage", ("junk.mp4",), 2),
    ],
    ids=["classify", "batch_inference", "custom_delegate", "own_backend", "own_stage"],
)
def test_what_is_no_such_file_is_said(
    tmp_path: Path, name: str, words: tuple[str, ...], code: int
) -> None:
    (tmp_path / words[0]).write_bytes(b"\xff" * 300)
    done = called(name, *words)
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr


def test_classify(light: Path, tmp_path: Path) -> None:
    half = np.full((40, 40, 3), 230, np.uint8)
    half[:, 20:] = 0
    for name, picture in (("night", half // 4), ("day", half)):
        write_picture(tmp_path / f"{name}.png", picture)
    said = run("classify", light, tmp_path / "night.png", tmp_path / "day.png")
    night, day, why, *placement = said.splitlines()
    assert night == f"{tmp_path / 'night.png'}: dark 0.89, bright 0.11"
    assert day.endswith("day.png: dark 0.55, bright 0.45")
    assert why.startswith("why: dark 0.8")
    assert placement[0].startswith("litert ")
    assert read_picture(tmp_path / "why.png").shape == (120, 120, 3)


def test_a_folder_that_is_not_there_is_not_called_empty(light: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for name, says in (
        ("gone", "There is no folder gone."),
        ("empty", "There are no .png in empty"),
    ):
        done = called("batch_inference", light, name)
        assert done.returncode == 2
        assert says in done.stderr


def test_batch_inference(light: Path, tmp_path: Path) -> None:
    picture_models.write_pictures(tmp_path / "pictures", *[40] * 5, *[220] * 2)
    said = run("batch_inference", light, tmp_path / "pictures", 3).splitlines()
    assert said[0].startswith("7 pictures, ")
    assert said[1:] == ["    5 dark", "    2 bright"]


@pytest.mark.skipif(shutil.which("gcc") is None, reason="there is no gcc")
def test_custom_delegate(tmp_path: Path) -> None:
    library = tmp_path / "libstub.so"
    subprocess.run(["gcc", "-shared", "-fPIC", "-o", library, DELEGATE], check=True)
    (tmp_path / "adds.tflite").write_bytes(tflite_adds(4))
    said = run("custom_delegate", tmp_path / "adds.tflite", library)
    assert f"{library} 4/7 ops, xnnpack 3/7 ops" in said
    gap = re.search(r": (\S+) from the plain kernels'", said)
    assert gap is not None
    assert float(gap[1]) < 1e-6
    said = run("custom_delegate", tmp_path / "adds.tflite", f"{library}?sums=wrong")
    gap = re.search(r": (\S+) from the plain kernels'", said)
    assert gap is not None
    assert float(gap[1]) > 0.1  # it is seen
    said = run("custom_delegate", tmp_path / "adds.tflite", f"{library}?crash=invoke")
    assert "refused: it crashes the process" in said


def test_own_backend(tmp_path: Path) -> None:
    x = np.array([[1, -2, 3, 0.5], [0, 1, 0, 1]], np.float32)
    (tmp_path / "affine.onnx").write_bytes(onnx_affine(-1))
    np.save(tmp_path / "x.npy", x)
    mine, theirs = run("own_backend", tmp_path / "affine.onnx", tmp_path / "x.npy").split(
        "onnxruntime "
    )
    assert mine.startswith("reference ")
    assert "cpu 2/2 ops" in mine
    for said in (mine, theirs):
        numbers = [float(n) for n in re.findall(r"-?\d+\.\d*", said.partition("array(")[2])]
        np.testing.assert_allclose(numbers[:6], affine(x).ravel(), rtol=1e-6)


def test_fleet_in_a_script(light: Path, tmp_path: Path) -> None:
    picture_models.write_pictures(tmp_path / "pictures", 60, 120, 180)
    said = run("fleet_in_a_script", light, tmp_path / "pictures", tmp_path / "fleet")
    rollout, device = said.splitlines()
    assert rollout == "light@1.0.0: done"
    assert re.fullmatch(r"pi-1 serves light@1\.0\.0, \d+ answers so far", device)
    left = [line for line in map(_command, Path("/proc").glob("[0-9]*")) if str(tmp_path) in line]
    assert not left  # fleet, broker and agent have ended


def test_a_fleet_without_pictures_does_not_begin(light: Path, tmp_path: Path) -> None:
    """A folder of class folders holds none itself: nobody is to wait for the agent to find any."""
    picture_models.write_pictures(tmp_path / "pictures" / "dark", 60)
    command = [sys.executable, "-m", "examples.fleet_in_a_script", light]
    done = subprocess.run(
        [*command, tmp_path / "pictures", tmp_path / "fleet"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert "There are no pictures in the folder" in done.stderr
    assert not (tmp_path / "fleet").exists()


def test_the_page_on_explanations(light: Path, tmp_path: Path) -> None:
    page = (ROOT / "docs" / "explain.md").read_text(encoding="utf-8")
    mark = re.escape("<!-- executed by tests/e2e/test_examples.py -->")
    (program,) = re.findall(rf"{mark}\n```python\n(.*?)```", page, re.S)
    light.rename(tmp_path / "mine-1.0.0.edge")
    half = np.full((40, 40, 3), 230, np.uint8)
    half[:, 20:] = 0
    write_picture(tmp_path / "photo.jpg", half)
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert "Explained(target='dark'" in done.stdout or "dark 0.5" in done.stdout
    assert read_picture(tmp_path / "why.png").size

"""The examples of pipelines, as their docstrings say to run them."""

from __future__ import annotations

import json
import subprocess
import sys
import urllib.request
from pathlib import Path

from edge_sdk.pipeline import Clip
from examples.assets import asset

ROOT = Path(__file__).parents[2]


def example(name: str, *words: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", f"examples.{name}", *map(str, words)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_detect_on_video(tmp_path: Path) -> None:
    video, lines = tmp_path / "out.mp4", tmp_path / "found.jsonl"
    out, err = (done := example("detect_on_video", asset("carphone"), video, lines)).communicate()
    assert done.returncode == 0, err
    assert "120 frames" in out
    assert Clip(video).announced == 120
    words = [json.loads(line) for line in lines.read_text().splitlines()]
    assert sum(bool(word["answers"]["faces"]["found"]) for word in words) >= 118
    assert {word["answers"]["tracks"]["tracks"][0]["id"] for word in words} == {1}


def test_blur_faces_on_a_page() -> None:
    running = example("blur_faces", asset("carphone"))
    assert running.stdout is not None
    address = running.stdout.readline().removeprefix("Look at ").strip()
    with urllib.request.urlopen(f"{address}frame.jpg", timeout=20) as answer:
        assert answer.read().startswith(b"\xff\xd8\xff")
    out, err = running.communicate()
    assert running.returncode == 0, err
    assert "frames, age p50" in out


def test_own_stage() -> None:
    out, err = (done := example("own_stage", asset("carphone"))).communicate()
    assert done.returncode == 0, err
    assert "of 120 frames move; {'motion: nothing moves':" in out
    assert "most at" in out

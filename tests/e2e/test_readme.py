"""What the README tells a reader to type, typed."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from examples.assets import asset

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
MARK = "<!-- executed by tests/e2e/test_readme.py"


def executed(language: str) -> list[str]:
    """The README's blocks of that language that it says are executed."""
    return re.findall(rf"{re.escape(MARK)}[^\n]*-->\n```{language}\n(.*?)```", README, re.S)


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A reader's folder: a .tflite of their own and an input for it."""
    folder = tmp_path_factory.mktemp("reader")
    shutil.copy(asset("face-detection-short-range"), folder / "mine.tflite")
    rng = np.random.default_rng(5)
    np.save(folder / "input.npy", rng.random((1, 128, 128, 3), np.float32) * 2 - 1)
    return folder


def test_every_page_is_in_the_table_of_what_is_where() -> None:
    table = README.partition("## What is where")[2]
    pages = [f"docs/{page.name}" for page in (ROOT / "docs").glob("*.md")]
    assert [page for page in pages if f"]({page})" not in table] == []


def test_figures_are_those_that_were_measured() -> None:
    """Of docs/benchmarks.md, which is made of these."""
    text, voice, word, video = (
        json.loads((ROOT / "benchmarks" / "results" / f"{name}.json").read_bytes())["ratios"]
        for name in ("text", "voice", "wake_word", "pipeline")
    )
    blurred, faces = (
        {
            clip: [1 / video[f"{clip}, {model}, over {whom}"] for whom in ("naive", "Tasks")]
            for clip in ("bigbuckbunny", "carphone")
        }
        for model in ("segmentation", "faces")
    )
    saved = [1 - text[f"{book}: keys a letter, learning"] for book in ("proceedings", "novel")]
    slowest = max(text[f"{book}: p99 of 20 ms a key"] for book in ("proceedings", "novel"))
    for figure in (
        "{:.1f} times as fast as a plain loop, {:.1f} times".format(*blurred["bigbuckbunny"]),
        "176x144 | {:.1f} and {:.1f} times".format(*blurred["carphone"]),
        "marked, 1280x720 | {:.2f} and {:.2f} times".format(*faces["bigbuckbunny"]),
        "176x144 | {:.2f} and {:.2f} times".format(*faces["carphone"]),
        f"at p99 | {video['live: age over period + model, p99']:.0%} of".replace("%", " %"),
        f"{saved[0]:.1%} and {saved[1]:.1%}; {20 * slowest:.0f} ms a key".replace("%", " %"),
        f"worst of six stretches {1 - text['worst of them']:.1%}".replace("%", " %"),
        f"known {450 * word['okay_nabu: p99 delay of 450 ms']:.0f} ms after",
        f"{0.05 * voice['all of it, of 0.05 of a core']:.1%} of a core".replace("%", " %"),
    ):
        assert figure in README


def test_the_commands_do_what_they_say(reader: Path) -> None:
    (block,) = executed("console")
    commands = [line.removeprefix("$ ") for line in block.splitlines()]
    assert len(commands) == 5
    bin_folder = Path(sys.executable).parent
    for command in commands:
        program, *words = shlex.split(command)
        assert program == "edge"
        done = subprocess.run(
            [bin_folder / program, *words], cwd=reader, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, f"{command}\n{done.stderr}"
        assert done.stdout.strip(), f"{command} said nothing"
        assert "Traceback" not in done.stderr


def test_the_python_does_what_it_says(reader: Path) -> None:
    assert (reader / "mine-1.0.0.edge").exists(), "the commands come first"
    (block,) = executed("python")
    done = subprocess.run(
        [sys.executable, "-c", f"{block}\nassert outputs"],
        cwd=reader,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONWARNINGS": "error"},
    )
    assert done.returncode == 0, done.stderr
    assert "gpu refused" in done.stdout


def test_what_runs_in_a_clone_runs_as_it_stands(tmp_path: Path) -> None:
    """Typed into a shell, in a folder that has the clone's and ``edge`` in its path."""
    for name in ("scripts", "examples"):
        (tmp_path / name).symlink_to(ROOT / name)
    mark = re.escape("<!-- executed in a clone by tests/e2e/test_readme.py -->")
    (block,) = re.findall(rf"{mark}\n```console\n(.*?)```", README, re.S)
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-euc", re.sub(r"^\$ ", "", block, flags=re.M)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PATH": path},
    )
    assert done.returncode == 0, done.stderr
    assert "it rests on what is at" in done.stdout
    assert "verdict  whole" in done.stdout
    assert (tmp_path / "why.png").stat().st_size > 10_000


def test_every_link_leads_somewhere() -> None:
    pages = [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]
    broken = [
        f"{page.relative_to(ROOT)}: {target}"
        for page in pages
        for target in re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text(encoding="utf-8"))
        if "://" not in target and not (page.parent / target).exists()
    ]
    assert not broken


def test_generated_pages_are_up_to_date() -> None:
    done = subprocess.run(
        [sys.executable, ROOT / "docs" / "generate.py", "--check"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr

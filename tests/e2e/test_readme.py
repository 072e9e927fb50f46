"""What the README tells a reader to type, typed."""

from __future__ import annotations

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

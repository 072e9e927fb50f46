"""scripts/setup and scripts/apt where they cannot do their work: what they say."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

# What setup needs besides a Python, all of it on any Debian.
TOOLS = ("bash", "cat", "cut", "df", "dirname", "env", "flock", "grep", "mkdir", "mktemp", "mv")
TOOLS += ("rm", "sed", "sha256sum", "tail", "tr", "wc")
SCRIPTS = sorted(path.name for path in (Path(__file__).parents[2] / "scripts").glob("[a-z]*"))


@pytest.fixture
def checkout(root: Path, tmp_path: Path) -> Path:
    """A checkout without a venv."""
    for name in ("scripts/apt", "scripts/setup", "requirements/dev.lock", "pyproject.toml"):
        target = tmp_path / "checkout" / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(root / name, target)
    return tmp_path / "checkout"


@pytest.fixture
def bare(tmp_path: Path) -> Path:
    """A PATH with tools but no Python, no sudo, no apt, and a user who is not root."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for tool in TOOLS:
        (folder / tool).symlink_to(str(shutil.which(tool)))
    program(folder / "id", "echo 1000")
    program(folder / "dpkg-query", "exit 1")
    return folder


def program(path: Path, body: str) -> None:
    path.write_text(f"#!/bin/bash\n{body}\n", encoding="utf-8")
    path.chmod(0o755)


def run(script: Path, path: Path, *args: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [script, *args],
        env={"PATH": str(path), "HOME": str(path)},
        cwd=os.sep,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_without_python_and_root_it_prints_the_line_to_type(checkout: Path, bare: Path) -> None:
    program(bare / "apt-get", "exit 1")
    done = run(checkout / "scripts" / "setup", bare)
    assert done.returncode == 3
    assert "No Python 3.11, 3.12 or 3.13 with venv and ensurepip" in done.stderr
    assert "sudo apt-get install python3 python3-venv" in done.stderr
    assert not (checkout / ".venv").exists()


def test_a_python_that_is_too_old_is_not_taken(checkout: Path, bare: Path) -> None:
    program(bare / "python3", "exit 1")
    done = run(checkout / "scripts" / "setup", bare)
    assert done.returncode == 3
    assert "sudo apt-get install python3 python3-venv" in done.stderr


def test_a_full_disk_is_said_before_anything_is_made(checkout: Path, bare: Path) -> None:
    (bare / "df").unlink()
    program(bare / "df", "echo Avail; echo '  100'")
    done = run(checkout / "scripts" / "setup", bare)
    assert done.returncode == 3
    assert "100 MB left; the set-up needs 6500 MB" in done.stderr


def test_apt_as_root_installs_by_name_after_one_update(root: Path, bare: Path) -> None:
    (bare / "id").unlink()
    program(bare / "id", "echo 0")
    program(bare / "apt-get", f'echo "$*" >> {bare}/calls')
    done = run(root / "scripts" / "apt", bare, "npm", "mosquitto")
    assert done.returncode == 0
    assert "Installing with apt: npm mosquitto" in done.stdout
    update, install = (bare / "calls").read_text(encoding="utf-8").splitlines()
    assert update.endswith("update")
    assert install.endswith("npm mosquitto")


def test_apt_that_fails_shows_what_it_said(root: Path, bare: Path) -> None:
    (bare / "id").unlink()
    program(bare / "id", "echo 0")
    program(bare / "apt-get", "echo E: no network; exit 100")
    done = run(root / "scripts" / "apt", bare, "npm")
    assert done.returncode == 3
    assert "E: no network" in done.stderr
    assert "install by hand: npm" in done.stderr


def test_a_python_chosen_by_hand_must_do(checkout: Path, bare: Path) -> None:
    program(bare / "python3", "exit 1")
    done = subprocess.run(
        [checkout / "scripts" / "setup"],
        env={"PATH": str(bare), "HOME": str(bare), "PYTHON": "python3"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 3
    assert "PYTHON=python3 is no Python 3.11" in done.stderr


def test_without_npm_and_root_assets_prints_the_line_to_type(root: Path, bare: Path) -> None:
    done = run(
        Path(sys.executable), bare, str(root / "scripts" / "assets"), "face-detection-short-range"
    )
    assert done.returncode == 3
    assert "sudo apt-get install npm" in done.stderr


def test_apt_does_nothing_for_what_is_there(root: Path, bare: Path) -> None:
    (bare / "dpkg-query").unlink()
    program(bare / "dpkg-query", "echo -n installed")
    done = run(root / "scripts" / "apt", bare, "npm")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize("name", SCRIPTS)
def test_every_script_explains_itself_from_anywhere(name: str, root: Path) -> None:
    done = subprocess.run(
        [root / "scripts" / name, "--help"],
        cwd=os.sep,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.split()) > 10


def test_every_target_is_in_the_makefile(root: Path) -> None:
    done = subprocess.run(["make"], cwd=root, capture_output=True, text=True, check=True)
    targets = [line.split()[1] for line in done.stdout.splitlines()]
    assert set(targets) >= {"setup", "assets", "demo", "test", "bench", "check", "clean", "help"}


def test_the_build_server_calls_make_test(root: Path, tmp_path: Path) -> None:
    program(tmp_path / "make", 'echo "make $* in $PWD"; exit 7')
    done = subprocess.run(
        [root / ".ci" / "run"],
        env={**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"},
        cwd=os.sep,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 7
    assert done.stdout.strip() == f"make test in {root}"

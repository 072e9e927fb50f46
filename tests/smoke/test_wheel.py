"""The built wheel, installed where nothing else of ours is: no checkout, no extras."""

import json
import os
import subprocess
import sys
import venv
import zipfile
from importlib.metadata import distribution
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
BASE = ("numpy", "msgspec")


def run(*command: str | Path, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    # No PYTHONPATH: the checkout must not be seen.
    outside = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    return subprocess.run(
        command, cwd=cwd, env=outside, capture_output=True, text=True, check=False
    )


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dist")
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", folder, ROOT]
    done = run(*build)
    assert done.returncode == 0, done.stderr
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def edge(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The ``edge`` of a venv that has the wheel and its two dependencies."""
    home = tmp_path_factory.mktemp("venv")
    venv.create(home, symlinks=True)
    python = home / "bin" / "python"
    lend(BASE, home / "lib" / f"python3.{sys.version_info.minor}" / "site-packages")
    pip = [sys.executable, "-m", "pip", "--python", python, "--disable-pip-version-check"]
    done = run(*pip, "install", "--no-index", "--no-deps", wheel)
    assert done.returncode == 0, done.stderr
    return home / "bin" / "edge"


def lend(names: tuple[str, ...], site: Path) -> None:
    """Link installed distributions into another site-packages: quicker than installing them."""
    for name in names:
        for top in {
            file.parts[0] for file in distribution(name).files or () if ".." not in file.parts
        }:
            (site / top).symlink_to(distribution(name).locate_file(top))


def test_it_holds_the_four_packages_and_nothing_else(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    tops = {name.partition("/")[0] for name in names}
    own = {top for top in tops if not top.endswith(".dist-info")}
    assert own == {"edge_sdk", "converters", "device_agent", "fleet"}
    assert any(name.endswith("licenses/LICENSE") for name in names)


def test_help_lists_the_commands(edge: Path, tmp_path: Path) -> None:
    done = run(edge, "--help", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    for command in ("convert", "inspect", "verify", "run", "bench", "doctor"):
        assert f"\n  {command} " in done.stdout


def test_doctor_works_without_any_extra(edge: Path, tmp_path: Path) -> None:
    done = run(edge, "doctor", "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    diagnosis = json.loads(done.stdout)
    assert "edgeloop[litert]" in json.dumps(diagnosis)


def test_the_library_is_the_installed_one(edge: Path, tmp_path: Path) -> None:
    python = edge.with_name("python")
    done = run(python, "-c", "import edge_sdk; print(edge_sdk.__file__)", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert Path(done.stdout.strip()).is_relative_to(edge.parents[1])

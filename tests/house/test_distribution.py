"""What we install: our names, our commands, the locked versions."""

import argparse
import re
import subprocess
import sys
from importlib import import_module
from importlib.metadata import EntryPoint, distributions, entry_points, packages_distributions
from pathlib import Path

import pytest

COMMANDS = sorted(entry_points(group="edge.commands"), key=lambda point: point.name)


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def test_our_names_are_ours_alone(root: Path, packages: tuple[str, ...]) -> None:
    # pip merges packages of one name silently, and other distributions install some of these.
    owners = packages_distributions()
    assert {name: set(owners.get(name, ())) - {"edgeloop"} for name in packages} == {
        name: set() for name in packages
    }
    for name in packages:
        assert Path(str(import_module(name).__file__)).parent == root / name


def test_there_are_commands() -> None:
    assert {"convert", "inspect", "verify", "run", "bench", "doctor"} <= {
        point.name for point in COMMANDS
    }


@pytest.mark.parametrize("point", COMMANDS, ids=lambda point: point.name)
def test_a_command_is_what_the_main_expects(point: EntryPoint) -> None:
    command = point.load()
    assert command.SUMMARY.strip()
    assert "\n" not in command.SUMMARY
    command.configure(argparse.ArgumentParser())
    assert callable(command.run)


def test_every_command_is_installed_from_pyproject(root: Path) -> None:
    import tomllib

    pyproject = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))
    stated = pyproject["project"]["entry-points"]["edge.commands"]
    assert {point.name: point.value for point in COMMANDS} == stated


def test_the_environment_is_the_locked_one(root: Path) -> None:
    lock = (root / "requirements" / "dev.lock").read_text(encoding="utf-8").splitlines()
    pins = dict(line.split("==") for line in lock if "==" in line)
    # A build's own label (torch 2.13.0+cpu) is the machine's affair.
    have = {normal(each.name): each.version.partition("+")[0] for each in distributions()}
    assert {name: have.get(name) for name in pins} == pins


def test_the_locked_versions_agree_with_each_other() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pip", "--disable-pip-version-check", "check"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout

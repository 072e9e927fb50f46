"""What the house tests look at: the checkout, its files, its modules."""

import ast
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("edge_sdk", "converters", "device_agent", "fleet")


@pytest.fixture(scope="session")
def root() -> Path:
    return ROOT


@pytest.fixture(scope="session")
def packages() -> tuple[str, ...]:
    return PACKAGES


@pytest.fixture(scope="session")
def files() -> list[Path]:
    """Every file that git has or would take; in an unpacked archive, all but what tools made."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, check=False)
    if (ROOT / ".git").exists() and listed.returncode == 0:
        found = [ROOT / name for name in listed.stdout.decode().split("\0") if name]
    else:
        ignored = (ROOT / ".gitignore").read_text(encoding="utf-8").splitlines()
        made = {line.strip("/") for line in ignored}
        found = [path for path in ROOT.rglob("*") if not made & set(path.relative_to(ROOT).parts)]
    return [path for path in found if path.is_file()]


@pytest.fixture(scope="session")
def modules(files: list[Path]) -> dict[Path, ast.Module]:
    """Every Python module but the tests, parsed; programs in scripts/ have no suffix."""
    own = [path for path in files if path.relative_to(ROOT).parts[0] != "tests"]
    return {path: ast.parse(path.read_bytes()) for path in own if _is_python(path)}


def _is_python(path: Path) -> bool:
    if path.suffix == ".py":
        return True
    return path.parent.name == "scripts" and b"python" in path.read_bytes().partition(b"\n")[0]

"""Who may import whom, and what importing must not cost."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ENGINES = {"ai_edge_litert", "coremltools", "cv2", "keras", "onnx", "onnxruntime", "tensorflow"}


def loaded_by(statement: str, folder: Path) -> set[str]:
    """Return the top-level modules that a fresh interpreter has loaded after the statement."""
    code = f"{statement}\nimport json, sys\nprint(json.dumps(sorted(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, check=True
    )
    return {name.partition(".")[0] for name in json.loads(done.stdout)}


def test_the_contracts_hold(root: Path) -> None:
    linter = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run(
        [linter, "--no-cache"], cwd=root, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout
    assert "0 broken" in done.stdout


def test_edge_sdk_imports_no_engine(root: Path) -> None:
    assert not loaded_by("import edge_sdk", root) & ENGINES


@pytest.mark.parametrize(
    "module",
    ["edge_sdk.spec", "edge_sdk.cli.main", "device_agent.cli", "device_agent.agent"],
)
def test_imports_neither_engine_nor_numpy(module: str, root: Path) -> None:
    assert not loaded_by(f"import {module}", root) & {*ENGINES, "numpy"}


def test_loaded_by_would_see_numpy(root: Path) -> None:
    assert "numpy" in loaded_by("import numpy", root)

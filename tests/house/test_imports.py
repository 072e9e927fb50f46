"""Who may import whom, and what importing must not cost."""

import ast
import json
import subprocess
import sys
from graphlib import CycleError, TopologicalSorter
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


def imported_by(tree: ast.Module) -> set[str]:
    """Every module that could be meant, wherever the import stands: in a function, for types."""
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return names


def a_circle(imports: dict[str, set[str]]) -> list[str]:
    try:
        TopologicalSorter(imports).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


def test_a_circle_would_be_seen() -> None:
    late = ast.parse("def load():\n    from house.trial import Trial\n")
    assert a_circle({"house.load": imported_by(late), "house.trial": {"house.load"}})
    assert not a_circle({"house.load": imported_by(late), "house.trial": {"house.opening"}})


def test_modules_do_not_go_round_in_circles(modules: dict[Path, ast.Module], root: Path) -> None:
    # Packages' own files only hand on what is in them.
    named = {
        ".".join(path.relative_to(root).with_suffix("").parts): tree
        for path, tree in modules.items()
        if path.name != "__init__.py"
    }
    assert a_circle({name: imported_by(tree) & set(named) for name, tree in named.items()}) == []


def waits_for(tree: ast.Module) -> bool:
    return any(
        isinstance(node, ast.Attribute) and ast.unparse(node) == "asyncio.wait_for"
        for node in ast.walk(tree)
    ) or "asyncio.wait_for" in imported_by(tree)


def test_nobody_waits_so_that_a_cancellation_may_be_lost(
    modules: dict[Path, ast.Module], root: Path
) -> None:
    """Use edge_sdk.timeouts, which says why."""
    assert waits_for(ast.parse("from asyncio import wait_for"))
    assert not [path for path, tree in modules.items() if waits_for(tree)]

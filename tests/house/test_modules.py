"""Small rooms with the field's names."""

import ast
import re
from pathlib import Path

MOST_LINES = 600
BANNED = {"manager", "handler", "helper", "helpers", "utils", "util", "info", "data"}


def words(name: str) -> set[str]:
    """Split CamelCase and snake_case into lower-case words."""
    return {word.lower() for word in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z0-9]+", name)}


def test_words_of_a_name() -> None:
    assert words("TensorInfo") == {"tensor", "info"}
    assert words("HTTPHandler") == {"http", "handler"}
    assert words("file_utils") == {"file", "utils"}
    assert words("Metadata") == {"metadata"}


def test_no_module_is_over_the_limit(modules: dict[Path, ast.Module]) -> None:
    lengths = {path: len(path.read_text(encoding="utf-8").splitlines()) for path in modules}
    assert not {path: lines for path, lines in lengths.items() if lines > MOST_LINES}


def test_every_module_teaches(modules: dict[Path, ast.Module]) -> None:
    assert not [path for path, tree in modules.items() if not ast.get_docstring(tree)]


def test_no_module_or_class_has_a_name_that_says_nothing(
    modules: dict[Path, ast.Module], root: Path
) -> None:
    poor = [path for path in modules if words("_".join(path.relative_to(root).parts)) & BANNED]
    poor_classes = [
        f"{path}:{node.lineno} {node.name}"
        for path, tree in modules.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef) and words(node.name) & BANNED
    ]
    assert not poor
    assert not poor_classes


def test_every_folder_of_modules_is_a_package(root: Path, packages: tuple[str, ...]) -> None:
    folders = {path.parent for name in packages for path in (root / name).rglob("*.py")}
    assert folders
    assert not [folder for folder in folders if not (folder / "__init__.py").exists()]

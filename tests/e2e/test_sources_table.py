"""The table of docs/conversion.md: a few of its cells, run anew, come out as they are written."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from benchmarks.sources.__main__ import RESULTS
from benchmarks.sources.forms import FORMS, write_pictures
from benchmarks.sources.runs import Cell, Outcome, Sources, convert
from benchmarks.sources.table import agree, filled
from converters.recipe import FORMATS

CELLS = (
    ("`.keras`", "onnx", ("fp32", "int8-weights")),
    ("old SavedModel", "coreml", ("fp32",)),
    ("PyTorch `module:function`", "onnx", ("fp32",)),
    ("ONNX, opset 9", "onnx", ("fp32", "int8")),
    ("`.tflite`", "tflite", ("int8-dynamic",)),
)


@pytest.fixture(scope="module")
def kept() -> Sources:
    return msgspec.json.decode(RESULTS.read_bytes(), type=Sources)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("forms")
    write_pictures(place)
    return place


def test_every_form_has_every_target(kept: Sources) -> None:
    there = [(cell.form, cell.target) for cell in kept.cells]
    assert there == [(form.name, target) for form in FORMS for target in FORMATS]
    assert all(cell.recipes or cell.refused for cell in kept.cells)


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
@pytest.mark.parametrize(("name", "target", "recipes"), CELLS)
def test_a_cell_run_anew(edge, kept, folder, name, target, recipes):
    def run(*words: str) -> Any:
        done = edge(*words)
        return SimpleNamespace(returncode=done.code, stdout=done.out, stderr=done.err)

    (form,) = (form for form in FORMS if form.name == name)
    cell = convert(form, form.make(folder), target, folder, recipes, run)
    assert [r.recipe for r in cell.recipes] == list(recipes)
    assert agree(kept.cells, cell), cell


def test_what_no_longer_agrees_is_noticed(kept: Sources) -> None:
    cell = next(cell for cell in kept.cells if cell.recipes)
    other: dict[str, Any] = {"converted": "refused", "refused": "converted"}
    turned = tuple(Outcome(recipe=r.recipe, status=other[r.status]) for r in cell.recipes)
    assert not agree(kept.cells, Cell(form=cell.form, target=cell.target, recipes=turned))
    assert not agree(kept.cells, Cell(form=cell.form, target=cell.target, refused="no way"))


def test_the_table_names_each_reason_once(tmp_path: Path) -> None:
    cells = [
        Cell(form="a", target="tflite", refused="no | way"),
        Cell(form="a", target="onnx", recipes=(Outcome(recipe="fp32", status="converted"),)),
        Cell(form="b", target="tflite", recipes=(
            Outcome(recipe="fp16", status="refused", reason="no | way"),)),
    ]  # fmt: skip
    measured: dict[str, str | int] = {"date": "d", "python": "3", "machine": "m", "cpus": 2}
    (tmp_path / "sources.json").write_bytes(
        msgspec.json.encode(Sources(cells=cells, measured=measured))
    )
    page = "x\n<!-- made by make table: begin -->\nold\n<!-- made by make table: end -->\ny\n"
    made = filled(page, tmp_path)
    assert made.startswith("x\n")
    assert made.endswith("y\n")
    assert "old" not in made
    assert "| a | refused[1] | not run yet | `fp32` |" in made
    assert "| b | not `fp16`[1] | not run yet | not run yet |" in made
    assert made.count("no \\| way") == 1
    assert filled(made, tmp_path) == made

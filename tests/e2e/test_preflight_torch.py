"""PyTorch foretold: registries and essences agree with what the engines then really do."""

from __future__ import annotations

import shlex
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import torch_operations

from converters import convert
from converters.preflight import preflight
from converters.preflight import torch as torch_preflight

# Inside torch and what it brings: none of it ours to mend.
pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
]

CORPUS = (
    ("top two", "tflite"),  # in litert-torch's registry, but not among LiteRT's operations
    ("bilinear", "tflite"),
    ("hard swish", "tflite"),
    ("digamma", "tflite"),
    ("erfinv", "onnx"),
    ("gathered", "onnx"),
    ("eigenvalues", "onnx"),
    ("lstm", "coreml"),  # by the trace alone
    ("lgamma", "coreml"),
    ("branch", "onnx"),
)
"""A few of ``torch_operations``, each with one target: all with all takes minutes."""

told: Counter[bool] = Counter()


@pytest.mark.parametrize(("name", "target"), CORPUS)
def test_foretold_is_done(name, target, tmp_path, monkeypatch):
    monkeypatch.setattr(torch_preflight, "WHOLE", 0)  # not by doing it, as of small graphs
    (foretold,) = preflight(torch_operations.model(name), formats=[target]).targets
    conversion = convert(
        torch_operations.model(name), tmp_path / "m.edge", formats=[target], recipes=["fp32"]
    )
    (done,) = conversion.report.variants
    said = [problem.what for problem in foretold.problems]
    assert (foretold.verdict != "does not") == (done.status == "converted"), (said, done.reason)
    told[conversion.passed] += 1
    if not conversion.passed:
        assert foretold.problems[0].remedy


def test_the_corpus_has_both_kinds():
    if sum(told.values()) == len(CORPUS):
        assert min(told[True], told[False]) >= 4


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where ``tiny_torch:strange`` is found."""
    monkeypatch.chdir(Path(__file__).parent)


def test_the_operation_its_layer_and_line_and_a_way_out(edge: Any, here):
    done = edge("preflight", "tiny_torch:strange", "--input", "x:1x4x4")
    assert done.code == 1
    assert "tflite: _linalg_eigh" in done.out
    assert "coreml: linalg_eigvalsh" in done.out
    assert "in     layer inner, tiny_torch.py line" in done.out
    assert "remedy Do it on what is constant before the export" in done.out


def test_a_branch_on_numbers_is_foretold_before_any_engine_works(here):
    found = preflight("tiny_torch:branching", formats=["tflite", "onnx"])
    for target in found.targets:
        assert target.verdict == "does not"
        assert "Exporting" in target.problems[0].what
        assert "torch.where" in target.problems[0].remedy


def test_a_small_graph_is_converted_whole(here):
    """So that what will run beside XNNPACK is known, too: LiteRT was asked."""
    (target,) = preflight(torch_operations.model("mirrored edges"), formats=["tflite"]).targets
    assert target.verdict == "falls back"
    assert "litert 2" in target.checked_by
    assert [problem.operation for problem in target.problems] == ["MIRROR_PAD"]


def test_the_next_command_is_whole_and_works(edge: Any, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.chdir(tmp_path)
    done = edge(
        *("preflight", "tiny_torch:Picture", "--input", "image:1x3x8x8", "--formats", "onnx"),
    )
    assert done.code == 0, done.err
    (line,) = (line for line in done.out.splitlines() if line.startswith("next: "))
    program, *words = shlex.split(line.removeprefix("next: "))
    assert program == "edge"
    converted = edge(*words, "--recipe", "fp32")
    assert converted.code == 0, converted.err
    assert (tmp_path / "picture-1.0.0.edge").exists()

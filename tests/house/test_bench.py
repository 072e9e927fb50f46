"""The runner of the benchmarks: its verdicts, and what it keeps."""

import json
from pathlib import Path

import pytest

from benchmarks import __main__ as bench

RESULT = {"about": "a call", "peer": "the bare engine", "ratios": {"median": 1.01, "p99": 1.2}}


def test_a_ratio_without_a_limit_is_only_shown(capsys: pytest.CaptureFixture[str]) -> None:
    assert bench.show("call", RESULT)
    assert "1.0 is the bare engine" in capsys.readouterr().out


@pytest.mark.parametrize(("limit", "within"), [(1.02, True), (1.01, True), (1.0, False)])
def test_a_ratio_over_its_limit_fails(limit: float, within: bool) -> None:
    assert bench.show("call", {**RESULT, "limits": {"median": limit}}) is within


def test_a_result_says_what_it_was_measured_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bench, "RESULTS", tmp_path / "results")
    bench.keep("call", dict(RESULT), load=1.25)
    kept = json.loads((tmp_path / "results" / "call.json").read_text(encoding="utf-8"))
    assert kept["ratios"] == RESULT["ratios"]
    assert {"date", "python", "machine", "cpus", "load", "alone"} <= set(kept["measured"])


def test_an_unknown_benchmark_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert bench.main(["no-such"]) == 2
    assert "no benchmark 'no-such'" in capsys.readouterr().out


def test_a_program_that_prints_before_its_result(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "benchmarks"
    folder.mkdir()
    (folder / "toy.py").write_text(
        f"print('an engine says hello')\nprint({json.dumps(json.dumps(RESULT))})\n",
        encoding="utf-8",
    )
    (folder / "broken.py").write_text("raise SystemExit(5)\n", encoding="utf-8")
    monkeypatch.setattr(bench, "FOLDER", folder)
    monkeypatch.setattr(bench, "RESULTS", folder / "results")
    assert bench.main(["toy"]) == 0
    assert bench.main([]) == 1
    assert "broken: failed with exit code 5" in capsys.readouterr().out

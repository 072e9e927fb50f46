"""``edge bench``: its arguments, its table and its one JSON object."""

from __future__ import annotations

import argparse
from pathlib import Path

import pytest
from tiny_models import REAL, artifact, onnx_affine, tflite_affine, tflite_quantized

from edge_sdk import UsageError
from edge_sdk.cli import bench
from edge_sdk.cli.command import Outcome
from edge_sdk.spec import decode, encode
from edge_sdk.spec.bench import BenchReport


class Parser(argparse.ArgumentParser):
    def error(self, message: str) -> None:  # type: ignore[override]
        raise UsageError(message)


def parsed(*words: str) -> argparse.Namespace:
    parser = Parser(prog="edge bench")
    bench.configure(parser)
    return parser.parse_args(words)


def outcome(*words: object) -> Outcome:
    return bench.run(parsed(*map(str, words), "--seconds", "0.05"))


def test_arguments() -> None:
    args = parsed(
        *("m.edge", "--variant", "a,b", "--backend", "litert", "--threads", "1,2,16"),
        *("--delegate", "gpu,xnnpack", "--delegate", "cpu", "--input", "x:1x3", "--seconds", "2.5"),
    )
    assert args.model == Path("m.edge")
    assert args.variant == ("a", "b")
    assert args.threads == (1, 2, 16)
    assert args.delegate == [("gpu", "xnnpack"), ("cpu",)]
    assert args.input == [("x", (1, 3))]
    assert args.seconds == 2.5


def test_a_tensors_name_may_hold_colons() -> None:
    assert parsed("m.onnx", "--input", "serving_default_x:0:1x28x28").input == [
        ("serving_default_x:0", (1, 28, 28))
    ]


@pytest.mark.parametrize(
    "words",
    [
        ["--threads", "0"],
        ["--threads", "two"],
        ["--threads", "1,,2"],
        ["--threads", "-1"],
        ["--seconds", "0"],
        ["--seconds", "-1"],
        ["--seconds", "nan"],
        ["--seconds", "inf"],
        ["--seconds", "soon"],
        ["--input", "x"],
        ["--input", "x:"],
        ["--input", ":1x2"],
        ["--input", "x:1x0"],
        ["--input", "x:1xb"],
        ["--backend", ""],
        ["--variant", "a,,b"],
    ],
)
def test_arguments_that_mean_nothing(words: list[str]) -> None:
    with pytest.raises(UsageError):
        parsed("m.edge", *words)


def test_the_report(tmp_path: Path) -> None:
    builds = {"tflite-int8": tflite_quantized(), "onnx-fp32": onnx_affine()}
    path = artifact(tmp_path / "tiny.edge", builds, REAL)
    told = outcome(path, "--threads", "1")
    report = decode(encode(told.value), BenchReport, "report")  # type: ignore[arg-type]
    assert report == told.value
    assert told.exit_code == 0
    assert report.model == str(path)
    assert report.inputs == REAL.inputs
    assert [m.configuration.variant for m in report.measurements] == ["tflite-int8", "onnx-fp32"]
    assert all(m.timings.calls > 0 for m in report.measurements)
    rows = [line for line in told.text.splitlines() if line.startswith(("tflite-", "onnx-"))]
    assert len(rows) == 2
    assert rows[0].startswith("tflite-int8 litert x1")


def test_what_was_refused_is_told_once(tmp_path: Path) -> None:
    path = tmp_path / "affine.tflite"
    path.write_bytes(tflite_affine())
    told = outcome(path, "--delegate", "cuda,cpu", "--delegate", "cpu", "--threads", "1,2")
    lines = [line for line in told.text.splitlines() if " refused: " in line]
    assert len(lines) == 1
    assert lines[0].startswith("cuda refused: ")
    assert "cpu 2 ops" in told.text


def test_open_lengths_are_fed_as_told(tmp_path: Path) -> None:
    path = tmp_path / "affine.onnx"
    path.write_bytes(onnx_affine(-1))
    report = outcome(path, "--input", "x:5x4").value
    assert isinstance(report, BenchReport)
    assert report.inputs[0].shape == (5, 4)


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be"):
        outcome(tmp_path / "missing.edge")
    with pytest.raises(UsageError, match="cannot be"):
        outcome(tmp_path / "missing.tflite")


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_auto_is_measured_told_and_kept(tmp_path: Path, cache: Path) -> None:
    path = artifact(tmp_path / "tiny.edge", {"tflite-fp32": tflite_affine()}, REAL)
    written = tmp_path / "report.json"
    words = ("--delegate", "auto", "--backend", "litert", "--threads", 1)
    found = outcome(path, *words, "--device", "test-board", "--output", written)
    report = found.value
    assert isinstance(report, BenchReport)
    assert report.fastest in {each.configuration for each in report.measurements}
    assert report.fastest is not None
    assert report.fastest.threads == 1
    assert f"auto takes {report.fastest}" in found.text
    assert " on test-board (" in found.text
    assert decode(written.read_bytes(), BenchReport, "") == report
    assert len(list(cache.glob("edgeloop/runtime/auto/*.json"))) == 1


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--delegate", "auto", "--threads", "1,2"], "--threads names 2 things"),
        (["--delegate", "auto,cpu"], "stands alone"),
        (["--delegate", "auto", "--delegate", "cpu"], "stands alone"),
        (["--output", "/dev/null"], "not an ordinary file"),
    ],
)
def test_auto_and_what_does_not_go_with_it(
    tmp_path: Path, cache: Path, words: list[str], says: str
) -> None:
    path = tmp_path / "affine.tflite"
    path.write_bytes(tflite_affine())
    with pytest.raises(UsageError, match=says) as caught:
        outcome(path, *words)
    assert caught.value.hint
    assert not cache.exists()

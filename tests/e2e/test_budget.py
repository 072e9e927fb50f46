"""Budget search on a classifier with planted outliers, on which plain int8 collapses."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import planted
import pytest

from converters import Conversion, convert
from converters.cli import describe
from converters.engines import quiet
from edge_sdk.artifact import Artifact
from edge_sdk.errors import UsageError
from edge_sdk.spec import ConversionReport, decode


@pytest.fixture(scope="module")
def model() -> Any:
    return planted.classifier()


@pytest.fixture(scope="module")
def data() -> dict[str, Any]:
    return {"calibrate": planted.blobs(100, 2), "evaluate": planted.blobs(1000, 3)}


@pytest.fixture(scope="module")
def found(model: Any, data: Any, tmp_path_factory: pytest.TempPathFactory) -> Conversion:
    path = tmp_path_factory.mktemp("budget") / "planted-1.0.0.edge"
    return convert(model, path, budget="accuracy_drop<=0.01,latency<=1s", **data)


def trial(conversion: Conversion, name: str) -> Any:
    assert conversion.search is not None
    return next(t for t in conversion.search.trials if t.id == name)


def test_where_int8_collapses_the_search_finds_mixed_precision(found: Conversion) -> None:
    assert found.passed
    assert found.search is not None
    assert trial(found, "tflite-int8").accuracy_drop > 0.3
    assert found.search.chosen == ("tflite-mixed",)
    (variant,) = found.report.variants
    assert variant.agreement is not None
    assert variant.agreement.accuracy is not None
    assert variant.agreement.source_accuracy is not None
    assert variant.agreement.accuracy >= variant.agreement.source_accuracy - 0.01
    assert variant.size < 0.4 * trial(found, "tflite-fp32").size


def test_it_is_the_layers_with_the_outliers_that_stay_wide(found: Conversion) -> None:
    wide = trial(found, "tflite-mixed").wide
    assert len(wide) == 2
    assert "first" in wide[0]
    assert "second" in wide[1]


def test_the_front_is_what_nothing_beats(found: Conversion) -> None:
    assert found.search is not None
    made = [t for t in found.search.trials if t.size]
    for one in made:
        beaten = [
            o
            for o in made
            if o.size <= one.size
            and o.accuracy_drop <= one.accuracy_drop
            and (o.latency_ms or 1e9) <= (one.latency_ms or 1e9)
            and o != one
        ]
        assert one.front == (not beaten)


def test_the_artifact_tells_what_was_tried_and_how_long_it_took(found: Conversion) -> None:
    assert found.search is not None
    assert found.artifact is not None
    with Artifact(Path(found.artifact)) as artifact:
        report = decode(artifact.read("report.json"), ConversionReport, "report.json")
        page = artifact.read("report.html").decode()
    assert report.search is not None
    assert report.search == found.search
    assert all(t.latency_ms for t in report.search.trials if not t.reason)
    assert "Accuracy against latency" in page or len(report.variants) < 2
    assert "What was tried" in page
    assert "tflite-int4-weights" in page


def test_what_cannot_be_held_is_infeasible_with_the_evidence(
    model: Any, data: Any, tmp_path: Path
) -> None:
    made = convert(
        model,
        tmp_path / "x.edge",
        recipes=["int8-weights", "fp16"],
        budget="accuracy_drop<=0.01,size<=50kB",
        **data,
    )
    assert not made.passed
    assert not list(tmp_path.iterdir())
    said = describe(made)
    assert "Infeasible" in said
    assert "size in bytes is" in said
    assert {v.status for v in made.report.variants} == {"refused"}


def test_a_device_s_measurements_decide(model: Any, data: Any, tmp_path: Path, edge: Any) -> None:
    first = tmp_path / "first-1.0.0.edge"
    convert(model, first, recipes=["fp32", "fp16"], evaluate=data["evaluate"])
    measured = json.loads(edge("bench", first, "--seconds", "0.1", "--json").out)
    for each in measured["measurements"]:
        slow = each["configuration"]["variant"] == "tflite-fp16"
        each["timings"]["p50_ms"] = 9.0 if slow else 3.0
    device = tmp_path / "pi5.json"
    device.write_text(json.dumps(measured))
    made = convert(
        model,
        tmp_path / "second-1.0.0.edge",
        recipes=["fp32", "fp16"],
        budget=f"latency<=5ms@{device}",
        evaluate=data["evaluate"],
    )
    assert made.search is not None
    assert made.search.chosen == ("tflite-fp32",)
    assert made.report.search is not None
    assert {t.latency_ms for t in made.report.search.trials} == {3.0, 9.0}


def test_a_variant_that_a_device_did_not_measure_does_not_hold(
    model: Any, data: Any, tmp_path: Path, edge: Any
) -> None:
    first = tmp_path / "first-1.0.0.edge"
    convert(model, first, recipes=["fp32"], evaluate=data["evaluate"])
    device = tmp_path / "pi5.json"
    device.write_text(edge("bench", first, "--seconds", "0.1", "--json").out)
    made = convert(
        model,
        tmp_path / "second-1.0.0.edge",
        recipes=["fp16"],
        budget=f"latency<=5s@{device}",
        evaluate=data["evaluate"],
    )
    assert not made.passed
    assert "latency in ms is not known, and must be 5000" in describe(made)


def test_a_budget_of_latency_needs_it_measured(model: Any, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="needs it measured"):
        convert(model, tmp_path / "x.edge", budget="latency<=5ms", latency=False)


def test_from_the_command_line(model: Any, tmp_path: Path, edge: Any) -> None:
    path = tmp_path / "model.keras"
    with quiet():
        model.save(path)
    done = edge("convert", path, "-o", tmp_path / "x.edge", "--budget", "accuracy_drop<=0.01")
    assert done.code == 2
    assert "--evaluate" in done.err
    done = edge("convert", path, "-o", tmp_path / "x.edge", "--budget", "size<=1kB")
    assert done.code == 1
    assert "Infeasible" in done.out


def test_a_file_that_is_quantized_already_has_nothing_to_choose_from(
    found: Conversion, tmp_path: Path
) -> None:
    with Artifact(Path(str(found.artifact))) as artifact:
        model = tmp_path / "model.tflite"
        model.write_bytes(artifact.read(artifact.variants[0].path))
    with pytest.raises(UsageError, match="is quantized already"):
        convert(model, tmp_path / "y.edge", budget="size<=1MB")

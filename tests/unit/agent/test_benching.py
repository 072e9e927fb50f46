"""Measurements for the fleet: of what a device has in a slot, and out of a file."""

from __future__ import annotations

from pathlib import Path

import pytest
from msgspec.structs import replace
from tiny_models import REAL, artifact, onnx_affine, tflite_affine

from device_agent.benching import measure_slot, read_report, sendable
from device_agent.slots import Slots
from edge_sdk.artifact import MANIFEST, Artifact
from edge_sdk.errors import UnavailableError, UsageError
from edge_sdk.runtime.bench_report import bench
from edge_sdk.spec import encode
from edge_sdk.spec.bench import BenchReport
from edge_sdk.spec.deployment import ArtifactRef
from edge_sdk.spec.wire import MAX_MESSAGE_BYTES


@pytest.fixture
def whole(tmp_path: Path) -> Path:
    builds = {"onnx-fp32": onnx_affine(), "tflite-fp32": tflite_affine()}
    return artifact(tmp_path / "tiny-1.0.0.edge", builds, REAL)


@pytest.fixture
def serving(whole: Path, tmp_path: Path) -> ArtifactRef:
    """The artifact in a slot, with one of its variants, as a device has it."""
    slots = Slots(tmp_path / "slots")
    with Artifact(whole) as opened:
        slot = slots.prepare(opened.digest)
        (slot / MANIFEST).write_bytes(opened.manifest_bytes)
        opened.extract(opened.variant("onnx-fp32"), slot)
        slots.complete(opened.digest, "onnx-fp32")
        manifest = opened.manifest
        return ArtifactRef(digest=opened.digest, name=manifest.name, version=manifest.version)


def of(whole: Path) -> BenchReport:
    return bench(whole, seconds=0.01, backends=["onnxruntime"])


def test_what_serves_is_measured_in_its_slot(serving: ArtifactRef, tmp_path: Path) -> None:
    report = measure_slot(tmp_path, serving, 0.01, "pi-1")
    assert report.artifact == serving
    assert report.model == f"{serving.name}@{serving.version}"
    assert report.profile.name == "pi-1"
    assert {each.configuration.variant for each in report.measurements} == {"onnx-fp32"}
    assert all(each.timings.p50_ms > 0 for each in report.measurements)


def test_what_is_gone_or_was_never_whole_is_not_measured(
    serving: ArtifactRef, tmp_path: Path
) -> None:
    with pytest.raises(UnavailableError, match="not on this device any more"):
        measure_slot(tmp_path, replace(serving, digest="0" * 64), 0.01, "pi-1")
    (tmp_path / "slots" / serving.digest / ".complete").unlink()
    with pytest.raises(UnavailableError, match="not on this device any more"):
        measure_slot(tmp_path, serving, 0.01, "pi-1")


def test_a_report_out_of_a_file_says_not_where_the_model_lay(whole: Path, tmp_path: Path) -> None:
    path = tmp_path / "bench.json"
    path.write_bytes(encode(of(whole)))
    report = read_report(path)
    assert str(tmp_path) not in encode(report).decode()
    assert report.measurements == of_file(path).measurements


def of_file(path: Path) -> BenchReport:
    return sendable(read_report(path))


@pytest.mark.parametrize("content", ["{}", "nonsense", "[1]"])
def test_a_file_that_is_no_report(tmp_path: Path, content: str) -> None:
    path = tmp_path / "bench.json"
    with pytest.raises(UsageError, match="cannot be read"):
        read_report(path)
    path.write_text(content)
    with pytest.raises(UsageError, match=r"bench\.json") as caught:
        read_report(path)
    assert "edge bench" in caught.value.hint


def test_nothing_and_too_much_are_not_sent(whole: Path) -> None:
    report = of(whole)
    with pytest.raises(UsageError, match="no measurement"):
        sendable(replace(report, measurements=()))
    many = report.measurements * (MAX_MESSAGE_BYTES // 300)
    with pytest.raises(UsageError, match="larger than a message"):
        sendable(replace(report, measurements=many))

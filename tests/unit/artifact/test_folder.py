"""An artifact unpacked in a folder: like the file, checked like it, and need not be complete."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from tiny_models import REAL, affine, artifact, onnx_affine, tflite_affine

import edge_sdk
from edge_sdk.artifact import MANIFEST, Artifact, ArtifactFolder
from edge_sdk.errors import ArtifactError
from edge_sdk.spec.choice import choose_variant

X = np.array([[1, 2, 3, 4]], np.float32)


@pytest.fixture
def whole(tmp_path: Path) -> Path:
    builds = {"onnx-fp32": onnx_affine(), "tflite-fp32": tflite_affine()}
    return artifact(tmp_path / "tiny.edge", builds, REAL)


def unpacked(whole: Path, *variants: str) -> Path:
    folder = whole.parent / "slot"
    folder.mkdir()
    with Artifact(whole) as opened:
        (folder / MANIFEST).write_bytes(opened.manifest_bytes)
        for variant in variants:
            opened.extract(opened.variant(variant), folder)
    return folder


def test_it_is_the_same_artifact(whole: Path) -> None:
    folder = unpacked(whole, "onnx-fp32")
    with Artifact(whole) as file, ArtifactFolder(folder) as opened:
        assert (opened.digest, opened.manifest) == (file.digest, file.manifest)
        assert [variant.id for variant in opened.variants] == ["onnx-fp32"]
        assert len(file.variants) == 2
        assert list(opened.verify_digests()) == ["variants/onnx-fp32/model.onnx"]
        assert opened.golden() is None


@pytest.mark.parametrize("variant", ["onnx-fp32", "tflite-fp32"])
def test_it_loads_with_the_variant_that_is_there(whole: Path, variant: str) -> None:
    with edge_sdk.load(unpacked(whole, variant)) as session:
        assert session.variant == variant
        assert np.allclose(session.run({"x": X})["y"], affine(X), atol=1e-5)


def test_without_any_variant(whole: Path) -> None:
    with pytest.raises(ArtifactError, match="lacks the files of every variant"):
        edge_sdk.load(unpacked(whole))


def test_a_flipped_byte_is_found(whole: Path) -> None:
    folder = unpacked(whole, "onnx-fp32")
    model = folder / "variants/onnx-fp32/model.onnx"
    data = bytearray(model.read_bytes())
    data[len(data) // 2] ^= 1
    model.write_bytes(data)
    with pytest.raises(ArtifactError, match="its digest differs"):
        edge_sdk.load(folder)


def test_a_folder_without_a_manifest(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="it is no artifact's folder"):
        ArtifactFolder(tmp_path)


def test_names_that_leave_the_folder_are_refused(whole: Path) -> None:
    folder = unpacked(whole, "onnx-fp32")
    manifest = (folder / MANIFEST).read_text()
    (folder / MANIFEST).write_text(manifest.replace("variants/onnx-fp32/", "../../onnx-fp32/"))
    with pytest.raises(ArtifactError, match="a path may not leave the artifact"):
        ArtifactFolder(folder)


def test_what_is_chosen_without_engines_is_what_load_takes(whole: Path) -> None:
    with Artifact(whole) as opened:
        manifest = opened.manifest
    for engines, expected in (
        ({"litert"}, "tflite-fp32"),
        ({"onnxruntime"}, "onnx-fp32"),
        ({"litert", "onnxruntime"}, "onnx-fp32"),
        ({"coreml"}, None),
    ):
        chosen = choose_variant(manifest, engines)
        assert (chosen.id if chosen else None) == expected
    with edge_sdk.load(whole) as session:
        assert session.variant == "onnx-fp32"

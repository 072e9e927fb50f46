"""Loading: which build on which engine, and what is refused before anything runs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import MappingProxyType

import msgspec
import numpy as np
import pytest
from tiny_models import (
    REAL,
    affine,
    artifact,
    onnx_affine,
    onnx_quantized,
    tflite_affine,
    tflite_quantized,
    tflite_sum,
)

import edge_sdk
from edge_sdk import ArtifactError, UnavailableError, UsageError
from edge_sdk.runtime.promises import check_strict
from edge_sdk.spec import Attempt, Placement

X = np.array([[1, -2, 3, 0.5]], np.float32)
Make = Callable[..., Path]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    def make(builds: dict[str, bytes], coreml: bool = False) -> Path:
        return artifact(tmp_path / "tiny.edge", builds, REAL, coreml=coreml)

    return make


@pytest.fixture
def all_builds(make: Make) -> Path:
    return make(
        {
            "tflite-fp32": tflite_affine(),
            "tflite-int8": tflite_quantized(),
            "onnx-fp32": onnx_affine(),
            "onnx-int8": onnx_quantized(),
        }
    )


@pytest.mark.parametrize(
    ("variant", "backend"),
    [
        ("tflite-fp32", "litert"),
        ("tflite-int8", "litert"),
        ("onnx-fp32", "onnxruntime"),
        ("onnx-int8", "onnxruntime"),
    ],
)
def test_every_build_answers_in_the_originals_terms(
    all_builds: Path, variant: str, backend: str
) -> None:
    with edge_sdk.load(all_builds, variant=variant) as session:
        assert session.variant == variant
        assert session.placement.backend == backend
        assert session.signature == REAL
        y = session.run({"x": X})["y"]
    assert y.dtype == np.float32
    np.testing.assert_allclose(y, affine(X), atol=0.5 if variant.endswith("int8") else 1e-6)


@pytest.mark.parametrize("first", [True, False])
def test_the_build_that_is_fastest_on_small_machines_is_taken(make: Make, first: bool) -> None:
    builds = {"onnx-fp32": onnx_affine(), "tflite-int8": tflite_quantized()}
    ordered = builds if first else dict(reversed(builds.items()))
    with edge_sdk.load(make(ordered)) as session:
        assert session.variant == "tflite-int8"


def test_a_build_that_nothing_here_runs_is_passed_over(make: Make) -> None:
    path = make({"tflite-fp32": tflite_affine()}, coreml=True)
    with edge_sdk.load(path) as session:
        assert session.variant == "tflite-fp32"
    with pytest.raises(UnavailableError, match="Core ML models run on Apple systems only"):
        edge_sdk.load(path, variant="coreml-fp16")
    with pytest.raises(UnavailableError, match="Core ML models run on Apple systems only"):
        edge_sdk.load(path, backend="coreml")  # though another build would be liked better


def test_a_backend_narrows_the_choice(all_builds: Path) -> None:
    with edge_sdk.load(all_builds, backend="onnxruntime") as session:
        assert session.variant.startswith("onnx-")


def test_a_variant_and_a_backend_that_do_not_go_together(all_builds: Path) -> None:
    with pytest.raises(UsageError, match="'onnxruntime' does not run") as caught:
        edge_sdk.load(all_builds, variant="tflite-int8", backend="onnxruntime")
    assert "litert" in caught.value.hint


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"variant": "tflite-int4"}, "no variant 'tflite-int4'"),
        ({"backend": "litter"}, "no backend 'litter'"),
        ({"backend": "mediapipe"}, "Tasks takes pictures and shows no tensors"),
        ({"threads": 0}, "0 threads"),
        ({"delegates": ["gpu2"]}, "no delegate 'gpu2'"),
        ({"delegates": ["xnnpack?x=1"]}, "takes no options"),
        ({"delegates": ["lib.so?x"]}, "options of 'lib.so' cannot be read"),
    ],
)
def test_arguments_that_mean_nothing(
    all_builds: Path, arguments: dict[str, object], says: str
) -> None:
    with pytest.raises(UsageError, match=says) as caught:
        edge_sdk.load(all_builds, **arguments)  # type: ignore[arg-type]
    assert caught.value.hint


def test_a_bare_model_has_no_variants(tmp_path: Path) -> None:
    (tmp_path / "m.onnx").write_bytes(onnx_affine())
    with pytest.raises(UsageError, match="has no variants"):
        edge_sdk.load(tmp_path / "m.onnx", variant="onnx-fp32")


@pytest.mark.parametrize("name", ["m.edge", "m.tflite", "m.onnx"])
def test_a_file_that_is_not_there(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError, match=f"{name} cannot be"):
        edge_sdk.load(tmp_path / name)


def test_a_manifest_that_speaks_of_another_model_is_refused(make: Make) -> None:
    with pytest.raises(ArtifactError, match="the model has a: float32"):
        edge_sdk.load(make({"tflite-fp32": tflite_sum()}))
    with pytest.raises(ArtifactError, match="the model has x: int8"):
        edge_sdk.load(make({"tflite-fp32": tflite_quantized()}))


def test_any_mapping_will_do(all_builds: Path) -> None:
    with edge_sdk.load(all_builds, variant="tflite-fp32") as session:
        y = session.run(MappingProxyType({"x": X}))["y"]
    np.testing.assert_allclose(y, affine(X), rtol=1e-6)


def test_without_preprocessing_predict_is_run(all_builds: Path) -> None:
    with edge_sdk.load(all_builds, variant="tflite-fp32") as session:
        found = session.predict({"x": X})
    assert isinstance(found, dict)
    np.testing.assert_allclose(found["y"], affine(X), rtol=1e-6)


def test_raw_gives_what_the_engine_gives(all_builds: Path) -> None:
    with edge_sdk.load(all_builds, variant="onnx-int8", raw=True) as session:
        assert session.run({"x": X})["y"].dtype == np.int8


@pytest.mark.parametrize("side", ["inputs", "outputs"])
def test_a_manifest_with_other_lengths_than_the_model_is_refused(tmp_path: Path, side: str) -> None:
    """Checked before it runs: its labels would be of other classes than its scores."""
    specs = {name: getattr(REAL, name) for name in ("inputs", "outputs")}
    (tensor,) = specs[side]
    longer = (*tensor.shape[:-1], 20)
    specs[side] = (msgspec.structs.replace(tensor, shape=longer),)
    told = msgspec.structs.replace(REAL, **specs)
    path = artifact(tmp_path / "tiny.edge", {"tflite-fp32": tflite_affine()}, told)
    with pytest.raises(ArtifactError, match=f"the manifest says {side}") as caught:
        edge_sdk.load(path)
    assert caught.value.exit_code == 4


@pytest.mark.parametrize("suffix", [".TFLITE", ".Tflite"])
def test_letters_of_a_suffix_may_be_capital(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"model{suffix}"
    path.write_bytes(tflite_affine())
    with edge_sdk.load(path) as session:
        np.testing.assert_allclose(session.run({"x": X})["y"], affine(X), rtol=1e-6)


def test_strict_does_not_take_unknown_help_for_help() -> None:
    def placement(operations: int | None) -> Placement:
        return Placement(
            backend="onnxruntime",
            backend_version="1.17",
            requested=("cuda",),
            attempts=(
                Attempt(delegate="cuda", active=True, operations=None),
                Attempt(delegate="cpu", active=True, operations=operations, reason="unknown"),
            ),
            operations=None,
            threads=1,
        )

    check_strict(placement(None))
    with pytest.raises(UnavailableError, match="3 of the model's operations run on 'cpu'"):
        check_strict(placement(3))

"""Limits that are declared at conversion travel in the artifact, and hold wherever it is run."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import picture_models
import pytest

import edge_sdk
from edge_sdk.artifact import Artifact, measure, pack
from edge_sdk.errors import UsageError
from edge_sdk.guard import InputGuard, RefusedInput
from edge_sdk.pipeline import write_picture
from edge_sdk.pipeline.stages import Guard
from edge_sdk.spec import InputLimits, Manifest, Provenance, Signature, TensorSpec, Variant
from tests.tiny_models import onnx_affine, tflite_quantized

GOOD, BAD = np.array([[1, 2, 3, 4]], np.float32), np.array([[1, 2, 3, 400]], np.float32)


@pytest.fixture
def affine(tmp_path: Path) -> Path:
    (tmp_path / "affine.onnx").write_bytes(onnx_affine())
    (tmp_path / "limits.toml").write_text("[ranges]\nx = [-5, 10]\n")
    np.save(tmp_path / "x.npy", np.concatenate([GOOD, BAD]))
    return tmp_path / "affine.onnx"


@pytest.fixture
def guarded(edge, affine: Path) -> Path:
    done = edge("convert", affine, "-o", affine.with_suffix(".edge"), "--guard", _limits(affine))
    assert done.code == 0, done.err
    return affine.with_suffix(".edge")


@pytest.fixture
def lamp(tmp_path: Path) -> Path:
    picture_models.artifact(tmp_path / "lamp.edge", guard=InputLimits(min_luma=30))
    return tmp_path / "lamp.edge"


def _limits(beside: Path) -> Path:
    return beside.with_name("limits.toml")


def _half(level: int) -> np.ndarray:
    picture = np.full((16, 16, 3), level, np.uint8)
    picture[:, 8:] = 0
    return picture


def test_they_are_in_the_manifest_and_in_its_digest(edge, affine: Path, guarded: Path) -> None:
    with Artifact(guarded) as artifact:
        assert artifact.manifest.guard == InputLimits(ranges={"x": (-5, 10)})
        assert artifact.manifest.min_agent == "0.1.0"
        digest = artifact.digest
    bare = affine.with_name("bare.edge")
    assert edge("convert", affine, "-o", bare, "--name", "affine").code == 0
    with Artifact(bare) as artifact:
        assert artifact.manifest.guard is None
        assert artifact.digest != digest
    said = edge("inspect", guarded).out
    assert "guard     ranges x -5 to 10, finite\n" in said
    assert "guard" not in edge("inspect", bare).out
    found = json.loads(edge("inspect", guarded, "--json").out)["manifest"]["guard"]
    assert found["ranges"] == {"x": [-5, 10]}
    assert edge("verify", guarded).code == 0
    with Artifact(guarded) as artifact:
        assert "ranges x -5 to 10" in artifact.read("report.html").decode()


def test_edge_run_keeps_them_another_guard_wins_and_none_is_none(
    edge, affine: Path, guarded: Path
) -> None:
    arrays = affine.with_name("x.npy")
    done = edge("run", guarded, arrays)
    assert done.code == 0
    assert "guard: 1 passed, 1 refused: 1 out of range: x" in done.out
    _limits(affine).write_text("[ranges]\nx = [3, 500]\n")
    report = json.loads(edge("run", guarded, arrays, "--guard", _limits(affine), "--json").out)
    assert report["guard"] == {"passed": 0, "refused": {"out of range: x": 2}}
    report = json.loads(edge("run", guarded, arrays, "--guard", "none", "--json").out)
    assert (report["guard"], report["frames"]) == (None, 2)
    done = edge("run", guarded, arrays, "--guard", affine.with_name("missing.toml"))
    assert done.code == 2
    assert "cannot be read" in done.err


def test_a_session_keeps_them_and_counts(guarded: Path) -> None:
    with edge_sdk.load(guarded) as session:
        assert session.guard is not None
        session.predict({"x": GOOD})
        with pytest.raises(RefusedInput, match="out of range: x"):
            session.predict({"x": BAD})
        with pytest.raises(RefusedInput, match="has shape 1x3; the model takes 1x4"):
            session.predict({"x": GOOD[:, :3]})
        with pytest.raises(RefusedInput, match="out of range: x"):
            session.run({"x": BAD})
        assert session.guard.report().refused == {"out of range: x": 2, "does not fit": 1}
        other = InputGuard(session, InputLimits(ranges={"x": (0, 1000)}))
        other.predict({"x": BAD})  # whoever makes a guard of his own has that one alone
        assert session.guard.report().passed == 1
    with edge_sdk.load(guarded, guard=False) as session:
        assert session.guard is None
        session.predict({"x": BAD})
    own = InputLimits(ranges={"x": (0, 2)})
    for ready in ("lazy", "warmed"):
        with (
            edge_sdk.load(guarded, guard=own, ready=ready) as session,
            pytest.raises(RefusedInput, match="out of range"),
        ):
            session.predict({"x": GOOD})
    with pytest.raises(UsageError, match="A str is no guard"):
        edge_sdk.load(guarded, guard="limits.toml")  # type: ignore[arg-type]


def test_a_bare_model_can_have_limits_too(affine: Path) -> None:
    with (
        edge_sdk.load(affine, guard=InputLimits(ranges={"x": (0, 2)})) as session,
        pytest.raises(RefusedInput, match="out of range"),
    ):
        session.predict({"x": GOOD})
    with pytest.raises(UsageError, match=r"affine\.onnx: The model has no input 'y'"):
        edge_sdk.load(affine, guard=InputLimits(ranges={"y": (0, 2)}))


def test_pictures_and_the_pipeline_s_stage(edge, lamp: Path, tmp_path: Path) -> None:
    write_picture(tmp_path / "dark.png", _half(40))
    write_picture(tmp_path / "light.png", _half(240))
    done = edge("run", lamp, tmp_path / "dark.png", tmp_path / "light.png")
    assert "guard: 1 passed, 1 refused: 1 dark" in done.out
    with edge_sdk.load(lamp) as session:
        assert session.guard is not None
        Guard(session.guard.limits)
        with pytest.raises(RefusedInput, match="dark"):
            session.predict(_half(40))
        assert session.explain(_half(40)).target == "dark"  # masks are no inputs to be judged
    assert edge("explain", lamp, tmp_path / "dark.png", "--out", tmp_path / "why.png").code == 0
    assert "guard     min_luma 30, min_contrast 2\n" in edge("inspect", lamp).out


def test_a_range_is_of_real_numbers_also_for_a_build_of_integers(tmp_path: Path) -> None:
    """One declaration travels with all builds; a program may feed each as it likes."""
    model = {"variants/tflite-int8/model.tflite": tflite_quantized()}
    (tmp_path / "q.tflite").write_bytes(tflite_quantized())
    with edge_sdk.load(tmp_path / "q.tflite") as session:
        built = session.engine_signature
    real = Signature(
        inputs=(TensorSpec(name="x", dtype="float32", shape=(1, 4)),),
        outputs=(TensorSpec(name="y", dtype="float32", shape=(1, 3)),),
    )
    (path,) = model
    variant = Variant(
        id="tflite-int8",
        format="tflite",
        recipe="int8",
        path=path,
        size=len(model[path]),
        backends=("litert",),
        signature=built,
    )
    manifest = Manifest(
        name="affine",
        version="1.0.0",
        signature=real,
        variants=(variant,),
        provenance=Provenance(source="x", source_format="x", source_sha256="0" * 64, tools={}),
        files=measure(model),
        guard=InputLimits(ranges={"x": (-5, 5)}),
    )
    pack(tmp_path / "q.edge", manifest, model)
    (quantization,) = (tensor.quantization for tensor in built.inputs)
    assert quantization is not None
    with edge_sdk.load(tmp_path / "q.edge") as session:
        for number, kept in ((4.5, True), (5.5, False)):
            stored = round(number / quantization.scale) + quantization.zero_point
            for fed in (np.full((1, 4), number, np.float32), np.full((1, 4), stored, np.int8)):
                if kept:
                    session.predict({"x": fed})
                else:
                    with pytest.raises(RefusedInput, match="out of range"):
                        session.predict({"x": fed})


@pytest.mark.parametrize(
    ("limits", "said"),
    [
        ("[ranges]\nz = [0, 1]\n", "The model has no input 'z'"),
        ("[ranges]\nx = [1, 0]\n", "Nothing is between 1 and 0"),
        ("[ranges]\nx = [nan, 0]\n", "Nothing is between"),
        ("min_luma = 20\n", "min_luma is of pictures, and the model takes arrays"),
        ("most_per_s = 0\n", "can pass these limits"),
        ("most_per_s = nan\n", "can pass these limits"),
        ("max_burnt = -inf\n", "can pass these limits"),
        ("[ranges]\nx = [0, inf]\n", "ranges.x is inf, which a manifest cannot hold"),
        ("rate = 3\n", "unknown key 'rate'"),
        ("ranges = 3\n", "ranges: expected `object`"),
        ("", None),
    ],
    ids=[
        "name",
        "range",
        "nan",
        "picture",
        "rate",
        "rate-nan",
        "inf",
        "open",
        "key",
        "type",
        "empty",
    ],
)
def test_limits_that_do_not_fit_are_refused_before_the_work(
    edge, affine: Path, limits: str, said: str | None
) -> None:
    _limits(affine).write_text(limits)
    out = affine.with_name("out.edge")
    done = edge("convert", affine, "-o", out, "--guard", _limits(affine))
    if said is None:
        assert "guard     finite\n" in edge("inspect", out).out
        return
    assert (done.code, out.exists()) == (2, False)
    assert said in done.err
    assert "wrote" not in done.out


def test_limits_that_refuse_the_model_s_own_data_are_warned_of(edge, affine: Path) -> None:
    out, data = affine.with_name("out.edge"), affine.with_name("data.npz")
    np.savez(data, x=np.concatenate([GOOD, BAD, BAD, GOOD]))
    words = ("convert", affine, "-o", out, "--evaluate", data, "--guard", _limits(affine))
    done = edge(*words)
    assert done.code == 0, done.err
    assert "warning: The limits of --guard refuse 2 of 4 inputs of" in done.out
    assert "2 out of range: x. Where the model runs" in done.out
    np.savez(data, x=GOOD)
    assert "warning" not in edge(*words).out


def test_limits_that_refuse_the_model_s_own_pictures_are_warned_of(edge, tmp_path: Path) -> None:
    (tmp_path / "light.tflite").write_bytes(picture_models.model())
    spec = 'input = "image"\nsize = [4, 4]\nchannels = "gray"\n'
    (tmp_path / "spec.toml").write_text(f"[preprocess]\n{spec}")
    (tmp_path / "limits.toml").write_text("min_luma = 50\n")
    for level in (40, 240):
        (tmp_path / "pictures" / str(level)).mkdir(parents=True)
        write_picture(tmp_path / "pictures" / str(level) / "1.png", _half(level))
    (tmp_path / "labels.txt").write_text("240\n40\n")
    done = edge(
        *("convert", tmp_path / "light.tflite", "-o", tmp_path / "light.edge"),
        *("--preprocess", tmp_path / "spec.toml", "--guard", tmp_path / "limits.toml"),
        *("--evaluate", tmp_path / "pictures", "--labels", tmp_path / "labels.txt"),
    )
    assert done.code == 0, done.err
    assert "refuse 1 of 2 inputs of" in done.out
    assert "1 dark. Where the model runs" in done.out


def test_an_artifact_that_declares_what_nothing_passes_is_not_loaded(tmp_path: Path) -> None:
    """Somebody else's tool may have written it."""
    for limits, said in (
        (InputLimits(min_luma=300, max_luma=400), "No picture can pass"),
        (InputLimits(ranges={"image": (0, 1)}), "takes pictures"),
    ):
        picture_models.artifact(tmp_path / "odd.edge", guard=limits)
        with pytest.raises(UsageError, match=rf"odd\.edge: .*{said}"):
            edge_sdk.load(tmp_path / "odd.edge")
        edge_sdk.load(tmp_path / "odd.edge", guard=False).close()

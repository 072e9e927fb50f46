"""Auto: candidates are raced for real; who is wrong or far slower is left out; choices are kept."""

from __future__ import annotations

import shutil
from pathlib import Path

import msgspec
import numpy as np
import pytest
from test_external_delegate import SOURCE, compiled
from test_trial import proven
from tiny_models import affine, onnx_affine, tflite_affine

import edge_sdk
from edge_sdk import UnavailableError, UsageError
from edge_sdk.backends import backend
from edge_sdk.runtime import auto
from edge_sdk.runtime import candidates as candidates_room
from edge_sdk.runtime import race as race_room
from edge_sdk.runtime.bench import Subject
from edge_sdk.runtime.bench_report import bench_auto
from edge_sdk.runtime.candidates import Model, candidates
from edge_sdk.runtime.choosing import default_threads
from edge_sdk.runtime.configurations import Configuration
from edge_sdk.runtime.race import race

X = np.array([[1, -2, 3, 0.5]], np.float32)


@pytest.fixture
def bare(tmp_path: Path) -> Path:
    path = tmp_path / "affine.tflite"
    path.write_bytes(tflite_affine())
    return path


@pytest.fixture
def memory(tmp_path: Path) -> Path:
    return tmp_path / "cache"


def edgetpu(folder: Path, monkeypatch: pytest.MonkeyPatch, replaced: str, by: str) -> None:
    """Put our delegate where the Edge TPU's is looked for, changed a little."""
    if shutil.which("gcc") is None:
        pytest.skip("there is no gcc")
    text = SOURCE.read_text(encoding="utf-8")
    assert replaced in text
    source = folder / "edgetpu.c"
    source.write_text("#include <unistd.h>\n" + text.replace(replaced, by), encoding="utf-8")
    compiled(source, folder / "libedgetpu.so.1")
    monkeypatch.setenv("LD_LIBRARY_PATH", str(folder))


def reasons(model: Model) -> tuple[set[str], dict[str, str]]:
    """Backends and delegates that were measured, and why the others were not."""
    raced = race(model, candidates(model, "litert"), seconds=0.05, shapes={})
    assert [tensor.name for tensor in raced.fed] == ["x"]
    assert raced.fastest in {each.configuration for each in raced.measured}
    ways = {",".join(each.configuration.delegates) for each in raced.measured}
    return ways, {each.variant.split(" x")[0].split()[-1]: each.reason for each in raced.skipped}


def test_the_ways_there_are(bare: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ways = candidates(Model(bare, None))
    assert ways[0] == Configuration(backend="litert", threads=1)
    assert "litert" in {way.backend for way in ways}
    assert not {way.backend for way in ways} & {"tensorflow", "litert-compiled"}
    assert {way.threads for way in ways} <= {1, 2, 4, default_threads()}
    assert {way.delegates for way in ways} >= {(), ("cpu",), ("gpu",)}
    assert ("edgetpu",) not in {way.delegates for way in ways}
    edgetpu(tmp_path, monkeypatch, "{0}", "{0}")
    ways = candidates(Model(bare, None), "litert", threads=1)
    assert ("edgetpu",) in {way.delegates for way in ways}
    assert {(way.backend, way.threads) for way in ways} == {("litert", 1)}


def test_it_runs_and_is_kept(
    tmp_path: Path, bare: Path, memory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(auto, "BUDGET_SECONDS", 0.1)
    with edge_sdk.load(bare, delegates="auto", cache=memory) as session:
        first = session.placement
        np.testing.assert_allclose(session.run({"x": X})["y"], affine(X), rtol=1e-5)
    with monkeypatch.context() as patch:
        patch.setattr(auto, "race", lambda *_, **__: pytest.fail("measured again"))
        with edge_sdk.load(bare, delegates=["auto"], cache=memory) as session:
            assert session.placement == first
        (kept,) = (memory / "auto").iterdir()
        assert set(msgspec.json.decode(kept.read_bytes())["word"]["p50_ms"])
        other = tmp_path / "other.onnx"
        other.write_bytes(onnx_affine())
        with pytest.raises(BaseException, match="measured again"):
            edge_sdk.load(other, delegates="auto", cache=memory)
        with pytest.raises(BaseException, match="measured again"):
            edge_sdk.load(bare, delegates="auto", threads=1, cache=memory)
        with pytest.raises(BaseException, match="measured again"):
            edge_sdk.load(bare, delegates="auto", shapes={"x": (1, 4)}, cache=memory)
    kept.write_bytes(b"\0")
    with edge_sdk.load(bare, delegates="auto", cache=memory) as session:
        assert session.placement.operations == 2


def test_threads_and_engine_may_be_fixed(
    bare: Path, memory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(auto, "BUDGET_SECONDS", 0.05)
    options = {"threads": 1, "backend": "litert-compiled", "cache": memory}
    with edge_sdk.load(bare, delegates="auto", **options) as session:
        assert session.placement.backend == "litert-compiled"
        assert session.placement.threads == 1


@pytest.mark.parametrize("with_golden", [True, False])
def test_who_is_wrong_is_not_taken(
    bare: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, with_golden: bool
) -> None:
    edgetpu(tmp_path, monkeypatch, "Options options = {0};", "Options options = {.too_high = 9};")
    path = proven(tmp_path / "affine.edge") if with_golden else bare
    model = Model(path, "tflite-fp32" if with_golden else None)
    measured, out = reasons(model)
    assert "edgetpu" not in measured
    assert "" in measured
    assert "y differs by " in out["edgetpu"]


def test_who_is_far_slower_is_given_up(
    bare: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    slowly = "static int kernel_invoke(Context *context, Node *node) {\n  usleep(100000);"
    edgetpu(
        tmp_path, monkeypatch, "static int kernel_invoke(Context *context, Node *node) {", slowly
    )
    measured, out = reasons(Model(bare, None))
    assert "edgetpu" not in measured
    assert "times as slow as the best" in out["edgetpu"]


def test_who_takes_nothing_is_left_out(
    bare: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    edgetpu(tmp_path, monkeypatch, "Options options = {0};", "Options options = {.take_none = 1};")
    measured, out = reasons(Model(bare, None))
    assert "edgetpu" not in measured
    assert out["edgetpu"] == "it took none of the model's operations"


def test_who_holds_pythons_lock_is_left_out_unless_asked_for(
    bare: Path, memory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(auto, "BUDGET_SECONDS", 0.05)
    report = bench_auto(bare, memory, seconds=0.05)
    assert {each.configuration.backend for each in report.measurements} == {"litert"}
    reasons = {each.variant: each.reason for each in report.skipped}
    assert "Python's lock" in reasons["litert-compiled"]
    asked = bench_auto(bare, memory, seconds=0.05, backend="litert-compiled")
    assert asked.fastest is not None
    assert asked.fastest.backend == "litert-compiled"
    assert "litert-compiled" not in {each.variant for each in asked.skipped}


def test_litert_holds_it_on_the_gpu() -> None:
    assert backend("litert").holds_lock(("gpu?enforce_f32=true",))
    assert not backend("litert").holds_lock(("xnnpack", "cpu"))
    assert not backend("onnxruntime").holds_lock(("gpu",))


def test_where_nobody_else_runs_it_who_holds_the_lock_does(
    bare: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(candidates_room, "MODULES", {"litert-compiled": "its module"})
    assert {way.backend for way in candidates(Model(bare, None))} == {"litert-compiled"}


@pytest.mark.parametrize(("lead", "winner"), [(1.4, "litert"), (1.6, "litert-compiled")])
def test_who_holds_the_lock_must_be_half_as_fast_again(
    bare: Path, monkeypatch: pytest.MonkeyPatch, lead: float, winner: str
) -> None:
    """By turns that are made up: those of the one that holds it are shorter by ``lead``."""

    def turns(subjects: list[Subject], *_: object) -> None:
        for subject in subjects:
            held = subject.configuration.backend == "litert-compiled"
            subject.turns += [1.0 / lead if held else 1.0] * 3
            subject.times += [1]

    monkeypatch.setattr(race_room, "take_turns", turns)
    monkeypatch.setattr(race_room, "HOPELESS", float("inf"))
    ways = [Configuration(backend=name, threads=1) for name in ("litert", "litert-compiled")]
    raced = race(Model(bare, None), ways, seconds=0.05, shapes={})
    assert raced.fastest is not None
    assert raced.fastest.backend == winner


def test_a_heat_has_instances_of_its_own(bare: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(race_room, "lags", lambda *_: False)
    renewed: list[str] = []
    renew = Subject.renew

    def watched(subject: Subject) -> None:
        before = subject.session
        renew(subject)
        assert subject.session is not before
        renewed.append(str(subject.configuration))

    monkeypatch.setattr(Subject, "renew", watched)
    ways = [Configuration(backend="litert", threads=count) for count in (1, 2)]
    raced = race(Model(bare, None), ways, seconds=0.7, shapes={})
    assert {"litert x1", "litert x2"} <= set(renewed)
    assert all(each.placement.operations == 2 for each in raced.measured)


def test_auto_stands_alone(bare: Path) -> None:
    with pytest.raises(UsageError, match="stands alone") as caught:
        edge_sdk.load(bare, delegates=["auto", "gpu"])
    assert "auto" in caught.value.hint


def test_where_nothing_is_right_it_says_so(
    tmp_path: Path, memory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = proven(tmp_path / "other.edge", shift=0.5)
    with pytest.raises(UnavailableError, match=r"y differs by 0\.5"):
        edge_sdk.load(other, delegates="auto", cache=memory)
    assert list(memory.glob("auto/*")) == []

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
from edge_sdk.runtime import auto
from edge_sdk.runtime.auto import EQUAL, Limits, Model, candidates, fastest, keep, race
from edge_sdk.runtime.bench import Measurement, summarize
from edge_sdk.runtime.choosing import default_threads
from edge_sdk.runtime.configurations import Configuration
from edge_sdk.spec import Placement

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
    measured, out, fed = race(model, candidates(model, "litert"), seconds=0.05, shapes={})
    assert [tensor.name for tensor in fed] == ["x"]
    ways = {",".join(each.configuration.delegates) for each in measured}
    return ways, {each.variant.split(" x")[0].split()[-1]: each.reason for each in out}


def test_the_ways_there_are(bare: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ways = candidates(Model(bare, None))
    assert ways[0] == Configuration(backend="litert", threads=1)
    assert {way.backend for way in ways} >= {"litert", "litert-compiled"}
    assert "tensorflow" not in {way.backend for way in ways}
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


def test_of_equals_the_plainest(bare: Path, memory: Path) -> None:
    def one(name: str, milliseconds: float) -> Measurement:
        return Measurement(
            configuration=Configuration(backend=name, threads=1),
            placement=Placement(
                backend=name,
                backend_version="1",
                requested=(),
                attempts=(),
                operations=None,
                threads=1,
            ),
            load_ms=1,
            first_ms=1,
            timings=summarize([round(milliseconds * 1e6)] * 3),
            memory_growth_bytes=0,
        )

    model = Model(bare, None)
    taken = [
        keep(model, memory, [one("slow", 3), one("plain", near), one("best", 1)], Limits())
        for near in (EQUAL - 0.001, EQUAL + 0.001)
    ]
    assert [each.backend for each in taken] == ["plain", "best"]
    assert fastest(bare, memory).backend == "best"


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

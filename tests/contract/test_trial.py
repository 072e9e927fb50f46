"""The trial of delegates: one that answers wrongly is found out, told of, and done without."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import msgspec
import numpy as np
import pytest
from test_external_delegate import SOURCE, compiled
from tiny_models import REAL, affine, artifact, onnx_affine, tflite_affine

import edge_sdk
from edge_sdk import UnavailableError, UsageError
from edge_sdk.artifact import Golden, measure, pack
from edge_sdk.artifact import golden as golden_file
from edge_sdk.artifact.artifact import Artifact
from edge_sdk.runtime import selfcheck
from edge_sdk.spec.contents import GOLDEN, MANIFEST

X = np.array([[1, -2, 3, 0.5]], np.float32)
INPUTS = np.random.default_rng(0).standard_normal((3, 1, 4)).astype(np.float32)

pytestmark = pytest.mark.skipif(shutil.which("gcc") is None, reason="there is no gcc")


@pytest.fixture(scope="session")
def stub(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return compiled(SOURCE, tmp_path_factory.mktemp("delegate") / "libstub.so")


@pytest.fixture
def memory(tmp_path: Path) -> Path:
    return tmp_path / "cache"


def proven(path: Path, *, shift: float = 0.0, tolerance: float = 1e-3) -> Path:
    """The affine model with golden vectors; ``shift`` makes them those of another."""
    builds = {"tflite-fp32": tflite_affine(), "onnx-fp32": onnx_affine()}
    with Artifact(artifact(path, builds, REAL)) as made:
        contents = {name: made.read(name) for name in made.manifest.files if name != MANIFEST}
        manifest = made.manifest
    contents[GOLDEN] = golden_file.pack(
        Golden(
            {"x": INPUTS},
            {"y": affine(INPUTS) + np.float32(shift)},
            {name: {"y": tolerance} for name in builds},
        )
    )
    pack(path, msgspec.structs.replace(manifest, files=measure(contents)), contents)
    return path


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return proven(tmp_path / "affine.edge")


def runs_rightly(session: edge_sdk.Session) -> bool:
    return bool(np.allclose(session.run({"x": X})["y"], affine(X), rtol=1e-5))


def test_wrong_numbers_disqualify_and_the_next_is_tried(
    stub: Path, model: Path, memory: Path
) -> None:
    wrong = f"{stub}?sums=wrong"
    with edge_sdk.load(
        model, delegates=[wrong, "xnnpack"], variant="tflite-fp32", cache=memory
    ) as session:
        placement = session.placement
        assert runs_rightly(session)
    assert placement.requested == (str(stub), "xnnpack")
    assert placement.actual == ("xnnpack",)
    (refused,) = placement.refused
    assert refused.delegate == str(stub)
    assert refused.driver.startswith("libstub.so ")
    assert "answers wrongly on the golden vectors: y differs by " in refused.reason
    assert "allowed are 0.001" in refused.reason
    assert refused.reason in str(placement)


def test_without_the_check_it_would_be_believed(stub: Path, model: Path) -> None:
    with edge_sdk.load(
        model, delegates=[f"{stub}?sums=wrong"], variant="tflite-fp32", check=False
    ) as session:
        assert str(stub) in session.placement.actual
        assert not runs_rightly(session)


def test_another_library_is_the_next(stub: Path, model: Path, memory: Path, tmp_path: Path) -> None:
    good = compiled(SOURCE, tmp_path / "libgood.so")
    asked = [f"{stub}?sums=wrong", str(good)]
    with edge_sdk.load(model, delegates=asked, variant="tflite-fp32", cache=memory) as session:
        assert session.placement.actual == (str(good), "xnnpack")
        assert runs_rightly(session)


def test_one_that_fails_at_work_is_disqualified_too(stub: Path, model: Path, memory: Path) -> None:
    with edge_sdk.load(
        model, delegates=[f"{stub}?fail=invoke"], variant="tflite-fp32", cache=memory
    ) as session:
        (refused,) = session.placement.refused
        assert runs_rightly(session)
    assert "the device went away" in refused.reason


def test_strict_does_not_take_the_next(stub: Path, model: Path, memory: Path) -> None:
    with pytest.raises(UnavailableError, match="is not active: it answers wrongly") as caught:
        edge_sdk.load(
            model,
            delegates=[f"{stub}?sums=wrong", "xnnpack"],
            variant="tflite-fp32",
            strict=True,
            cache=memory,
        )
    assert caught.value.hint


@pytest.mark.parametrize("variant", ["tflite-fp32", "onnx-fp32"])
def test_where_nothing_is_right_nothing_runs(tmp_path: Path, memory: Path, variant: str) -> None:
    other = proven(tmp_path / "other.edge", shift=0.5)
    with pytest.raises(UnavailableError, match=r"y differs by 0\.5, allowed are 0\.001") as caught:
        edge_sdk.load(other, variant=variant, cache=memory)
    assert "edge verify" in caught.value.hint
    with edge_sdk.load(other, variant=variant, check=False) as session:
        assert runs_rightly(session)


# The verdict is kept


def test_the_golden_vectors_are_run_once(
    stub: Path, model: Path, memory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = [f"{stub}?sums=wrong", "xnnpack"]

    def placement(folder: Path) -> edge_sdk.Placement:
        with edge_sdk.load(model, delegates=asked, variant="tflite-fp32", cache=folder) as session:
            assert runs_rightly(session)
            return session.placement

    first = placement(memory)
    ran: list[object] = []
    judge = selfcheck.judge
    monkeypatch.setattr(selfcheck, "judge", lambda *args: ran.append(args) or judge(*args))
    assert placement(memory) == first
    assert ran == []
    assert placement(memory.parent / "elsewhere") == first
    assert len(ran) == 2  # with the library, and with what came next


def test_another_driver_or_model_is_tried_anew(
    stub: Path, model: Path, memory: Path, tmp_path: Path
) -> None:
    library = Path(shutil.copy(stub, tmp_path / "libdriver.so"))
    options = {"delegates": [str(library)], "variant": "tflite-fp32", "cache": memory}
    with edge_sdk.load(model, **options) as session:
        assert str(library) in session.placement.actual
    source = tmp_path / "newer.c"
    text = SOURCE.read_text(encoding="utf-8")
    broken = text.replace("Options options = {0};", "Options options = {.too_high = 3};")
    source.write_text(broken, encoding="utf-8")
    compiled(source, tmp_path / "libnewer.so").replace(library)  # as an update does
    with edge_sdk.load(model, **options) as session:  # this process has the old one, and will
        assert str(library) in session.placement.actual
        assert runs_rightly(session)
    assert len(list((memory / "verdicts").iterdir())) == 1
    program = (
        "import sys, edge_sdk\n"
        "model, library, cache = sys.argv[1:]\n"
        "with edge_sdk.load(model, delegates=[library], variant='tflite-fp32', cache=cache) as s:\n"
        "    print(s.placement)\n"
    )
    command = [sys.executable, "-c", program, *map(str, (model, library, memory))]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    assert f"{library} refused: it answers wrongly on the golden vectors: y differs" in done.stdout
    assert len(list((memory / "verdicts").iterdir())) == 3
    with pytest.raises(UnavailableError):
        edge_sdk.load(proven(tmp_path / "other.edge", shift=1), **options)


@pytest.mark.parametrize("damage", [b"", b"\0\xff" * 50, b"{}", b'{"about": {}, "word": {}}', b"["])
def test_a_damaged_verdict_is_as_good_as_none(
    stub: Path, model: Path, memory: Path, damage: bytes
) -> None:
    def load() -> None:
        with edge_sdk.load(
            model, delegates=[f"{stub}?sums=wrong"], variant="tflite-fp32", cache=memory
        ) as session:
            assert session.placement.actual == ("xnnpack",)
            assert runs_rightly(session)

    load()
    for verdict in (memory / "verdicts").iterdir():
        verdict.write_bytes(damage)
    load()


def test_a_verdict_under_anothers_name_is_not_believed(
    stub: Path, model: Path, memory: Path
) -> None:
    def load(options: str) -> tuple[str, ...]:
        with edge_sdk.load(
            model, delegates=[f"{stub}{options}"], variant="tflite-fp32", cache=memory
        ) as session:
            return session.placement.actual

    load("?sums=right")
    (right,) = (memory / "verdicts").iterdir()
    assert load("?sums=wrong") == ("xnnpack",)
    for verdict in (memory / "verdicts").iterdir():
        verdict.write_bytes(right.read_bytes())
    assert load("?sums=wrong") == ("xnnpack",)


def test_a_folder_that_cannot_be_costs_the_memory_alone(
    stub: Path, model: Path, memory: Path
) -> None:
    memory.write_text("in the way", encoding="utf-8")
    for _ in range(2):
        with edge_sdk.load(
            model, delegates=[f"{stub}?sums=wrong"], variant="tflite-fp32", cache=memory
        ) as session:
            assert session.placement.actual == ("xnnpack",)


# When it is opened


def test_lazily(stub: Path, model: Path, memory: Path) -> None:
    with edge_sdk.load(
        model, delegates=[f"{stub}?sums=wrong"], variant="tflite-fp32", ready="lazy", cache=memory
    ) as session:
        assert not (memory / "verdicts").exists()
        assert session.signature == REAL
        assert runs_rightly(session)
        (refused,) = session.placement.refused
        assert "golden" in refused.reason
    with pytest.raises(UsageError, match="closed"):
        session.run({"x": X})


def test_what_is_never_run_is_never_opened(tmp_path: Path, memory: Path) -> None:
    other = proven(tmp_path / "other.edge", shift=0.5)
    with edge_sdk.load(other, ready="lazy", cache=memory) as session:
        session.reset()
    with pytest.raises(UsageError, match="closed"):
        session.run({"x": X})
    with edge_sdk.load(other, ready="lazy", cache=memory) as session:
        for _ in range(2):  # it is an answer, not a broken session
            with pytest.raises(UnavailableError, match=r"y differs by 0\.5"):
                session.run({"x": X})


def test_warmed(model: Path, memory: Path) -> None:
    with edge_sdk.load(model, ready="warmed", cache=memory) as session:
        assert runs_rightly(session)


def test_readiness_that_is_none(model: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="not made 'lasy'") as caught:
        edge_sdk.load(model, ready="lasy")  # type: ignore[arg-type]
    assert "lazy" in caught.value.hint
    bare = tmp_path / "bare.tflite"
    bare.write_bytes(tflite_affine())
    with pytest.raises(UsageError, match="bare model") as caught:
        edge_sdk.load(bare, ready="lazy")
    assert "edge convert" in caught.value.hint

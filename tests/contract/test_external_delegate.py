"""LiteRT with an external delegate: a real shared library, compiled here, that takes additions."""

from __future__ import annotations

import gc
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from tiny_models import affine, tflite_adds, tflite_affine

import edge_sdk
from edge_sdk import UnavailableError

SOURCE = Path(__file__).with_name("stub_delegate.c")
X = np.array([[1, -2, 3, 0.5]], np.float32)

pytestmark = pytest.mark.skipif(shutil.which("gcc") is None, reason="there is no gcc")


@pytest.fixture(scope="session")
def stub(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return compiled(SOURCE, tmp_path_factory.mktemp("delegate") / "libstub.so")


def compiled(source: Path, library: Path) -> Path:
    subprocess.run(["gcc", "-shared", "-fPIC", "-o", library, source], check=True)
    return library


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "affine.tflite"
    path.write_bytes(tflite_affine())
    return path


def loaded(model: Path, *delegates: object, strict: bool = False) -> edge_sdk.Session:
    return edge_sdk.load(model, delegates=[str(name) for name in delegates], strict=strict)


def test_it_takes_the_additions_and_xnnpack_the_rest(stub: Path, tmp_path: Path) -> None:
    path = tmp_path / "adds.tflite"
    path.write_bytes(tflite_adds(4))
    with loaded(path) as plain:
        expected = plain.run({"x": X})
        (output,) = expected
    with loaded(path, stub, "xnnpack", strict=True) as session:
        placement = session.placement
        found = session.run({"x": X})
    assert placement.operations == 7
    assert {a.delegate: a.operations for a in placement.attempts} == {str(stub): 4, "xnnpack": 3}
    np.testing.assert_allclose(found[output], expected[output], rtol=1e-6)


def test_without_xnnpack_the_plain_kernels_take_the_rest(stub: Path, model: Path) -> None:
    with loaded(model, stub, "cpu") as session:
        took = {a.delegate: a.operations for a in session.placement.attempts}
        np.testing.assert_allclose(session.run({"x": X})["y"], affine(X), rtol=1e-6)
    assert took == {str(stub): 1, "cpu": 1}


def test_it_follows_a_change_of_shape(stub: Path, tmp_path: Path) -> None:
    path = tmp_path / "affine.tflite"
    path.write_bytes(tflite_affine(-1))
    with loaded(path, stub) as session:
        for rows in (1, 7, 3):
            x = np.random.default_rng(rows).random((rows, 4), np.float32)
            np.testing.assert_allclose(session.run({"x": x})["y"], affine(x), rtol=1e-6)
        placement = session.placement
    assert sum(a.operations or 0 for a in placement.attempts) == placement.operations == 2


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ("?fail=create", "refused to start: stub: there is no device"),
        ("?fail=prepare", "could not take the model: stub: the graph does not fit"),
        ("?take=none", "took none of the model's operations"),
    ],
)
def test_one_that_fails_is_refused_and_the_next_takes_its_place(
    stub: Path, model: Path, options: str, says: str
) -> None:
    with loaded(model, f"{stub}{options}", "xnnpack") as session:
        placement = session.placement
        np.testing.assert_allclose(session.run({"x": X})["y"], affine(X), rtol=1e-6)
    (refused,) = placement.refused
    assert says in refused.reason
    assert placement.actual == ("xnnpack",)
    with pytest.raises(UnavailableError, match=says):
        loaded(model, f"{stub}{options}", "xnnpack", strict=True)


def test_the_first_that_works_is_the_one(stub: Path, model: Path, tmp_path: Path) -> None:
    spare = compiled(SOURCE, tmp_path / "libspare.so")
    with loaded(model, f"{stub}?take=none", "edgetpu", spare, "qnn") as session:
        placement = session.placement
    took = {a.delegate: (a.operations, a.reason) for a in placement.attempts}
    assert took[str(spare)] == (1, "")
    assert "an earlier delegate" in took["qnn"][1]
    assert "cannot be loaded" in took["edgetpu"][1]


def test_a_failure_at_work_is_the_delegates(stub: Path, model: Path) -> None:
    with (
        loaded(model, f"{stub}?fail=invoke") as session,
        pytest.raises(UnavailableError, match="the device went away") as caught,
    ):
        session.run({"x": X})
    assert str(stub) in caught.value.message


def test_strict_refuses_help_that_was_not_asked_for(stub: Path, model: Path) -> None:
    with pytest.raises(UnavailableError, match="1 of the model's operations run on 'xnnpack'"):
        loaded(model, stub, strict=True)


def test_a_relative_path_is_found(stub: Path, model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(stub.parent)
    with loaded(model, stub.name) as session:
        assert stub.name in session.placement.actual


def test_a_library_that_is_no_delegate_is_refused_quietly(
    model: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    source = tmp_path / "other.c"
    source.write_text("int unrelated(void) { return 1; }\n", encoding="utf-8")
    other = compiled(source, tmp_path / "libother.so")
    text = tmp_path / "text.so"
    text.write_text("not a library\n", encoding="utf-8")
    with loaded(model, other, text, tmp_path / "missing.so", "cpu") as session:
        reasons = [a.reason for a in session.placement.refused]
    gc.collect()
    assert "is no TFLite delegate" in reasons[0]
    assert "cannot be loaded" in reasons[1]
    assert "No such file" in reasons[2]
    assert capfd.readouterr().err == ""

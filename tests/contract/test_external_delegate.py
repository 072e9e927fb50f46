"""LiteRT with an external delegate: a real shared library, compiled here, that takes additions."""

from __future__ import annotations

import gc
import shutil
import subprocess
import tempfile
from pathlib import Path

import numpy as np
import pytest
from engines import refusal
from tiny_models import REAL, affine, artifact, tflite_adds, tflite_affine

import edge_sdk
from edge_sdk import UnavailableError, UsageError
from edge_sdk.backends import libraries

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


def test_a_path_need_not_be_text(stub: Path, model: Path) -> None:
    with edge_sdk.load(model, delegates=[stub]) as session:
        assert session.placement.actual == (str(stub), "xnnpack")


def test_what_comes_after_xnnpack_is_not_tried(stub: Path, model: Path) -> None:
    with loaded(model, "xnnpack", stub, "edgetpu") as session:
        assert session.placement.actual == ("xnnpack",)
        reasons = {each.reason for each in session.placement.refused}
    assert reasons == {"an earlier delegate of the list is active"}


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


# One that would take the process with it


@pytest.mark.parametrize(
    ("moment", "stage"),
    [
        ("create", "it is loaded"),
        ("prepare", "it takes the model"),
        ("invoke", "it runs the model"),
    ],
)
def test_one_that_crashes_is_refused_and_the_session_works(
    stub: Path, model: Path, moment: str, stage: str
) -> None:
    with loaded(model, f"{stub}?crash={moment}", "xnnpack") as session:
        (refused,) = session.placement.refused
        np.testing.assert_allclose(session.run({"x": X})["y"], affine(X), rtol=1e-6)
    assert refused.reason == f"it crashes the process (SIGSEGV) while {stage}"


def test_strict_fails_on_one_that_crashes(stub: Path, model: Path) -> None:
    with pytest.raises(UnavailableError, match=r"not active: it crashes the process") as caught:
        loaded(model, f"{stub}?crash=create", strict=True)
    assert caught.value.hint


def test_one_that_crashes_as_it_is_mapped(model: Path, tmp_path: Path) -> None:
    source = tmp_path / "dies.c"
    source.write_text(
        "#include <stdlib.h>\n__attribute__((constructor)) static void die(void) { abort(); }\n",
        encoding="utf-8",
    )
    with loaded(model, compiled(source, tmp_path / "libdies.so"), "cpu") as session:
        (refused,) = session.placement.refused
        np.testing.assert_allclose(session.run({"x": X})["y"], affine(X), rtol=1e-6)
    assert "SIGABRT" in refused.reason


@pytest.mark.parametrize("ending", ["exit(0)", "_exit(0)", "exit(3)"])
def test_one_that_ends_the_process_as_it_is_mapped(
    model: Path, tmp_path: Path, ending: str
) -> None:
    """With 0 too: that is how a program ends that has done what it should."""
    source = tmp_path / "ends.c"
    source.write_text(
        "#include <stdlib.h>\n#include <unistd.h>\n"
        f"__attribute__((constructor)) static void end(void) {{ {ending}; }}\n",
        encoding="utf-8",
    )
    with loaded(model, compiled(source, tmp_path / "libends.so"), "cpu") as session:
        (refused,) = session.placement.refused
        np.testing.assert_allclose(session.run({"x": X})["y"], affine(X), rtol=1e-6)
    code = ending[-2]
    assert refused.reason == f"it ends the process (exit code {code}) while it is loaded"


def test_one_that_never_comes_to_an_end(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(libraries, "PROBE_SECONDS", 3)
    source = tmp_path / "hangs.c"
    source.write_text(
        "#include <unistd.h>\n"
        "__attribute__((constructor)) static void hang(void) { for (;;) pause(); }\n",
        encoding="utf-8",
    )
    with loaded(model, compiled(source, tmp_path / "libhangs.so"), "cpu") as session:
        (refused,) = session.placement.refused
        np.testing.assert_allclose(session.run({"x": X})["y"], affine(X), rtol=1e-6)
    assert refused.reason == "it did not come to an end within 3 s while it is loaded"


def test_one_that_was_cut_short(stub: Path, model: Path, tmp_path: Path) -> None:
    cut = tmp_path / "libcut.so"
    cut.write_bytes(stub.read_bytes()[:2000])
    with loaded(model, cut, "cpu") as session:
        (refused,) = session.placement.refused
        np.testing.assert_allclose(session.run({"x": X})["y"], affine(X), rtol=1e-6)
    assert "it crashes the process" in refused.reason or "cannot be loaded" in refused.reason


def test_what_lies_in_the_current_folder_does_not_disturb_the_trial(
    stub: Path, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("json", "numpy", "signal"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit(5)\n", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    with loaded(model, f"{stub}?take=all&run={tmp_path.name}") as session:  # never tried before
        assert session.placement.actual[0] == str(stub)


def test_an_artifacts_model_is_tried_without_room_for_temporary_files(
    stub: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = artifact(tmp_path / "affine.edge", {"tflite-fp32": tflite_affine()}, REAL)
    nowhere = str(tmp_path / "nowhere")
    monkeypatch.setattr(tempfile, "tempdir", nowhere)
    with loaded(path, f"{stub}?run={tmp_path.name}") as session:
        assert session.placement.actual[0] == str(stub)
    with loaded(path, f"{stub}?crash=invoke&run={tmp_path.name}") as session:
        assert "while it runs the model" in session.placement.refused[0].reason


def test_a_library_for_another_processor(stub: Path, model: Path, tmp_path: Path) -> None:
    foreign = bytearray(stub.read_bytes())
    foreign[18:20] = (243).to_bytes(2, "little")
    path = tmp_path / "libforeign.so"
    path.write_bytes(foreign)
    with loaded(model, path, "cpu") as session:
        (refused,) = session.placement.refused
        assert session.placement.actual == ("cpu",)
    assert f"{path} is built for RISC-V, this is " in refused.reason


def test_wrong_sums_are_computed_as_told(stub: Path, model: Path) -> None:
    """The engine cannot know; that is the golden check's to find. Here: the stub does answer so."""
    with loaded(model, f"{stub}?sums=wrong") as session:
        found = session.run({"x": X})["y"]
    assert np.abs(found - affine(X)).max() > 1


def test_its_driver_is_its_content(stub: Path, model: Path) -> None:
    with loaded(model, stub) as session:
        (attempt,) = (a for a in session.placement.attempts if a.delegate == str(stub))
    assert attempt.driver.startswith("libstub.so ")
    assert (attempt.kinds, attempt.partitions) == ({"ADD": 1}, 1)
    assert attempt.handed_over_bytes == 32  # four floats in, four out; the constant stays
    assert "1 of 2 operations (50 %) fall back to xnnpack" in session_fallback(stub, model)


def session_fallback(stub: Path, model: Path) -> str:
    with loaded(model, stub, "xnnpack") as session:
        return session.placement.fallback


# Delegates by name: what their makers' libraries are given


@pytest.mark.parametrize(
    ("backend", "delegate", "library", "given"),
    [
        ("litert", "edgetpu?device=usb:0", "libedgetpu.so.1", {"device": "usb:0"}),
        (
            "litert",
            "qnn?backend_type=htp&htp_precision=1",
            "libQnnTFLiteDelegate.so",
            {"backend_type": "htp", "htp_precision": "1"},
        ),
        (
            "tensorflow",
            "gpu?inference_preference=1",
            "libtensorflowlite_gpu_delegate.so",
            {"inference_preference": "1"},
        ),
    ],
    ids=["edgetpu", "qnn", "gpu"],
)
def test_a_name_finds_its_library_and_hands_on_its_options(
    model: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    backend: str,
    delegate: str,
    library: str,
    given: dict[str, str],
) -> None:
    if (missing := refusal(backend)) is not None:
        pytest.skip(missing.message)
    record = tmp_path / "record.txt"
    source = tmp_path / "recorder.c"
    text = SOURCE.read_text(encoding="utf-8")
    every = f'  record("{record}", keys, values, count);\n  Options options = {{0}};\n'
    source.write_text(text.replace("  Options options = {0};\n", every), encoding="utf-8")
    compiled(source, tmp_path / library)
    monkeypatch.setenv("LD_LIBRARY_PATH", str(tmp_path))
    monkeypatch.setattr(libraries, "PROBE_SECONDS", 300)  # TensorFlow's import alone takes long
    name = delegate.partition("?")[0]
    with edge_sdk.load(model, delegates=[delegate], backend=backend) as session:
        assert session.placement.actual[0] == name
        np.testing.assert_allclose(session.run({"x": X})["y"], affine(X), rtol=1e-6)
    lines = record.read_text(encoding="utf-8").splitlines()
    assert dict(line.split("=", 1) for line in lines) == given


@pytest.mark.parametrize("name", ["edgetpu", "qnn", "nnapi"])
def test_the_absent_are_refused_with_the_right_reason(model: Path, name: str) -> None:
    with loaded(model, name, "xnnpack") as session:
        (refused,) = session.placement.refused
    wanted = {
        "edgetpu": "libedgetpu.so.1: No such file",
        "qnn": "libQnnTFLiteDelegate.so: No such file",
        "nnapi": "Android only",
    }
    assert wanted[name] in refused.reason


def test_an_option_that_a_name_does_not_have(model: Path) -> None:
    with pytest.raises(UsageError, match="no option 'devise'") as caught:
        loaded(model, "edgetpu?devise=usb", "cpu")
    assert "device" in caught.value.hint
    with pytest.raises(UsageError, match="takes no options"):
        loaded(model, "xnnpack?fast=true")

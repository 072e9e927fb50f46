"""The doctor: what is called ok, missing and wrong, and the command that is given for it."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from edge_sdk.cli import doctor
from edge_sdk.files import cache_folder
from edge_sdk.machine import checkup, imports
from edge_sdk.machine.checkup import Check, Diagnosis
from edge_sdk.machine.installation import PACKAGES, Requirement, Snapshot
from edge_sdk.spec import Runtime, decode, encode

REQUIREMENTS = (
    Requirement("ai-edge-litert", ">=2.3", "litert"),
    Requirement("tflite-runtime", ">=2.14", "tflite"),
    Requirement("numpy", "<2", "tflite"),
    Requirement("onnxruntime", ">=1.20", "onnx"),
    Requirement("opencv-python-headless", ">=4.10", "vision"),
    Requirement("mediapipe", ">=1.2", "mediapipe"),
)
OURS = {package: frozenset({"edgeloop"}) for package in PACKAGES}


def here(**versions: str) -> Snapshot:
    names = {name.replace("_", "-"): version for name, version in versions.items()}
    folders = {package: Path("/site") / package for package in PACKAGES}
    return Snapshot(names, REQUIREMENTS, OURS, folders)


# Python


@pytest.mark.parametrize(
    ("version", "state"), [((3, 10), "missing"), ((3, 11), "ok"), ((3, 14), "ok")]
)
def test_python(version: tuple[int, int], state: str) -> None:
    check = checkup.python_check(version)
    assert check.state == state
    assert bool(check.mend) is (state != "ok")


# Names


def test_our_names_are_ours() -> None:
    assert checkup.names_check(here(), Path("/site")).state == "ok"


def test_a_distribution_of_the_same_name_is_wrong() -> None:
    owners = {**OURS, "fleet": frozenset({"edgeloop", "fleet"})}
    snapshot = Snapshot({}, REQUIREMENTS, owners, here().folders)
    check = checkup.names_check(snapshot, Path("/site"))
    assert check.state == "wrong"
    assert "fleet is also in the distribution fleet" in check.found
    assert check.mend.startswith("pip uninstall -y fleet && pip install")


def test_a_folder_of_the_same_name_is_wrong() -> None:
    folders = {**here().folders, "converters": Path("/home/me/converters")}
    check = checkup.names_check(Snapshot({}, REQUIREMENTS, OURS, folders), Path("/site"))
    assert check.state == "wrong"
    assert "/home/me/converters" in check.found
    assert "rename" in check.mend


def test_numpy() -> None:
    assert checkup.numpy_check(here(numpy="2.4.6")).state == "ok"
    check = checkup.numpy_check(here(numpy="2.4.6", tflite_runtime="2.14.0"))
    assert (check.state, check.mend) == ("wrong", "pip install 'numpy<2'")
    assert checkup.numpy_check(here(numpy="1.26.4", tflite_runtime="2.14.0")).state == "ok"


def test_tensorflow_and_tflite_runtime_do_not_share_a_numpy() -> None:
    both = here(numpy="2.4.6", tflite_runtime="2.14.0", tensorflow_cpu="2.21.0")
    check = checkup.numpy_check(both)
    assert check.state == "wrong"
    assert "tensorflow-cpu does not go with" in check.found
    assert check.mend.startswith("pip uninstall -y tflite-runtime && pip install 'edgeloop[litert]")


def test_a_numpy_that_is_too_old_is_wrong() -> None:
    snapshot = replace(here(numpy="1.24.4"), requirements=(Requirement("numpy", ">=1.26", ""),))
    check = checkup.numpy_check(snapshot)
    assert (check.state, check.mend) == ("wrong", "pip install 'numpy>=1.26'")


# Two builds of one package


def test_two_builds_of_an_engine_are_wrong() -> None:
    assert list(checkup.builds_checks(here(onnxruntime="1.31", tensorflow="2.21"))) == []
    (check,) = checkup.builds_checks(here(onnxruntime="1.31.1", onnxruntime_gpu="1.31.1"))
    assert (check.name, check.state) == ("onnxruntime", "wrong")
    assert check.mend == (
        "pip uninstall -y onnxruntime-gpu onnxruntime && pip install onnxruntime-gpu"
    )


def test_another_build_stands_in_for_the_one_that_an_extra_names() -> None:
    """Or its own line would be one that makes two of them."""
    check = checkup.extra_check(here(onnxruntime_gpu="1.31.1"), "onnx")
    assert (check.state, check.found) == ("ok", "onnxruntime-gpu 1.31.1")


# OpenCV


def test_no_opencv() -> None:
    check = checkup.opencv_check(here())
    assert (check.state, check.mend) == ("missing", "pip install 'edgeloop[vision]'")


def test_one_opencv() -> None:
    check = checkup.opencv_check(here(opencv_python_headless="5.0"))
    assert (check.state, check.found) == ("ok", "opencv-python-headless 5.0")


@pytest.mark.parametrize(
    ("versions", "mend"),
    [
        (
            {"opencv_python_headless": "5.0", "opencv_contrib_python": "5.0", "mediapipe": "1.2"},
            "pip uninstall -y opencv-python-headless opencv-contrib-python"
            " && pip install opencv-contrib-python",
        ),
        (
            {"opencv_python_headless": "5.0", "opencv_python": "5.0"},
            "pip uninstall -y opencv-python opencv-python-headless"
            " && pip install opencv-python-headless",
        ),
    ],
)
def test_two_opencvs_are_wrong(versions: dict[str, str], mend: str) -> None:
    check = checkup.opencv_check(here(**versions))
    assert check.state == "wrong"
    assert "overwrite each other" in check.found
    assert check.mend == mend


# Engines


def test_an_engine_that_works() -> None:
    runtime = Runtime(backend="litert", version="2.3.0", delegates=("xnnpack", "cpu"))
    check = checkup.engine_check(runtime, here(ai_edge_litert="2.3.0"))
    assert (check.state, check.found) == ("ok", "2.3.0, delegates: xnnpack, cpu")


def test_an_engine_that_is_not_installed() -> None:
    runtime = Runtime(backend="onnxruntime", version=None, reason="No module")
    check = checkup.engine_check(runtime, here())
    assert (check.state, check.mend) == ("missing", "pip install 'edgeloop[onnx]'")


def test_an_engine_that_is_installed_and_does_not_start_is_wrong() -> None:
    runtime = Runtime(backend="onnxruntime", version=None, reason="libfoo.so:\n  no such file")
    check = checkup.engine_check(runtime, here(onnxruntime="1.31.1"))
    assert check.state == "wrong"
    assert check.found == "libfoo.so: no such file"
    assert check.mend == "pip install --force-reinstall --no-deps onnxruntime"


def test_how_to_get_it_is_not_said_of_what_is_installed() -> None:
    reason = "LiteRT is not usable here: libfoo.so: no such file\n  pip install 'edgeloop[litert]'"
    runtime = Runtime(backend="litert", version=None, reason=reason)
    check = checkup.engine_check(runtime, here(ai_edge_litert="2.3.0"))
    assert check.found == "LiteRT is not usable here: libfoo.so: no such file"
    assert check.mend == "pip install --force-reinstall --no-deps ai-edge-litert"


def test_an_import_that_ends_the_process_is_found_out_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "dies.py").write_text("import os\nos.kill(os.getpid(), 11)\n", encoding="utf-8")
    (tmp_path / "fails.py").write_text("raise ImportError('no such library')\n", encoding="utf-8")
    (tmp_path / "hangs.py").write_text("import time\ntime.sleep(600)\n", encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(imports, "IMPORT_SECONDS", 5)
    modules = {name: name for name in ("dies", "fails", "hangs", "json", "not_there")}
    assert imports.deadly(modules) == {
        "dies": "its import ends any program (SIGSEGV)",
        "hangs": "its import does not come to an end within 5 s",
    }


def test_what_would_end_the_doctor_is_not_imported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "ai_edge_litert"
    package.mkdir()
    (package / "__init__.py").write_text("import os\nos.kill(os.getpid(), 11)\n", encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "edge_sdk.cli.main", "doctor", "--json"],
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        check=False,
    )
    assert done.returncode == 3
    diagnosis = decode(done.stdout, Diagnosis, "diagnosis")
    found = {check.name: check for check in diagnosis.checks}["backend litert"]
    assert found.state in ("wrong", "missing")
    assert "SIGSEGV" in "".join(runtime.reason for runtime in diagnosis.profile.runtimes)


def test_an_engine_that_would_die_here_is_to_go() -> None:
    runtime = Runtime(backend="onnxruntime", version=None, reason="it would end this program")
    check = checkup.engine_check(runtime, here(onnxruntime="1.31.1"), ("avx",))
    assert check.state == "wrong"
    assert "avx" in check.found
    assert check.mend == "pip uninstall -y onnxruntime"


def test_tflite_runtime_beside_numpy_2_is_not_to_be_installed_once_more() -> None:
    mend = "pip install 'edgeloop[tflite]'   # in an environment of its own"
    reason = f"tflite-runtime 2.14.0 needs numpy 1, and here is numpy 2.4.6.\n  {mend}"
    runtime = Runtime(backend="tflite-runtime", version=None, reason=reason)
    check = checkup.engine_check(runtime, here(tflite_runtime="2.14.0", numpy="2.4.6"))
    assert (check.state, check.mend) == ("wrong", mend)


def test_an_engine_is_to_be_had_as_its_extra_is() -> None:
    runtime = Runtime(backend="tflite-runtime", version=None, reason="No module")
    extras = {"extra tflite": checkup.extra_check(here(), "tflite", "no wheel for Python 3.13")}
    (check,) = checkup.engine_checks(here(), [runtime], "x86_64", extras)
    assert (check.found, check.mend) == ("no wheel for Python 3.13", "")


# Extras


def test_an_extra_that_is_here() -> None:
    check = checkup.extra_check(here(onnxruntime="1.31.1"), "onnx")
    assert (check.state, check.found) == ("ok", "onnxruntime 1.31.1")


def test_an_extra_that_is_not_here() -> None:
    check = checkup.extra_check(here(), "onnx")
    assert (check.state, check.mend) == ("missing", "pip install 'edgeloop[onnx]'")


def test_an_extra_in_a_version_that_will_fail_is_wrong() -> None:
    check = checkup.extra_check(here(tflite_runtime="2.14.0", numpy="2.4.6"), "tflite")
    assert check.state == "wrong"
    assert check.found == "numpy is 2.4.6 where <2 is needed"
    assert check.mend == "pip install 'edgeloop[tflite]'"


def test_an_extra_that_would_change_what_is_here_gets_its_own_environment() -> None:
    check = checkup.extra_check(here(numpy="2.4.6"), "tflite")
    assert check.state == "missing"
    assert "numpy is 2.4.6" in check.found
    assert "environment of its own" in check.mend


@pytest.mark.parametrize(
    ("extra", "owner"),
    [("mediapipe", "opencv_python_headless"), ("vision", "opencv_contrib_python")],
)
def test_an_extra_that_would_bring_a_second_opencv_gets_its_own_environment(
    extra: str, owner: str
) -> None:
    check = checkup.extra_check(here(**{owner: "5.0"}), extra)
    assert check.state == "missing"
    assert "already owns cv2" in check.found
    assert "environment of its own" in check.mend


@pytest.mark.parametrize(
    ("extra", "machine", "python", "libc", "says"),
    [
        ("litert", "x86_64", (3, 11), (2, 36), ""),
        ("litert", "x86_64", (3, 11), (), ""),
        ("litert", "armv7l", (3, 11), (2, 36), "no wheel for armv7l"),
        ("litert", "x86_64", (3, 15), (2, 36), "no wheel for Python 3.15, only for 3.10 to 3.14"),
        ("litert", "aarch64", (3, 11), (2, 24), "needs glibc 2.27, not 2.24"),
        ("tflite", "armv7l", (3, 11), (2, 36), ""),
        ("tflite", "armv7l", (3, 13), (2, 36), "no wheel for Python 3.13"),
        ("onnx", "riscv64", (3, 11), (2, 36), ""),
    ],
)
def test_wheels_that_are_known_not_to_fit(
    extra: str, machine: str, python: tuple[int, int], libc: tuple[int, ...], says: str
) -> None:
    obstacle = checkup.unavailable(extra, machine, python, libc)
    assert says in obstacle
    assert bool(obstacle) is bool(says)
    if obstacle:
        check = checkup.extra_check(here(), extra, obstacle)
        assert (check.state, check.found, check.mend) == ("missing", obstacle, "")


def test_extras_cannot_be_looked_up_without_an_installation() -> None:
    snapshot = Snapshot({}, (), OURS, {})
    (check,) = checkup.extra_checks(snapshot, "x86_64", (3, 11), (2, 36))
    assert (check.name, check.mend) == ("edgeloop", "pip install -e .")


# Folders and devices


def test_a_cache_that_can_be_made(tmp_path: Path) -> None:
    folder = tmp_path / "deep" / "below" / "edgeloop"
    assert checkup.cache_check(folder) == Check(
        name="cache", state="ok", found=str(folder), area="machine"
    )
    assert not folder.exists()


def test_a_cache_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    check = checkup.cache_check(tmp_path / "file" / "edgeloop")
    assert check.state == "wrong"
    assert str(tmp_path / "file") in check.found
    assert "XDG_CACHE_HOME" in check.mend


def test_who_has_no_home_has_no_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    def nowhere() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(Path, "home", nowhere)
    check = checkup.cache_check(cache_folder())
    assert (check.state, check.found) == ("wrong", "none: this user has no home folder")
    assert "XDG_CACHE_HOME" in check.mend


def test_the_cache_is_where_xdg_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "/somewhere")
    assert cache_folder() == Path("/somewhere/edgeloop")
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", "/home/me")
    assert cache_folder() == Path("/home/me/.cache/edgeloop")


# All of it, here


def test_the_doctor_looks_at_this_machine_without_importing_anything_heavy() -> None:
    code = (
        "import sys; from edge_sdk.machine import checkup; from edge_sdk.spec import encode;"
        "sys.stdout.write(encode(checkup.examine()).decode());"
        "assert not {'tensorflow', 'keras', 'coremltools', 'cv2'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    diagnosis = decode(done.stdout, Diagnosis, "diagnosis")
    names = [check.name for check in diagnosis.checks]
    assert len(names) == len(set(names))
    assert {"python", "names", "cv2", "backend litert", "backend onnxruntime", "cache"} <= set(
        names
    )
    assert diagnosis.healthy is all(check.state != "wrong" for check in diagnosis.checks)


@pytest.mark.parametrize(("state", "code"), [("ok", 0), ("missing", 0), ("wrong", 3)])
def test_only_what_is_wrong_counts(monkeypatch: pytest.MonkeyPatch, state: str, code: int) -> None:
    real = checkup.examine()
    check = Check(name="thing", state=state, found="as it is", mend="mend it")  # type: ignore[arg-type]
    diagnosis = Diagnosis(profile=real.profile, checks=(check,), healthy=state != "wrong")
    monkeypatch.setattr(checkup, "examine", lambda: diagnosis)
    outcome = doctor.run(argparse.Namespace())
    assert outcome.exit_code == code
    assert "thing" in outcome.text
    assert "> mend it" in outcome.text
    assert json.loads(encode(diagnosis))["healthy"] is diagnosis.healthy

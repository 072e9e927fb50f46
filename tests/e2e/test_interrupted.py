"""Conversions that end before their time: interrupts, full disks, machines without an engine.

Each is a process of its own, since that is what is interrupted, limited or crippled.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import IO

import pytest
import tiny_keras
import tiny_models

from converters.engines import quiet
from converters.toolchains import home as home_of_toolchains
from converters.toolchains import install, toolchain
from converters.workshop import workshop
from edge_sdk.artifact import Artifact

ROOT = Path(__file__).resolve().parents[2]
EDGE = [sys.executable, "-m", "edge_sdk"]
LIMITED = """
import os, resource, sys
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]),) * 2)
os.execv(sys.argv[2], sys.argv[2:])
"""
OLD = b"what was there before"


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("model") / "m.keras"
    with quiet():
        tiny_keras.classifier().save(path)
    return path


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """Where the output goes; an older one is there already."""
    place = tmp_path / "place"
    place.mkdir()
    (place / "m.edge").write_bytes(OLD)
    return place


@pytest.fixture
def home(tmp_path: Path) -> dict[str, str]:
    """An environment whose folders for temporary and private files are ours to look into."""
    folders = {name: tmp_path / name.lower() for name in ("TMPDIR", "HOME")}
    for folder in folders.values():
        folder.mkdir()
    own = {name: str(folder) for name, folder in folders.items()}
    # What this process was told by importing ours, a new one has to be told anew.
    inherited = {k: v for k, v in os.environ.items() if k != "ORT_DISABLE_TELEMETRY"}
    return {**inherited, "PYTHONPATH": str(ROOT), **own}


def left_in(home: Mapping[str, str], name: str) -> list[str]:
    return sorted(str(path.relative_to(home[name])) for path in Path(home[name]).rglob("*"))


def start(home: Mapping[str, str], *words: object, room: int = -1) -> subprocess.Popen[str]:
    """The command in a process that may write files of ``room`` bytes at most."""
    return subprocess.Popen(
        [sys.executable, "-c", LIMITED, str(room), *EDGE, *map(str, words)],
        env=dict(home),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def told(stream: IO[str] | None, line: str) -> None:
    """Wait until it is on the stream."""
    assert stream is not None
    said = []
    for each in stream:
        said.append(each)
        if each.startswith(line):
            return
    pytest.fail(f"{line!r} was never said: {''.join(said)}")


@pytest.mark.parametrize(
    ("number", "step"),
    [
        (signal.SIGINT, "open the source"),
        (signal.SIGTERM, "make tflite-fp32"),
        (signal.SIGINT, "make coreml-fp32"),
    ],
)
def test_an_interrupt_leaves_nothing(model, place, home, number, step):
    every = ["--formats", "tflite,coreml,onnx", "--recipe", "fp32"]
    with start(home, "convert", model, "-o", place / "m.edge", *every) as process:
        told(process.stderr, step)
        process.send_signal(number)
        out, err = process.communicate()
    assert process.returncode == 130, err
    assert out == ""
    assert "Interrupted" in err
    assert "Traceback" not in err
    assert (place / "m.edge").read_bytes() == OLD
    assert [path.name for path in place.iterdir()] == ["m.edge"]
    assert left_in(home, "TMPDIR") == []


def test_a_kill_leaves_the_old_artifact(model, place, home):
    with start(home, "convert", model, "-o", place / "m.edge") as process:
        told(process.stderr, "make tflite-fp16")
        process.kill()
        process.communicate()
    assert process.returncode == -signal.SIGKILL
    assert (place / "m.edge").read_bytes() == OLD


STEPS = ("open the source", "make tflite-fp32", "compare with", "pack the artifact")


@pytest.mark.parametrize("step", STEPS)
def test_a_kill_at_a_random_moment(model, place, home, step):
    """No part of an artifact, under any name; the folder of temporary files goes with the next."""
    words = ["convert", model, "-o", place / "m.edge", "--recipe", "fp32", "--no-cache"]
    with start(home, *words) as process:
        told(process.stderr, step)
        time.sleep(random.Random(step).uniform(0, 0.2))
        process.kill()
        process.communicate()
    assert process.returncode in (-signal.SIGKILL, 0)
    # The kill may come when all is done but the process's own end.
    assert (place / "m.edge").read_bytes() == OLD or _is_whole(place / "m.edge")
    assert [path.name for path in place.iterdir()] == ["m.edge"]
    assert all(path.name.startswith("edgeloop-work-") for path in Path(home["TMPDIR"]).iterdir())
    tidied(home)


def tidied(home: Mapping[str, str]) -> None:
    """What the next start does, first of all."""
    tidy = [sys.executable, "-c", "from converters.workshop import tidied\nwith tidied(): pass"]
    subprocess.run(tidy, env=home, check=True)
    assert left_in(home, "TMPDIR") == []


def test_a_kill_takes_the_toolchains_engine_along(place, home, tmp_path):
    """onnx2tf is a process of its own, which would go on for minutes with nobody to wait for it."""
    install(toolchain("onnx2tf"))
    model = tmp_path / "m.onnx"
    model.write_bytes(tiny_models.onnx_matrices(1, 16))
    chains = {"EDGELOOP_TOOLCHAINS": str(home_of_toolchains())}
    words = ["convert", model, "-o", place / "m.edge", "--formats", "tflite", "--recipe", "fp32"]
    with start({**home, **chains}, *words, "--no-cache") as process:
        told(process.stderr, "make tflite-fp32")
        driver = running(home["TMPDIR"])
        process.kill()
        process.communicate()
    assert process.returncode == -signal.SIGKILL
    deadline = time.monotonic() + 5
    while Path(f"/proc/{driver}").exists():
        assert time.monotonic() < deadline, "onnx2tf goes on"
        time.sleep(0.02)
    assert (place / "m.edge").read_bytes() == OLD
    assert left_in(home, "TMPDIR") != []
    tidied(home)


def running(folder: str) -> int:
    """The process of an engine's driver that works in that folder, as soon as there is one."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        for path in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                words = (path / "cmdline").read_text()
                if "drive_onnx2tf.py" in words and folder in words:
                    return int(path.name)
        time.sleep(0.02)
    pytest.fail("the engine was never started")


def _is_whole(path: Path) -> bool:
    """Whether it is an artifact with nothing missing; raises ArtifactError if it is none."""
    with Artifact(path) as artifact:
        return bool(list(artifact.verify_digests()))


def test_a_folder_in_use_is_not_swept(home, tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", home["TMPDIR"])
    with workshop() as mine:
        os.utime(mine, (0, 0))
        with workshop() as other:
            assert mine.is_dir()
            assert other.is_dir()


def test_a_conversion_leaves_the_artifact_and_nothing_else(model, place, home):
    """Nor anything at home, where an engine would keep a name for this machine."""
    every = ["--formats", "tflite,coreml,onnx", "--recipe", "fp32"]
    with start(home, "convert", model, "-o", place / "m.edge", *every) as process:
        _, err = process.communicate()
    assert process.returncode == 0, err
    assert (place / "m.edge").read_bytes() != OLD
    assert [path.name for path in place.iterdir()] == ["m.edge"]
    assert left_in(home, "TMPDIR") == []
    assert [name for name in left_in(home, "HOME") if "Microsoft" in name] == []


@pytest.mark.parametrize(
    ("format_", "room", "what"),
    [
        ("tflite", 4096, "its temporary files"),
        ("coreml", 4096, "its temporary files"),
        ("tflite", 40_000, "m.edge: File too large"),
    ],
)
def test_a_full_disk(model, place, home, format_, room, what):
    words = ["convert", model, "-o", place / "m.edge", "--formats", format_, "--recipe", "fp32"]
    with start(home, *words, room=room) as process:
        out, err = process.communicate()
    assert process.returncode == 3, err
    assert out == ""
    assert what in err
    assert "df -h" in err
    # coremltools leaves a file that fails once more when Python closes it; Python tells of that.
    assert "Traceback" not in err.partition("Exception ignored in")[0]
    assert (place / "m.edge").read_bytes() == OLD
    assert [path.name for path in place.iterdir()] == ["m.edge"]
    assert left_in(home, "TMPDIR") == []


CRIPPLED = """
import sys

class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("tensorflow", "keras"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Missing())
from edge_sdk.cli.main import main
sys.exit(main(sys.argv[1:]))
"""


def test_a_machine_without_the_extra(model, place, home):
    done = subprocess.run(
        [sys.executable, "-c", CRIPPLED, "convert", model, "-o", place / "m.edge"],
        env=home,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 3
    assert done.stdout == ""
    assert done.stderr.splitlines()[-2:] == [
        "edge: This needs keras, which is not usable here: No module named 'keras'",
        "      pip install 'edgeloop[convert]'",
    ]
    assert (place / "m.edge").read_bytes() == OLD

"""Engines are kept off people's terminals, and nobody else is: descriptor 2 is everybody's."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from engines import HERE, Engine

from edge_sdk.backends.notices import complaints, overheard, without_notices

NOTICE = b"INFO: Created TensorFlow Lite XNNPACK delegate for CPU.\n"
LOG = (
    NOTICE,
    b"E0000 00:00:1796056474.207813 31819 delegate_webgpu.cc:736] No environment\n",
    "└ Could not load it\n".encode(),
    b"2026-11-30 16:55:04.1 [E:onnxruntime:Default, provider.cc:12] Failed to load library\n",
    b"CALL_ONCE: Operation is not supported.\n",
    b"1 operations will run on the GPU, and the remaining 4 operations will run on the CPU.\n",
)
"""As LiteRT and ONNX Runtime write it."""
OTHERS = (
    b"frame 7 has no face\n",
    b"INFO:camera:frame 8\n",
    b"2026-11-30 16:55:04,123 WARNING camera: dropped\n",
    b"Traceback (most recent call last):\n",
    b"half a line",
)


def test_what_others_write_is_passed_on(capfd: pytest.CaptureFixture[str]) -> None:
    with overheard() as said:
        for line in (*LOG, *OTHERS):
            os.write(2, line)
        assert capfd.readouterr().err == ""
    assert said == list(LOG)
    assert capfd.readouterr().err.encode() == b"".join(OTHERS)
    assert "delegate_webgpu" in complaints(said)
    assert "frame" not in complaints(said)


def test_what_an_engine_says_beyond_its_notice_is_passed_on(
    capfd: pytest.CaptureFixture[str],
) -> None:
    with without_notices():
        os.write(2, NOTICE + b"ERROR: it is broken\n" + OTHERS[0])
    assert sorted(capfd.readouterr().err.splitlines()) == [
        "ERROR: it is broken",
        "frame 7 has no face",
    ]


def test_inside_of_each_other(capfd: pytest.CaptureFixture[str]) -> None:
    with overheard() as outer:
        os.write(2, LOG[0])
        with overheard() as inner:
            os.write(2, LOG[1] + OTHERS[0])
    assert (outer, inner) == ([LOG[0]], [LOG[1]])
    assert capfd.readouterr().err.encode() == OTHERS[0]


TALKS = """
import logging, sys, threading
import edge_sdk
logging.basicConfig(format="%(message)s")
done, said = threading.Event(), 0
def talk():
    global said
    while not done.wait(0.001):
        said += 1
        logging.warning("frame %d", said)
talker = threading.Thread(target=talk)
talker.start()
for _ in range(3):
    edge_sdk.load(sys.argv[1], backend=sys.argv[2]).close()
done.set()
talker.join()
print(said)
"""


@pytest.mark.parametrize("engine", HERE.values(), ids=HERE.keys())
def test_a_programs_log_is_whole_though_models_are_loaded(engine: Engine, tmp_path: Path) -> None:
    path = tmp_path / f"model{engine.suffix}"
    path.write_bytes(engine.affine(1))
    done = subprocess.run(
        [sys.executable, "-c", TALKS, path, engine.name],
        capture_output=True,
        text=True,
        check=True,
        timeout=100,
    )
    # What was held back while an engine was heard may come behind what was said just after.
    frames = [line for line in done.stderr.splitlines() if line.startswith("frame ")]
    assert sorted(frames) == sorted(f"frame {n + 1}" for n in range(int(done.stdout.split()[-1])))

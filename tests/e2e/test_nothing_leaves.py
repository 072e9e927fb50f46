"""Running a model writes nothing into anybody's home and tells nobody."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import tiny_models

RUN = """
import sys, numpy, edge_sdk
with edge_sdk.load(sys.argv[1]) as session:
    name = session.signature.inputs[0].name
    session.run({name: numpy.zeros((1, 4), numpy.float32)})
"""


def test_onnx_runtime_keeps_no_diary(tmp_path: Path) -> None:
    """Its telemetry is on by default, and writes below HOME and TMPDIR before it sends."""
    model = tmp_path / "m.onnx"
    model.write_bytes(tiny_models.onnx_affine())
    home, temporary = tmp_path / "home", tmp_path / "tmp"
    home.mkdir()
    temporary.mkdir()
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("ORT_", "XDG_"))}
    environment |= {"HOME": str(home), "TMPDIR": str(temporary)}
    done = subprocess.run(
        [sys.executable, "-c", RUN, model], env=environment, capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr.decode()
    assert not [*home.rglob("*"), *temporary.rglob("*")]

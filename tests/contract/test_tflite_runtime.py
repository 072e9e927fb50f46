"""tflite-runtime, in a venv of its own with numpy 1, held to the same contract suite."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
from tiny_models import tflite_affine, tflite_quantized

from edge_sdk import UsageError
from edge_sdk.backends.tflite_bounds import check

ROOT = Path(__file__).resolve().parents[2]


def test_the_contract_suite_passes_there() -> None:
    made = subprocess.run(
        [ROOT / "scripts" / "tflite-runtime"], capture_output=True, text=True, check=False
    )
    if made.returncode != 0:
        pytest.skip(made.stderr.strip())
    suite = [str(ROOT / "tests/contract" / f"test_{name}.py") for name in ("backends", "sessions")]
    command = [made.stdout.strip(), "-m", "pytest", "-q", "-p", "no:cacheprovider", *suite]
    done = subprocess.run(
        [*command, "-k", "tflite-runtime"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-3000:]
    passed = re.search(r"(\d+) passed", done.stdout)
    assert passed is not None
    assert int(passed[1]) > 60
    assert "skipped" not in done.stdout


@pytest.mark.parametrize("whole", [tflite_affine(), tflite_affine(-1), tflite_quantized()])
def test_a_file_cut_anywhere_is_seen_before_the_engine_dies_of_it(whole: bytes) -> None:
    check(whole)
    for length in range(len(whole) - 4):
        with pytest.raises(UsageError):
            check(whole[:length])


def test_a_file_is_checked_in_place(tmp_path: Path) -> None:
    path = tmp_path / "model.tflite"
    path.write_bytes(tflite_affine())
    check(path)
    path.write_bytes(b"")
    with pytest.raises(UsageError):
        check(path)

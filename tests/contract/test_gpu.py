"""The GPU for real: LiteRT's WebGPU accelerator over Vulkan, on SwiftShader's software adapter.

Each test is a process of its own: a Vulkan loader is found when a process starts, and a graphics
environment, once made or once failed, stays with it.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from tiny_models import TfLite, affine, tfl, tflite_affine, tflite_unknown

X = np.array([[1, -2, 3, 0.5]], np.float32)
ROOT = Path(__file__).resolve().parents[2]

RUN = """
import json, sys
import numpy as np
import edge_sdk
path, delegates, strict = sys.argv[1], json.loads(sys.argv[2]), len(sys.argv) > 3
x = np.array([[1, -2, 3, 0.5]], np.float32)
try:
    with edge_sdk.load(path, delegates=delegates, strict=strict) as session:
        (y,) = session.run({"x": x}).values()
        (again,) = session.run({"x": 2 * x}).values()
        placement = session.placement
        attempts = {
            a.delegate: [a.active, a.operations, a.reason, a.driver] for a in placement.attempts
        }
        told = {"y": y.tolist(), "again": again.tolist(), "attempts": attempts,
                "backend": placement.backend, "fallback": placement.fallback}
except edge_sdk.EdgeError as error:
    told = {"error": type(error).__name__, "message": error.message, "hint": error.hint}
print(json.dumps(told))
"""


@pytest.fixture(scope="session")
def adapter() -> dict[str, str]:
    """The environment in which there is a graphics adapter."""
    script = ROOT / "scripts" / "swiftshader"
    done = subprocess.run([script], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        pytest.skip(done.stderr.strip())
    icd = Path(done.stdout.strip())
    return {"VK_ICD_FILENAMES": str(icd), "LD_LIBRARY_PATH": str(icd.parent)}


NO_ADAPTER = {"VK_ICD_FILENAMES": "/nowhere.json", "VK_DRIVER_FILES": "/nowhere.json"}


def told(
    path: Path, delegates: list[str], environment: dict[str, str], *strict: str
) -> dict[str, object]:
    done = subprocess.run(
        [sys.executable, "-c", RUN, path, json.dumps(delegates), *strict],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=100,
        check=True,
    )
    assert "INFO" not in done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "affine.tflite"
    path.write_bytes(tflite_affine())
    return path


def partly(path: Path) -> Path:
    """TANH, ZEROS_LIKE, ADD: the second is none of the GPU's."""
    made = TfLite()
    x, bent, zero, y = (made.tensor(name, (1, 4)) for name in ("x", "bent", "zero", "y"))
    made.operator("TANH", [x], [bent])
    made.operator("ZEROS_LIKE", [bent], [zero])
    made.operator("ADD", [zero, x], [y], tfl.AddOptionsT())
    path.write_bytes(made.build([x], [y]))
    return path


def test_it_takes_the_whole_model(model: Path, adapter: dict[str, str]) -> None:
    found = told(model, ["gpu?enforce_f32=true"], adapter, "strict")
    np.testing.assert_allclose(found["y"], affine(X), rtol=1e-5)
    np.testing.assert_allclose(found["again"], affine(2 * X), rtol=1e-5)
    active, operations, reason, driver = found["attempts"]["gpu"]
    assert (active, operations) == (True, 2)
    assert "a software adapter, no graphics processor" in reason
    assert "SwiftShader" in driver
    assert "libvk_swiftshader.so " in driver  # and which build of it
    assert found["fallback"] == ""


def test_what_it_leaves_is_told_and_runs(tmp_path: Path, adapter: dict[str, str]) -> None:
    found = told(partly(tmp_path / "partly.tflite"), ["gpu", "xnnpack"], adapter)
    np.testing.assert_allclose(found["y"], X, atol=1e-2)
    took = {name: values[1] for name, values in found["attempts"].items()}
    assert took["gpu"] >= 1
    assert sum(took.values()) == 3
    assert "of 3 operations" in found["fallback"]


def test_without_an_adapter_the_next_takes_its_place(model: Path) -> None:
    found = told(model, ["gpu", "xnnpack"], NO_ADAPTER)
    np.testing.assert_allclose(found["y"], affine(X), rtol=1e-6)
    assert found["backend"] == "litert"
    assert found["attempts"]["xnnpack"][:2] == [True, 2]
    active, _, reason, _ = found["attempts"]["gpu"]
    assert not active
    assert "No adapters found" in reason


def test_strict_says_that_there_is_no_adapter(model: Path) -> None:
    found = told(model, ["gpu", "xnnpack"], NO_ADAPTER, "strict")
    assert found["error"] == "UnavailableError"
    assert "'gpu' is not active" in found["message"]
    assert found["hint"]


@pytest.mark.parametrize(
    ("delegate", "says"),
    [("gpu?enforce_f23=true", "no option 'enforce_f23'"), ("gpu?enforce_f32=yes", "on or off")],
)
def test_a_wrong_option_is_a_mistake(model: Path, delegate: str, says: str) -> None:
    found = told(model, [delegate, "xnnpack"], NO_ADAPTER)
    assert found["error"] == "UsageError"
    assert says in found["message"]
    assert "enforce_f32" in found["hint"]


def test_a_model_that_nothing_runs_is_refused(tmp_path: Path, adapter: dict[str, str]) -> None:
    path = tmp_path / "unknown.tflite"
    path.write_bytes(tflite_unknown())
    found = told(path, ["gpu"], adapter)
    assert found["error"] == "UnavailableError"
    assert "Frobnicate" in found["message"]

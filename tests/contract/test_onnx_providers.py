"""Execution providers for real, each in a process of its own: plugins, and OpenVINO built in."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from tiny_models import affine, onnx_affine, onnx_unknown

import edge_sdk
from edge_sdk import UsageError
from edge_sdk.backends.delegates import NAMES, ONNX_OPTIONS, ONNX_PROVIDERS

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
        placement = session.placement
        told = {"y": y.tolist(), "fallback": placement.fallback, "attempts": {
            a.delegate: [a.active, a.operations, a.reason, a.driver] for a in placement.attempts
        }}
except edge_sdk.EdgeError as error:
    told = {"error": type(error).__name__, "message": error.message, "hint": error.hint}
print(json.dumps(told))
"""


def fetched(script: str, *arguments: str) -> Path:
    done = subprocess.run(
        [ROOT / "scripts" / script, *arguments], capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        pytest.skip(done.stderr.strip())
    return Path(done.stdout.strip())


def told(
    path: Path, delegates: list[str], folder: Path, *strict: str, **environment: str
) -> dict[str, object]:
    paths = os.pathsep.join(map(str, (folder, ROOT)))
    done = subprocess.run(
        [sys.executable, "-c", RUN, path, json.dumps(delegates), *strict],
        env={**os.environ, "PYTHONPATH": paths, **environment},
        capture_output=True,
        text=True,
        timeout=100,
        check=True,
    )
    (line,) = done.stdout.splitlines()  # ONNX Runtime's own "Falling back" would be another
    return json.loads(line)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "affine.onnx"
    path.write_bytes(onnx_affine())
    return path


@pytest.fixture(scope="session")
def adapter() -> dict[str, str]:
    icd = fetched("swiftshader")
    return {
        "VK_ICD_FILENAMES": str(icd),
        "LD_LIBRARY_PATH": str(icd.parent),
        "ORT_WEBGPU_EP_ALLOW_SOFTWARE_ADAPTER": "1",
    }


@pytest.fixture(scope="session")
def webgpu() -> Path:
    return fetched("onnx-providers", "webgpu")


def test_the_webgpu_plugin_takes_the_model(
    model: Path, webgpu: Path, adapter: dict[str, str]
) -> None:
    found = told(model, ["gpu"], webgpu, "strict", **adapter)
    np.testing.assert_allclose(found["y"], affine(X), rtol=1e-5)
    active, operations, reason, driver = found["attempts"]["gpu"]
    assert (active, operations) == (True, 2)
    assert reason == "on a software adapter, no graphics processor"
    assert "onnxruntime-ep-webgpu 0.4.0" in driver
    assert "libvk_swiftshader.so " in driver


def test_the_webgpu_plugin_without_a_device(model: Path, webgpu: Path) -> None:
    found = told(model, ["gpu", "cpu"], webgpu)
    np.testing.assert_allclose(found["y"], affine(X), rtol=1e-6)
    active, _, reason, _ = found["attempts"]["gpu"]
    assert active or "finds no device here" in reason


def test_the_webgpu_plugin_whose_adapter_fails(model: Path, webgpu: Path) -> None:
    nowhere = {"VK_ICD_FILENAMES": "/nowhere", "ORT_WEBGPU_EP_ALLOW_SOFTWARE_ADAPTER": "1"}
    found = told(model, ["gpu", "cpu"], webgpu, **nowhere)
    np.testing.assert_allclose(found["y"], affine(X), rtol=1e-6)
    assert "WebGPU adapter" in found["attempts"]["gpu"][2]
    assert found["attempts"]["cpu"][:2] == [True, 2]
    assert "2 of 2 operations (100 %) fall back to cpu" in found["fallback"]
    refused = told(model, ["gpu", "cpu"], webgpu, "strict", **nowhere)
    assert refused["error"] == "UnavailableError"


def test_a_bad_model_is_not_the_providers_fault(
    tmp_path: Path, webgpu: Path, adapter: dict[str, str]
) -> None:
    path = tmp_path / "unknown.onnx"
    path.write_bytes(onnx_unknown())
    found = told(path, ["gpu", "cpu"], webgpu, **adapter)
    assert "Frobnicate" in found["message"]


def test_the_openvino_plugin_takes_the_model_or_says_what_it_wants(model: Path) -> None:
    found = told(model, ["openvino", "cpu"], fetched("onnx-providers", "openvino-plugin"))
    np.testing.assert_allclose(found["y"], affine(X), rtol=1e-4)
    active, operations, reason, _ = found["attempts"]["openvino"]
    assert (active, operations) == (True, 2) or "it takes Intel hardware" in reason


def test_openvino_built_in(model: Path) -> None:
    folder = fetched("onnx-providers", "openvino")
    found = told(model, ["openvino?device_type=CPU&num_of_threads=1"], folder, "strict")
    np.testing.assert_allclose(found["y"], affine(X), rtol=1e-4)
    assert found["attempts"]["openvino"][:2] == [True, 2]
    wrong = told(model, ["openvino?divice_type=CPU"], folder)
    assert wrong["error"] == "UsageError"
    assert "device_type" in wrong["hint"]


@pytest.mark.parametrize("name", sorted(set(ONNX_PROVIDERS) - {"cpu"}))
def test_the_absent_say_what_is_missing(model: Path, name: str) -> None:
    with edge_sdk.load(model, delegates=[name, "cpu"]) as session:
        (refused,) = session.placement.refused
    assert ONNX_PROVIDERS[name] in refused.reason
    if name in ("gpu", "openvino", "qnn"):
        assert "pip install onnxruntime-" in refused.reason


@pytest.mark.parametrize(
    ("delegate", "provider", "options"),
    [
        ("cuda?device_id=1&use_tf32=0", "CUDA", {"device_id": "1", "use_tf32": "0"}),
        ("tensorrt?trt_fp16_enable=1", "Tensorrt", {"trt_fp16_enable": "1"}),
        ("qnn?backend_path=libQnnHtp.so", "QNN", {"backend_path": "libQnnHtp.so"}),
        ("coreml?MLComputeUnits=ALL", "CoreML", {"MLComputeUnits": "ALL"}),
        ("nnapi?NNAPI_FLAGS=1", "Nnapi", {"NNAPI_FLAGS": "1"}),
        ("xnnpack?intra_op_num_threads=2", "Xnnpack", {"intra_op_num_threads": "2"}),
    ],
    ids=lambda value: value.partition("?")[0] if isinstance(value, str) else None,
)
def test_a_name_is_a_provider_and_hands_on_its_options(
    model: Path,
    monkeypatch: pytest.MonkeyPatch,
    delegate: str,
    provider: str,
    options: dict[str, str],
) -> None:
    """What no machine of ours has is stood for by a session that records what it is given."""
    import onnxruntime

    given: list[tuple[list[str], list[dict[str, str]]]] = []
    cpu = "CPUExecutionProvider"

    class Recorder(onnxruntime.InferenceSession):
        def __init__(self, *args: object, **kinds: object) -> None:
            given.append((kinds.pop("providers"), kinds.pop("provider_options")))  # type: ignore[arg-type]
            super().__init__(*args, **kinds, providers=[cpu])

    wanted = f"{provider}ExecutionProvider"
    monkeypatch.setattr(onnxruntime, "InferenceSession", Recorder)
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: [wanted, cpu])
    with edge_sdk.load(model, delegates=[delegate, "cpu"]) as session:
        np.testing.assert_allclose(session.run({"x": X})["y"], affine(X), rtol=1e-6)
        (refused,) = session.placement.refused
    assert given == [([wanted, cpu], [options, {}])]
    assert refused.delegate == delegate.partition("?")[0]
    assert "gave it up" in refused.reason  # ONNX Runtime has made the session without it


@pytest.mark.parametrize("name", sorted(ONNX_OPTIONS))
def test_an_option_that_a_provider_does_not_have(model: Path, name: str) -> None:
    assert name in NAMES
    with pytest.raises(UsageError, match="no option 'colour'"):
        edge_sdk.load(model, delegates=[f"{name}?colour=red", "cpu"])

"""Delegates by name: reading a request, and what each name means to each engine.

A delegate is code inside an engine that takes operations of a model away from the engine's plain
CPU kernels. edgeloop has one name for each kind of hardware path; engines have theirs.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from urllib.parse import parse_qsl

from edge_sdk.backends.base import DelegateRequest
from edge_sdk.errors import UsageError
from edge_sdk.text import nearest

NAMES = (
    "gpu",
    "nnapi",
    "edgetpu",
    "qnn",
    "tensorrt",
    "cuda",
    "openvino",
    "coreml",
    "xnnpack",
    "cpu",
)

TFLITE_LIBRARIES = {
    "edgetpu": "libedgetpu.so.1",
    "qnn": "libQnnTFLiteDelegate.so",
    "gpu": "libtensorflowlite_gpu_delegate.so",
}
"""Delegates that a TFLite engine loads as a shared library, under the name their makers ship."""

ONNX_PROVIDERS = {
    "tensorrt": "TensorrtExecutionProvider",
    "cuda": "CUDAExecutionProvider",
    "qnn": "QNNExecutionProvider",
    "openvino": "OpenVINOExecutionProvider",
    "coreml": "CoreMLExecutionProvider",
    "nnapi": "NnapiExecutionProvider",
    "xnnpack": "XnnpackExecutionProvider",
    "gpu": "WebGpuExecutionProvider",
    "cpu": "CPUExecutionProvider",
}
"""ONNX Runtime's names for them."""


def read_requests(requested: Iterable[str]) -> tuple[DelegateRequest, ...]:
    """Read names and ``path/to/lib.so?option=value&…`` entries, in order, without repetition.

    Raises:
        UsageError: a name that is none, or options on a name that takes none.
    """
    if isinstance(requested, str):
        raise UsageError(
            f"The delegates are text: {requested!r}.", f"Give a list: {requested.split(',')!r}"
        )
    requests: dict[str, DelegateRequest] = {}
    for entry in requested:
        name, _, query = entry.strip().partition("?")
        library = "/" in name or ".so" in name
        if not library and name not in NAMES:
            raise UsageError(
                f"There is no delegate {name!r}.",
                f"{nearest(name, NAMES)} An external one is a path: path/to/lib.so?option=value",
            )
        if query and not library:
            raise UsageError(
                f"The delegate {name!r} takes no options here, but got {query!r}.",
                "Options belong to a library: path/to/lib.so?option=value",
            )
        try:
            options = dict(parse_qsl(query, keep_blank_values=True, strict_parsing=bool(query)))
        except ValueError as error:
            raise UsageError(
                f"The options of {name!r} cannot be read: {query!r}.",
                "Write them as path/to/lib.so?option=value&other=value",
            ) from error
        requests.setdefault(name, DelegateRequest(name=name, library=library, options=options))
    return tuple(requests.values())


def wants_only_plain_cpu(requests: Sequence[DelegateRequest]) -> bool:
    """Whether the request names ``cpu`` without ``xnnpack``: the engine's plain kernels alone.

    In every other case a failed delegate must not leave a slower CPU path behind, so XNNPACK, where
    the engine has it, takes what the others leave.
    """
    names = {request.name for request in requests}
    return "cpu" in names and "xnnpack" not in names

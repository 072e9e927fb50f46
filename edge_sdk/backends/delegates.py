"""Delegates by name: reading a request, and what each name means to each engine.

A delegate is code inside an engine that takes operations of a model away from the engine's plain
CPU kernels. edgeloop has one name for each kind of hardware path; engines have theirs.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterable, Sequence
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

TFLITE_OPTIONS = {
    "edgetpu": ("device", "Performance", "Usb.AlwaysDfu", "Usb.MaxBulkInQueueLength"),
    "qnn": (
        *("backend_type", "library_path", "skel_library_dir", "log_level", "profiling"),
        *("htp_performance_mode", "htp_precision", "htp_pd_session", "htp_device_id"),
        *("gpu_performance_mode", "gpu_precision", "dsp_performance_mode", "cache_dir"),
        "model_token",
    ),
    "gpu": (
        *("is_precision_loss_allowed", "inference_preference", "inference_priority1"),
        *("inference_priority2", "inference_priority3", "serialization_dir", "model_token"),
    ),
}
"""What their makers document; a library takes any text, and ignores what it does not know."""

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

ONNX_OPTIONS = {
    "tensorrt": (
        *("device_id", "trt_fp16_enable", "trt_int8_enable", "trt_max_workspace_size"),
        *("trt_engine_cache_enable", "trt_engine_cache_path", "trt_timing_cache_enable"),
        *(
            "trt_timing_cache_path",
            "trt_dla_enable",
            "trt_dla_core",
            "trt_max_partition_iterations",
        ),
        *("trt_min_subgraph_size", "trt_builder_optimization_level"),
    ),
    "cuda": (
        *("device_id", "gpu_mem_limit", "arena_extend_strategy", "cudnn_conv_algo_search"),
        *("do_copy_in_default_stream", "enable_cuda_graph", "use_tf32", "prefer_nhwc"),
    ),
    "qnn": (
        *("backend_path", "backend_type", "profiling_level", "rpc_control_latency", "vtcm_mb"),
        *("htp_performance_mode", "htp_graph_finalization_optimization_mode", "soc_model"),
        *("htp_arch", "device_id", "enable_htp_fp16_precision", "qnn_context_priority"),
    ),
    "openvino": (
        *("device_type", "precision", "num_of_threads", "num_streams", "cache_dir"),
        *("enable_opencl_throttling", "disable_dynamic_shapes", "model_priority", "load_config"),
    ),
    "coreml": (
        *("ModelFormat", "MLComputeUnits", "RequireStaticInputShapes", "EnableOnSubgraphs"),
        *("SpecializationStrategy", "AllowLowPrecisionAccumulationOnGPU", "ModelCacheDirectory"),
    ),
    "xnnpack": ("intra_op_num_threads",),
    "nnapi": ("NNAPI_FLAGS",),
    "gpu": (
        *("preferredLayout", "enableGraphCapture", "powerPreference", "validationMode"),
        *("storageBufferCacheMode", "uniformBufferCacheMode", "forceCpuNodeNames", "deviceId"),
    ),
}
"""What ONNX Runtime documents of each provider; it refuses by itself what it does not know."""


OWN = ("xnnpack", "cpu")
"""Engines' own kernels, which are always there: what a list names after them is not tried."""

EARLIER = "an earlier delegate of the list is active"
"""Why a request is not tried any more."""

AUTO = "auto"
"""Asked for alone: what is fastest here is found out."""


def asks_for_auto(requested: Iterable[str]) -> bool:
    """Whether it is left to edgeloop which delegates are taken.

    Raises:
        UsageError: it is, and is not.
    """
    names = [requested] if isinstance(requested, str) else list(requested)
    if AUTO in names and len(names) > 1:
        raise UsageError(
            f"{AUTO!r} chooses by itself, and stands alone: {', '.join(names)}.",
            f"--delegate {AUTO}",
        )
    return names == [AUTO]


def read_requests(
    requested: Iterable[str | os.PathLike[str]],
) -> tuple[DelegateRequest, ...]:
    """Read ``name?option=value&…`` and ``path/to/lib.so?…`` entries, in order, without repetition.

    Which options a name has is its engine's affair: ``known_options`` is asked when a model is
    opened.

    Raises:
        UsageError: a name that is none, or options that cannot be read.
    """
    if isinstance(requested, str):
        raise UsageError(
            f"The delegates are text: {requested!r}.", f"Give a list: {requested.split(',')!r}"
        )
    requests: dict[str, DelegateRequest] = {}
    for entry in requested:
        text = os.fspath(entry) if isinstance(entry, os.PathLike) else entry
        if not isinstance(text, str):
            raise UsageError(
                f"A delegate is a name or a path, not {entry!r}.",
                f"There are: {', '.join(NAMES)}; or path/to/lib.so?option=value",
            )
        name, _, query = text.strip().partition("?")
        library = "/" in name or ".so" in name
        if not library and name not in NAMES:
            raise UsageError(
                f"There is no delegate {name!r}.",
                f"{nearest(name, NAMES)} An external one is a path: path/to/lib.so?option=value",
            )
        try:
            options = dict(parse_qsl(query, keep_blank_values=True, strict_parsing=bool(query)))
        except ValueError as error:
            raise UsageError(
                f"The options of {name!r} cannot be read: {query!r}.",
                f"Write them as {name}?option=value&other=value",
            ) from error
        requests.setdefault(name, DelegateRequest(name=name, library=library, options=options))
    return tuple(requests.values())


def known_options(engine: str, request: DelegateRequest, known: Collection[str]) -> dict[str, str]:
    """The request's options, all of them known to the engine.

    Raises:
        UsageError: one is not.
    """
    for option in request.options:
        if option not in known:
            here = f"{request.name!r} of {engine}"
            raise UsageError(
                f"The delegate {here} has no option {option!r}."
                if known
                else f"The delegate {here} takes no options, but got {option!r}.",
                nearest(option, sorted(known)) if known else f"Write it as {request.name}.",
            )
    return request.options


def check_options(
    engine: str, requests: Sequence[DelegateRequest], known: Callable[[str], Collection[str]]
) -> None:
    """Refuse options that an engine does not know; a library's own are its affair.

    Args:
        engine: the backend's name.
        requests: what is asked for.
        known: the options that a delegate's name may carry with it.

    Raises:
        UsageError: it does not know one.
    """
    for request in requests:
        if not request.library:
            known_options(engine, request, known(request.name))


def truth(request: DelegateRequest, option: str) -> bool:
    """An option that is on or off; off where it is not given.

    Raises:
        UsageError: it is neither ``true`` nor ``false``.
    """
    text = request.options.get(option, "false")
    if text not in ("true", "false"):
        raise UsageError(
            f"The option {option!r} of {request.name!r} is on or off, not {text!r}.",
            f"Write {request.name}?{option}=true or {option}=false.",
        )
    return text == "true"


def wants_only_plain_cpu(requests: Sequence[DelegateRequest]) -> bool:
    """Whether the request names ``cpu`` without ``xnnpack``: the engine's plain kernels alone.

    In every other case a failed delegate must not leave a slower CPU path behind, so XNNPACK, where
    the engine has it, takes what the others leave.
    """
    names = {request.name for request in requests}
    return "cpu" in names and "xnnpack" not in names

"""Inference engines, one file each, behind one seam (``edge_sdk.backends.base``)."""

from __future__ import annotations

from importlib import import_module
from typing import cast

from edge_sdk.backends.base import Array, Backend, DelegateRequest, LoadedModel
from edge_sdk.errors import UnavailableError, UsageError
from edge_sdk.spec import Format
from edge_sdk.text import nearest

MODULES: dict[str, str] = {
    "litert": "edge_sdk.backends.litert",
    "litert-compiled": "edge_sdk.backends.litert_compiled",
    "tflite-runtime": "edge_sdk.backends.tflite_runtime",
    "tensorflow": "edge_sdk.backends.tensorflow",
    "onnxruntime": "edge_sdk.backends.onnxruntime",
    "coreml": "edge_sdk.backends.coreml",
}
"""Backend name to module. Order is preference: the first that reads a format and works is taken."""

READERS: dict[Format, tuple[str, ...]] = {
    "tflite": ("litert", "litert-compiled", "tflite-runtime", "tensorflow"),
    "onnx": ("onnxruntime",),
    "coreml": ("coreml",),
}
"""Which of them read a format, in the same order; so that a module is imported when it is asked."""

__all__ = [
    "MODULES",
    "READERS",
    "Array",
    "Backend",
    "DelegateRequest",
    "LoadedModel",
    "backend",
    "backend_for",
    "register",
]


def register(name: str, module: str) -> None:
    """Make an engine of your own known in this process, after all others.

    Args:
        name: of the backend.
        module: whose ``BACKEND`` is one (``edge_sdk.backends.base`` says what that takes).

    Raises:
        UsageError: there is another of that name, or the module has none.
    """
    if MODULES.get(name, module) != module:
        raise UsageError(f"There is a backend {name!r} already.", "Call yours otherwise.")
    found = getattr(import_module(module), "BACKEND", None)
    if found is None or found.name != name:
        raise UsageError(f"{module} has no BACKEND called {name!r}.", "BACKEND = MyEngine()")
    MODULES[name] = module
    for model_format in found.formats:
        if name not in READERS[model_format]:
            READERS[model_format] += (name,)


def backend(name: str) -> Backend:
    """The backend of that name; its engine may still be missing.

    Raises:
        UsageError: there is no backend of that name.
    """
    if name == "mediapipe":
        raise UsageError(
            "MediaPipe Tasks takes pictures and shows no tensors: no session can run on it.",
            "edge_sdk.backends.mediapipe.open_tasks('X.edge').predict(picture), or "
            "edge demo video --backend mediapipe",
        )
    if name not in MODULES:
        raise UsageError(f"There is no backend {name!r}.", nearest(name, MODULES))
    return cast(Backend, import_module(MODULES[name]).BACKEND)


def backend_for(model_format: Format, names: tuple[str, ...] | None = None) -> Backend:
    """The first backend that reads ``model_format`` and whose engine works on this machine.

    Args:
        model_format: what the model file is.
        names: only these, in this order; None means all that edgeloop knows.

    Raises:
        UnavailableError: no engine here reads it; says which command would change that.
    """
    refusals: list[UnavailableError] = []
    readers = READERS[model_format]
    for name in readers if names is None else names:
        if name not in readers:
            continue
        candidate = backend(name)
        try:
            candidate.version()
        except UnavailableError as error:
            refusals.append(error)
        else:
            return candidate
    if refusals:
        raise refusals[0]
    raise UnavailableError(
        f"No backend that was asked for runs {model_format} models.",
        "edge doctor   # lists the engines that are here and what they read",
    )

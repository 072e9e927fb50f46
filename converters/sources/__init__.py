"""Sources: the models that come in, one file a family.

``open_source`` looks at what is there, not only at what it is called, and refuses what is none.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from converters.sources.base import Source
from converters.user_code import call, is_function_name
from edge_sdk.artifact import SUFFIX
from edge_sdk.errors import UsageError
from edge_sdk.runtime.model_file import BARE_FORMATS, bare_format

__all__ = ["Source", "is_engine_file", "open_source"]

KNOWN = ".keras, .h5, .pt2, TorchScript, .tflite, .onnx, a SavedModel folder, or module:function"
TORCH = (".pt2", ".pt", ".pth", ".torchscript")


def open_source(
    source: Any,
    *,
    shapes: Mapping[str, tuple[int, ...]] | None = None,
    trust_code: bool = False,
    wrap: bool = True,
) -> Source:
    """Open a path, what a function makes, or a model in memory.

    Args:
        source: what ``KNOWN`` lists, as a path or a name; or a Keras model, a PyTorch module or
            exported program, or a pair of a module and example inputs.
        shapes: lengths for axes that the model leaves open, by input name.
        trust_code: allow the file to execute Python code of its own (Lambda layers, a
            SavedModel's operations on files, a pickle).
        wrap: take a file that an engine runs already as it is, not as what is to be converted.

    Raises:
        UsageError: missing, empty, cut short, or not a model.
        UnavailableError: reading it needs an extra that is not installed.
    """
    opened = _opened(source, shapes or {}, trust_code, wrap)
    _check_tensors(opened)
    return opened


def _check_tensors(source: Source) -> None:
    """Refuse what no variant could be held against: text, and tensors without any numbers.

    Raises:
        UsageError: an input or output is one.
    """
    signature = source.signature
    tensors = [
        *(("input", t) for t in signature.inputs),
        *(("output", t) for t in signature.outputs),
    ]
    for way, tensor in tensors:
        if tensor.dtype == "string":
            raise UsageError(
                f"The {way} {tensor} holds no numbers.",
                "Export the part that works on numbers; the rest is for the application.",
            )
        if 0 in tensor.shape:
            raise UsageError(
                f"The {way} {tensor} holds no numbers: one of its axes has the length 0.",
                "Export the model with the shapes that it is to be used with.",
            )


def _opened(
    source: Any, shapes: Mapping[str, tuple[int, ...]], trust_code: bool, wrap: bool
) -> Source:
    if not isinstance(source, (str, Path)):
        return _open_object(source, "", shapes)
    path = Path(source)
    if is_function_name(str(source)) and not path.exists():
        return _open_object(call(str(source)), str(source), shapes)
    if not path.exists():
        raise UsageError(f"There is no {path}.", f"Name a model: {KNOWN}.")
    if path.is_dir():
        return _open_folder(path, shapes, trust_code)
    if not path.stat().st_size:
        raise UsageError(f"{path} is empty.", "Export the model again.")
    if path.suffix in (".keras", ".h5", ".hdf5"):
        from converters.sources.keras import open_keras

        return open_keras(path, shapes=shapes, trust_code=trust_code)
    if path.suffix in TORCH:
        from converters.sources.torch import open_torch

        return open_torch(path, shapes=shapes, trust_code=trust_code)
    if is_engine_file(path):
        return _open_engine_file(path, shapes, wrap)
    if path.suffix == ".mlmodel":
        raise UsageError(
            f"{path} is a Core ML model: a target, of which no engine makes anything else.",
            "Convert the model that it was made from; Core ML itself runs this one as it is.",
        )
    if path.suffix == SUFFIX:
        raise UsageError(f"{path} is an artifact already.", f"edge inspect {path}")
    raise UsageError(f"{path} is not a model that edgeloop reads.", f"It reads {KNOWN}.")


def is_engine_file(source: Any) -> bool:
    """Whether it is called as a model that an engine runs as it is."""
    return isinstance(source, (str, Path)) and Path(source).suffix.lower() in BARE_FORMATS


def _open_object(source: Any, name: str, shapes: Mapping[str, tuple[int, ...]]) -> Source:
    from converters.sources.torch import from_torch, is_torch

    if is_torch(source):
        model = source[0] if isinstance(source, tuple) else source
        return from_torch(source, name=name or type(model).__name__, shapes=shapes)
    from converters.sources.keras import from_keras

    return from_keras(source, name=name or str(getattr(source, "name", "model")), shapes=shapes)


def _open_engine_file(path: Path, shapes: Mapping[str, tuple[int, ...]], wrap: bool) -> Source:
    from converters.sources.engine_file import EngineFileSource

    kind = bare_format(path)
    if wrap:
        return EngineFileSource(path, kind, shapes)
    if kind == "onnx":
        from converters.sources.onnx import OnnxSource

        return OnnxSource(path, shapes)
    from converters.sources.tflite import TfliteSource

    return TfliteSource(path, shapes)


def _open_folder(path: Path, shapes: Mapping[str, tuple[int, ...]], trust_code: bool) -> Source:
    if path.suffix == ".mlpackage" or (path / "Data" / "com.apple.CoreML").is_dir():
        raise UsageError(
            f"{path} is a Core ML package: a target, of which no engine makes anything else.",
            "Convert the model that it was made from; Core ML itself runs this one as it is.",
        )
    if not (path / "saved_model.pb").is_file():
        raise UsageError(
            f"The folder {path} is not a SavedModel: it has no saved_model.pb.",
            f"Name a model: {KNOWN}.",
        )
    from converters.sources.saved_model import open_saved_model

    return open_saved_model(path, shapes=shapes, trust_code=trust_code)

"""Keras models, in memory or in a ``.keras`` or ``.h5`` file."""

from __future__ import annotations

import hashlib
import os
import re
import sys
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from converters.archive import check_archive
from converters.engines import at_work, engine
from converters.sources.shapes import check_known, with_shape
from converters.sources.tensorflow import UNREADABLE, TensorFlowSource, dims
from edge_sdk.errors import ConversionError, UnavailableError, UsageError
from edge_sdk.files import sha256_tree
from edge_sdk.spec import TensorSpec

MOST_STEPS = 128
"""Of a recurrent layer, each about ten operations when they are written out."""


def from_keras(
    model: Any, *, name: str, shapes: Mapping[str, tuple[int, ...]], path: Path | None = None
) -> TensorFlowSource:
    """A source of a Keras model in memory.

    Raises:
        UsageError: it is no Keras model, has no defined inputs, or ``shapes`` do not fit them.
    """
    keras = _keras()
    if not isinstance(model, keras.Model):
        raise UsageError(
            f"An object of type {type(model).__name__} is not a model that edgeloop reads.",
            "Give a Keras or PyTorch model, or the path of a file or a SavedModel.",
        )
    if not getattr(model, "inputs", None):
        raise UsageError(
            f"The Keras model {name} does not say what its inputs are.",
            "Begin it with keras.Input(shape); or call it once, export it, and convert the "
            "SavedModel: model.export('folder')",
        )
    inputs = tuple(
        with_shape(TensorSpec(name=t.name, dtype=str(t.dtype), shape=dims(t.shape)), shapes)  # type: ignore[arg-type]
        for t in model.inputs
    )
    check_known(shapes, [t.name for t in inputs])
    structure = None if isinstance(model, keras.Sequential) else model.input

    def function(tensors: Mapping[str, Any]) -> dict[str, Any]:
        flat = [tensors[t.name] for t in inputs]
        packed = flat[0] if structure is None else keras.tree.pack_sequence_as(structure, flat)
        return _named(model(packed, training=False), model, keras)

    if path is None:
        digest, size = _weights_digest(model)
    else:
        digest, size = sha256_tree(path), path.stat().st_size
    return TensorFlowSource(
        name=name,
        kind="keras",
        sha256=digest,
        size=size,
        function=function,
        owner=model,
        inputs=inputs,
        written_out=lambda: _written_out(model, keras),
    )


def open_keras(
    path: Path, *, shapes: Mapping[str, tuple[int, ...]], trust_code: bool
) -> TensorFlowSource:
    """Open a ``.keras`` or ``.h5`` file.

    Raises:
        UsageError: it is not one, or was cut short, or holds code that was not trusted.
    """
    _check_container(path)
    keras = _keras()
    try:
        with at_work(f"Loading {path}", gist=_innermost):
            model = keras.models.load_model(path, compile=False, safe_mode=not trust_code)
    except ConversionError as error:
        if "safe_mode" in error.message or "arbitrary code" in error.message:
            raise UsageError(
                f"{path} holds Python code (a Lambda layer), which loading it would execute.",
                "If you trust whoever made it: --trust-code",
            ) from error
        if "No model config" in error.message:
            raise UsageError(
                f"{path} holds weights and no model.", "Save both: model.save('model.keras')"
            ) from error
        if wanted := re.search(r"OOM when allocating tensor with shape\[([\d,]+)\]", error.message):
            raise UnavailableError(
                f"{path} has a layer of {wanted[1].replace(',', ' x ')} numbers, and there is not "
                "so much memory here.",
                "Look at its config.json: unzip -p FILE.keras config.json",
            ) from error
        if re.search("Could not locate class|cannot be imported", error.message):
            raise UsageError(
                f"{path} is of a class of its own, and a .keras file does not hold its code.",
                "Where that code is, export what it computes, and convert the folder: "
                "model.export('folder')",
            ) from error
        raise UsageError(error.message, UNREADABLE) from error
    return from_keras(model, name=path.name, shapes=shapes, path=path)


@contextmanager
def _written_out(model: Any, keras: Any) -> Iterator[None]:
    """Let recurrent layers of a known, moderate number of steps be traced without a loop."""
    layers = [
        layer
        for layer in model._flatten_layers()
        if isinstance(layer, keras.layers.RNN) and not layer.unroll and _steps(layer) <= MOST_STEPS
    ]
    for layer in layers:
        layer.unroll = True
    try:
        yield
    finally:
        for layer in layers:
            layer.unroll = False


def _steps(layer: Any) -> float:
    """How many steps a recurrent layer takes; infinity where that is not known."""
    try:
        steps = layer.input.shape[1]
    except (AttributeError, ValueError):  # inside a wrapper, or used twice
        steps = (getattr(layer, "_build_shapes_dict", None) or {}).get("sequences_shape", (0, 0))[1]
    return steps or float("inf")


def _keras() -> Any:
    """Keras on TensorFlow: files do not care what they were trained on, but our targets do.

    Raises:
        UnavailableError: this process already runs it on something else.
    """
    if "keras" not in sys.modules:
        os.environ["KERAS_BACKEND"] = "tensorflow"
    keras = engine("keras")
    if keras.backend.backend() != "tensorflow":
        raise UnavailableError(
            f"Keras runs on {keras.backend.backend()} here; conversion needs TensorFlow.",
            "Save the model, and convert the file in a process of its own: edge convert FILE.keras",
        )
    return keras


def _check_container(path: Path) -> None:
    """Refuse, by its first bytes, a file that cannot be what its name says."""
    with path.open("rb") as file:
        is_hdf5 = file.read(8) == b"\x89HDF\r\n\x1a\n"
    is_zip = zipfile.is_zipfile(path)
    if is_zip:
        check_archive(path)
    if path.suffix == ".keras" and not is_zip:
        hint = f"It is HDF5: call it {path.stem}.h5." if is_hdf5 else UNREADABLE
        raise UsageError(f"{path} is not a .keras file, or it was cut short.", hint)
    if path.suffix != ".keras" and not is_hdf5:
        hint = f"It is a zip: call it {path.stem}.keras." if is_zip else UNREADABLE
        raise UsageError(f"{path} is not an HDF5 file.", hint)


def _innermost(said: str) -> str:
    """What Keras says in the end, after a page of the configuration that it was about."""
    found = re.findall(
        r"(Could not (?:locate|deserialize) .*?)(?=Full object config|$)", said, re.S
    )
    return " ".join(found[-1].split()) if found else ""


def _weights_digest(model: Any) -> tuple[str, int]:
    """Digest and size of a model in memory: its architecture and weights, in order."""
    digest, size = hashlib.sha256(model.to_json().encode()), 0
    for array in model.get_weights():
        digest.update(f"{array.dtype}{array.shape}".encode() + array.tobytes())
        size += array.nbytes
    return digest.hexdigest(), size


def _named(results: Any, model: Any, keras: Any) -> dict[str, Any]:
    """A model's results by name: its own keys, its output layers' names, or its last layer's."""
    if isinstance(results, dict):
        return results
    flat = keras.tree.flatten(results)
    names = getattr(model, "output_names", None) or [model.layers[-1].name]
    if len(set(names)) != len(flat):
        names = [f"output_{i}" for i in range(len(flat))]
    return dict(zip(names, flat, strict=True))

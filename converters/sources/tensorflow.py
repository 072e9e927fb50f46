"""Keras models and TensorFlow SavedModels: one source, two ways in.

Whatever way it came, the model becomes one function of named tensors. Targets take it *frozen*:
variables folded into constants, shapes fixed. That matters: TensorFlow converts an unfrozen
function with exit code 0 and leaves the weights out.
"""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from converters.engines import at_work, engine, tool_version
from converters.sources.base import Arrays
from edge_sdk.backends import Array
from edge_sdk.errors import ConversionError, UsageError
from edge_sdk.files import sha256_tree, tree
from edge_sdk.spec import Dim, Signature, TensorSpec
from edge_sdk.text import nearest

BATCH = "batch"

Function = Callable[..., Mapping[str, Any]]


class TensorFlowSource:
    """A Keras model or a SavedModel as one function of named tensors."""

    def __init__(
        self,
        *,
        name: str,
        kind: str,
        sha256: str,
        size: int,
        function: Function,
        owner: Any,
        inputs: tuple[TensorSpec, ...],
    ) -> None:
        """Trace ``function``; ``owner`` keeps its variables alive."""
        self.name, self.kind, self.sha256, self.size = name, kind, sha256, size
        self._owner = owner
        tf = engine("tensorflow")
        with at_work(f"Tracing {name}"):
            self._reference = tf.function(
                function, input_signature=None, autograph=False, reduce_retracing=False
            ).get_concrete_function(**_tensor_specs(tf, inputs))
            outputs = tuple(
                TensorSpec(name=key, dtype=t.dtype.name, shape=_dims(t.shape, inputs))
                for key, t in sorted(self._reference.structured_outputs.items())
            )
        self._function = function
        self.signature = Signature(inputs=inputs, outputs=outputs)

    def run(self, inputs: Arrays) -> dict[str, Array]:
        """See ``Source.run``."""
        tf = engine("tensorflow")
        with at_work(f"Running {self.name}"):
            outputs = self._reference(**{k: tf.constant(v) for k, v in inputs.items()})
            return {name: np.asarray(tensor) for name, tensor in outputs.items()}

    def tools(self) -> dict[str, str]:
        """See ``Source.tools``."""
        return {"tensorflow": tool_version("tensorflow"), "keras": tool_version("keras")}

    def frozen(self) -> Any:
        """The function with batch 1 and every variable a constant: a TensorFlow ConcreteFunction.

        Its inputs and outputs come in the order of their sorted names.
        """
        tf = engine("tensorflow")
        convert = engine("tensorflow.python.framework.convert_to_constants")
        fixed = tuple(
            TensorSpec(name=t.name, dtype=t.dtype, shape=fixed_shape(t))
            for t in self.signature.inputs
        )
        with at_work(f"Freezing {self.name}"):
            concrete = tf.function(self._function, autograph=False).get_concrete_function(
                **_tensor_specs(tf, fixed)
            )
            return convert.convert_variables_to_constants_v2(concrete)

    def named_frozen(self) -> Any:
        """The frozen function as a ``tf.function`` of positional tensors that carry our names."""
        tf = engine("tensorflow")
        frozen = self.frozen()
        names = [t.name for t in self.signature.outputs]
        specs = [
            tf.TensorSpec(t.shape, t.dtype, name=t.name.partition(":")[0]) for t in frozen.inputs
        ]

        def call(*tensors: Any) -> dict[str, Any]:
            results = frozen(*tensors)
            flat = results if isinstance(results, (list, tuple)) else [results]
            return dict(zip(names, flat, strict=True))

        return tf.function(call, input_signature=specs, autograph=False)

    def save_frozen(self, folder: Path) -> None:
        """Save the frozen function as a SavedModel whose signature has our names."""
        tf = engine("tensorflow")
        with at_work(f"Saving {self.name} frozen"):
            module = tf.Module()
            module.call = self.named_frozen()
            tf.saved_model.save(module, str(folder), signatures={"serving_default": module.call})


def fixed_shape(tensor: TensorSpec) -> tuple[int, ...]:
    """The tensor's shape with batch 1.

    Raises:
        UsageError: another axis has no length; says how to give one.
    """
    shape: list[int] = []
    for dim in tensor.shape:
        if isinstance(dim, int):
            shape.append(dim)
        elif dim == BATCH:
            shape.append(1)
        else:
            example = "x".join(
                str(d) if isinstance(d, int) else "1" if d == BATCH else "320" for d in tensor.shape
            )
            raise UsageError(
                f"The input {tensor} has an axis without a length ({dim}).",
                f"Fix it: --input {tensor.name}:{example}",
            )
    return tuple(shape)


def from_keras(
    model: Any, *, name: str, shapes: Mapping[str, tuple[int, ...]], path: Path | None = None
) -> TensorFlowSource:
    """A source of a Keras model in memory.

    Raises:
        UsageError: the model has no defined inputs, or ``shapes`` do not fit them.
    """
    keras = engine("keras")
    if not getattr(model, "inputs", None):
        raise UsageError(
            f"The Keras model {name} has no defined inputs yet.",
            "Call it once on real data, or begin it with keras.Input(shape).",
        )
    inputs = tuple(
        _with_shape(TensorSpec(name=t.name, dtype=str(t.dtype), shape=_shape(t.shape)), shapes)  # type: ignore[arg-type]
        for t in model.inputs
    )
    _check_known(shapes, [t.name for t in inputs])
    structure = None if isinstance(model, keras.Sequential) else model.input

    def function(**tensors: Any) -> dict[str, Any]:
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
    )


def open_keras(
    path: Path, *, shapes: Mapping[str, tuple[int, ...]], trust_code: bool
) -> TensorFlowSource:
    """Open a ``.keras`` or ``.h5`` file.

    Raises:
        UsageError: it is not one, or was cut short, or holds code that was not trusted.
    """
    _check_container(path)
    keras = engine("keras")
    try:
        with at_work(f"Loading {path}"):
            model = keras.models.load_model(path, compile=False, safe_mode=not trust_code)
    except ConversionError as error:
        if "safe_mode" in error.message or "arbitrary code" in error.message:
            raise UsageError(
                f"{path} holds Python code (a Lambda layer), which loading it would execute.",
                "If you trust whoever made it: --trust-code",
            ) from error
        raise UsageError(error.message, _UNREADABLE) from error
    return from_keras(model, name=path.name, shapes=shapes, path=path)


def open_saved_model(folder: Path, *, shapes: Mapping[str, tuple[int, ...]]) -> TensorFlowSource:
    """Open a SavedModel folder by its serving signature.

    Raises:
        UsageError: it cannot be loaded, or has no signature to call.
    """
    tf = engine("tensorflow")
    try:
        with at_work(f"Loading {folder}"):
            loaded = tf.saved_model.load(str(folder))
    except ConversionError as error:
        raise UsageError(error.message, _UNREADABLE) from error
    signatures = dict(loaded.signatures)
    if not signatures:
        raise UsageError(
            f"{folder} has no signature that could be called.",
            "Save it with one: model.export(folder), or tf.saved_model.save(…, signatures=…)",
        )
    name = "serving_default" if "serving_default" in signatures else sorted(signatures)[0]
    function = signatures[name]
    _, arguments = function.structured_input_signature
    inputs = tuple(
        _with_shape(TensorSpec(name=key, dtype=s.dtype.name, shape=_shape(s.shape)), shapes)
        for key, s in arguments.items()
    )
    _check_known(shapes, [t.name for t in inputs])
    return TensorFlowSource(
        name=folder.name,
        kind="savedmodel",
        sha256=sha256_tree(folder),
        size=sum(file.stat().st_size for file in tree(folder).values()),
        function=lambda **tensors: function(**tensors),
        owner=loaded,
        inputs=inputs,
    )


_UNREADABLE = (
    "Check that the file is whole, and was saved by a Keras or TensorFlow this one can read."
)


def _check_container(path: Path) -> None:
    """Refuse, by its first bytes, a file that cannot be what its name says."""
    with path.open("rb") as file:
        magic = file.read(8)
    if path.suffix == ".keras" and not zipfile.is_zipfile(path):
        raise UsageError(f"{path} is not a .keras file, or it was cut short.", _UNREADABLE)
    if path.suffix != ".keras" and magic != b"\x89HDF\r\n\x1a\n":
        raise UsageError(f"{path} is not an HDF5 file.", _UNREADABLE)


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


def _with_shape(tensor: TensorSpec, shapes: Mapping[str, tuple[int, ...]]) -> TensorSpec:
    """The tensor with the lengths that ``--input`` fixes; a batch of 1 stays free for evaluation."""
    given = shapes.get(tensor.name)
    if given is None:
        return tensor
    if not tensor.accepts(given):
        raise UsageError(
            f"--input {tensor.name}:{'x'.join(map(str, given))} does not fit {tensor}.",
            "Give a length for every axis, and only change those without one.",
        )
    shape: tuple[Dim, ...] = tuple(
        BATCH if dim == BATCH and length == 1 else length
        for dim, length in zip(tensor.shape, given, strict=True)
    )
    return TensorSpec(name=tensor.name, dtype=tensor.dtype, shape=shape)


def _check_known(shapes: Mapping[str, tuple[int, ...]], names: list[str]) -> None:
    for name in shapes:
        if name not in names:
            raise UsageError(f"The model has no input {name!r}.", nearest(name, names))


def _shape(shape: Any) -> tuple[Dim, ...]:
    """A TensorFlow or Keras shape; an unknown first axis is the batch."""
    return tuple(
        int(d) if d is not None else BATCH if axis == 0 else f"dim{axis}"
        for axis, d in enumerate(shape)
    )


def _dims(shape: Any, inputs: tuple[TensorSpec, ...]) -> tuple[Dim, ...]:
    """An output's shape; its first unknown axis is the batch if an input has one."""
    if shape.rank is None:
        raise ConversionError(
            "An output's rank is not known.", "Give fixed shapes: --input NAME:SHAPE"
        )
    batched = any(t.shape[:1] == (BATCH,) for t in inputs)
    return tuple(
        int(d) if d is not None else BATCH if axis == 0 and batched else f"dim{axis}"
        for axis, d in enumerate(shape)
    )


def _tensor_specs(tf: Any, inputs: tuple[TensorSpec, ...]) -> dict[str, Any]:
    return {
        t.name: tf.TensorSpec(
            [d if isinstance(d, int) else None for d in t.shape], t.dtype, name=t.name
        )
        for t in inputs
    }

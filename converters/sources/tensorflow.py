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
from typing import Any, get_args

import numpy as np

from converters.engines import at_work, engine, tool_version
from converters.sources.base import Arrays, one_by_one
from converters.sources.shapes import BATCH, check_known, fixed_shape, with_shape
from edge_sdk.backends import Array
from edge_sdk.errors import ConversionError, UsageError
from edge_sdk.files import sha256_tree, tree
from edge_sdk.spec import Dim, DType, Signature, TensorSpec

Function = Callable[[Mapping[str, Any]], Mapping[str, Any]]
"""Tensors by input name to tensors by output name."""


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
        """Trace ``function``; ``owner`` keeps its variables alive.

        Raises:
            UsageError: an input or output is no array of numbers, or an input's shape is open.
            ConversionError: TensorFlow cannot trace it.
        """
        self.name, self.kind, self.sha256, self.size = name, kind, sha256, size
        self._owner = owner
        self._inputs = tuple(tensor.name for tensor in inputs)
        self._function = function
        for tensor in inputs:
            fixed_shape(tensor)
        with at_work(f"Tracing {name}"):
            self._reference = self._traced(inputs)
            found = dict(sorted(self._reference.structured_outputs.items()))
            outputs = tuple(
                TensorSpec(name=key, dtype=t.dtype.name, shape=_dims(t.shape, inputs))
                for key, t in found.items()
            )
        _check_numbers(inputs, "input")
        _check_numbers(outputs, "output")
        self.signature = Signature(inputs=inputs, outputs=outputs)
        self._together: bool | None = None

    def run(self, inputs: Arrays) -> dict[str, Array]:
        """See ``Source.run``: all at once if that is the same to this model, else one by one."""
        if self._together is None:
            count = len(next(iter(inputs.values())))
            if count > 1:
                self._together = self._alike({k: v[:2] for k, v in inputs.items()})
        if self._together:
            return self.run_one(inputs)
        return one_by_one(self.run_one, inputs, self.signature)

    def run_one(self, inputs: Arrays) -> dict[str, Array]:
        """See ``Source.run_one``."""
        tf = engine("tensorflow")
        with at_work(f"Running {self.name}"):
            outputs = self._reference(*(tf.constant(inputs[name]) for name in self._inputs))
            return {name: np.asarray(tensor) for name, tensor in outputs.items()}

    def _alike(self, inputs: Arrays) -> bool:
        """Whether samples run together give what they give alone, but for rounding.

        Not so where a model has no batch axis or mixes samples: a transpose, a softmax over axis 0.
        On a device it will see one sample at a time.
        """
        tensors = (*self.signature.inputs, *self.signature.outputs)
        if any(tensor.shape[:1] != (BATCH,) for tensor in tensors):
            return False
        single = one_by_one(self.run_one, inputs, self.signature)
        try:
            together = self.run_one(inputs)
        except ConversionError:
            return False
        return all(
            together[name].shape == array.shape
            and np.allclose(together[name], array, rtol=1e-3, atol=1e-5, equal_nan=True)
            for name, array in single.items()
        )

    def tools(self) -> dict[str, str]:
        """See ``Source.tools``."""
        return {"tensorflow": tool_version("tensorflow"), "keras": tool_version("keras")}

    def frozen(self) -> Any:
        """The function with batch 1 and every variable a constant: a TensorFlow ConcreteFunction.

        Its inputs and outputs come in the signature's order. Loops stay whole: only TensorFlow
        itself can read what they would be lowered to.

        Raises:
            ConversionError: it holds what cannot be made a constant.
        """
        convert = engine("tensorflow.python.framework.convert_to_constants")
        fixed = tuple(
            TensorSpec(name=t.name, dtype=t.dtype, shape=fixed_shape(t))
            for t in self.signature.inputs
        )
        with at_work(f"Freezing {self.name}"):
            frozen = convert.convert_variables_to_constants_v2(
                self._traced(fixed), lower_control_flow=False
            )
        if len(frozen.inputs) != len(fixed):
            raise ConversionError(
                f"{self.name} holds a lookup table, or another thing that is no constant.",
                "Export the model without it, and look things up in the application.",
            )
        return frozen

    def named_frozen(self) -> Any:
        """The frozen function as a ``tf.function`` of positional tensors that carry our names."""
        tf = engine("tensorflow")
        frozen = self.frozen()
        names = [t.name for t in self.signature.outputs]
        specs = [
            tf.TensorSpec(tensor.shape, tensor.dtype, name=name)
            for name, tensor in zip(self._inputs, frozen.inputs, strict=True)
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

    def _traced(self, inputs: tuple[TensorSpec, ...]) -> Any:
        """The function for inputs of those shapes, which it takes in that order."""
        tf = engine("tensorflow")
        specs = [
            tf.TensorSpec(
                [d if isinstance(d, int) else None for d in t.shape], t.dtype, name=t.name
            )
            for t in inputs
        ]

        def call(*tensors: Any) -> Mapping[str, Any]:
            return self._function(dict(zip(self._inputs, tensors, strict=True)))

        return tf.function(call, autograph=False).get_concrete_function(*specs)


def from_keras(
    model: Any, *, name: str, shapes: Mapping[str, tuple[int, ...]], path: Path | None = None
) -> TensorFlowSource:
    """A source of a Keras model in memory.

    Raises:
        UsageError: it is no Keras model, has no defined inputs, or ``shapes`` do not fit them.
    """
    keras = engine("keras")
    if not isinstance(model, keras.Model):
        raise UsageError(
            f"A {type(model).__name__} is not a model that edgeloop reads.",
            "Give a Keras model, or the path of a file or a SavedModel.",
        )
    if not getattr(model, "inputs", None):
        raise UsageError(
            f"The Keras model {name} does not say what its inputs are.",
            "Begin it with keras.Input(shape); or call it once, export it, and convert the "
            "SavedModel: model.export('folder')",
        )
    inputs = tuple(
        with_shape(TensorSpec(name=t.name, dtype=str(t.dtype), shape=_shape(t.shape)), shapes)  # type: ignore[arg-type]
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
    function = _serving(dict(loaded.signatures), folder)
    _, arguments = function.structured_input_signature
    inputs = tuple(
        with_shape(_opened(key, spec, shapes), shapes) for key, spec in sorted(arguments.items())
    )
    check_known(shapes, [t.name for t in inputs])
    return TensorFlowSource(
        name=folder.name,
        kind="savedmodel",
        sha256=sha256_tree(folder),
        size=sum(file.stat().st_size for file in tree(folder).values()),
        function=lambda tensors: function(**tensors),
        owner=loaded,
        inputs=inputs,
    )


def _serving(signatures: Mapping[str, Any], folder: Path) -> Any:
    """The signature to serve: ``serving_default``, or the only one."""
    if not signatures:
        raise UsageError(
            f"{folder} has no signature that could be called.",
            "Save it with one: model.export(folder), or tf.saved_model.save(…, signatures=…)",
        )
    if "serving_default" not in signatures and len(signatures) > 1:
        raise UsageError(
            f"{folder} has the signatures {', '.join(sorted(signatures))}; none is the default.",
            "Save it with one: tf.saved_model.save(…, signatures={'serving_default': …})",
        )
    return signatures.get("serving_default") or next(iter(signatures.values()))


def _opened(name: str, spec: Any, shapes: Mapping[str, tuple[int, ...]]) -> TensorSpec:
    """A SavedModel's input; where not even the number of its axes is known, as ``--input`` says."""
    if spec.shape.rank is not None:
        return TensorSpec(name=name, dtype=spec.dtype.name, shape=_shape(spec.shape))
    if name not in shapes:
        raise UsageError(
            f"The input {name!r} may have any number of axes.",
            f"Fix them: --input {name}:1x224x224x3",
        )
    axes = range(1, len(shapes[name]))
    return TensorSpec(
        name=name, dtype=spec.dtype.name, shape=(BATCH, *(f"dim{axis}" for axis in axes))
    )


def _check_numbers(tensors: tuple[TensorSpec, ...], kind: str) -> None:
    """Refuse what no target could take: nothing at all, text, handles."""
    if not tensors:
        raise UsageError(f"The model has no {kind}s.", f"Export it with at least one {kind}.")
    for tensor in tensors:
        if tensor.dtype not in get_args(DType) or tensor.dtype == "string":
            raise UsageError(
                f"The {kind} {tensor} holds no numbers.",
                "Export the part that works on numbers; the rest is for the application.",
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

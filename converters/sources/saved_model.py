"""TensorFlow SavedModels, by the signature that is to be served."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from converters.engines import at_work, engine
from converters.sources.old_saved_model import is_old, loaded, served_graph, signatures_of
from converters.sources.shapes import BATCH, check_known, with_shape
from converters.sources.tensorflow import UNREADABLE, Function, TensorFlowSource, dims
from converters.sources.trust import check_operations
from edge_sdk.errors import ConversionError, UsageError
from edge_sdk.files import sha256_tree, tree
from edge_sdk.spec import TensorSpec


def open_saved_model(
    folder: Path, *, shapes: Mapping[str, tuple[int, ...]], trust_code: bool
) -> TensorFlowSource:
    """Open a SavedModel folder by its serving signature.

    Raises:
        UsageError: it cannot be loaded, has no signature to call, or reaches for files or Python
            and was not trusted.
    """
    with _explained(f"Reading {folder}"):
        model = engine("tensorflow.python.saved_model.loader_impl").parse_saved_model(str(folder))
    if is_old(model):
        with _explained(f"Loading {folder}"):
            function, given, owner = _by_session(folder, model, trust_code)
    else:
        if not trust_code:
            check_operations(folder)
        function, given, owner = _by_objects(folder, model, trust_code)
    inputs = tuple(
        with_shape(_opened(key, spec, shapes), shapes) for key, spec in sorted(given.items())
    )
    check_known(shapes, [t.name for t in inputs])
    return TensorFlowSource(
        name=folder.name,
        kind="savedmodel",
        sha256=sha256_tree(folder),
        size=sum(file.stat().st_size for file in tree(folder).values()),
        function=function,
        owner=owner,
        inputs=inputs,
    )


def _by_objects(
    folder: Path, model: Any, trust_code: bool
) -> tuple[Function, Mapping[str, Any], Any]:
    """As TensorFlow 2 loads it; where it stumbles at the objects, by a session.

    Raises:
        UsageError: neither loads it; tells what TensorFlow 2 said.
    """
    tf = engine("tensorflow")
    try:
        with at_work(f"Loading {folder}"):
            objects = tf.saved_model.load(str(folder))
    except ConversionError as error:
        try:
            return _by_session(folder, model, trust_code)
        except ConversionError:
            raise UsageError(error.message, UNREADABLE) from error
    called = _serving(dict(objects.signatures), folder)
    _, arguments = called.structured_input_signature
    return lambda tensors: called(**tensors), arguments, objects


def _by_session(
    folder: Path, model: Any, trust_code: bool
) -> tuple[Function, Mapping[str, Any], Any]:
    graph = served_graph(model, folder)
    signature = _serving(signatures_of(graph), folder)
    function, given = loaded(folder, graph, signature, trust_code=trust_code)
    return function, given, None


@contextmanager
def _explained(what: str) -> Iterator[None]:
    """What cannot be read is bad input.

    Raises:
        UsageError: it cannot.
    """
    try:
        with at_work(what):
            yield
    except ConversionError as error:
        raise UsageError(error.message, error.hint or UNREADABLE) from error


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
        return TensorSpec(name=name, dtype=spec.dtype.name, shape=dims(spec.shape))
    if name not in shapes:
        raise UsageError(
            f"The input {name!r} may have any number of axes.",
            f"Fix them: --input {name}:1x224x224x3",
        )
    axes = range(1, len(shapes[name]))
    return TensorSpec(
        name=name, dtype=spec.dtype.name, shape=(BATCH, *(f"dim{axis}" for axis in axes))
    )

"""Data to calibrate with and to be judged on: a folder of pictures, an ``.npz``, or a function.

    FOLDER            pictures; a subfolder is a class. Prepared as ``--preprocess`` declares, read
                      one batch at a time.
    FILE.npz          ``x`` (or one array per input name) in the source's own layout and numbers,
                      first axis the samples; ``y``, optional, the class of each. Large arrays
                      stay on the disk (``converters.rows``).
    MODULE:FUNCTION   a function that returns such arrays in a mapping.

Whatever it was, it is a ``Samples``: a length, batches by input name, and labels if there are any.
"""

from __future__ import annotations

import hashlib
import importlib
import sys
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from converters.archive import check_archive
from converters.rows import Rows, blocks, read_npz
from converters.scores import class_count, scores_output
from converters.sources.base import Arrays, has_batch_axis
from edge_sdk.backends.base import Array, numpy_dtype
from edge_sdk.errors import UsageError
from edge_sdk.files import sha256_file
from edge_sdk.pipeline.frames import open_sources
from edge_sdk.pipeline.picture_file import read_picture
from edge_sdk.processing import ImagePreprocessor
from edge_sdk.spec import Dim, ImageInput, Postprocess, Preprocess, Signature, TensorSpec

BATCH = 256
BATCH_NUMBERS = 1 << 18
"""Samples and numbers run together at most: the original's activations are many times as many, and
TensorFlow does not give back what it once took for them."""


@dataclass(frozen=True)
class Samples:
    """Real inputs, ready for the source.

    Attributes:
        source: where they came from, for messages.
        sha256: digest of everything that decides their values.
        count: how many.
        read: the inputs of samples ``start`` to ``stop``, by name, first axis the batch.
        labels: the class of each, or None.
        folders: the class folders in the order that gave the labels, where no names did.
        picture: one of them as a picture, before it is prepared; None where they came as arrays.
    """

    source: str
    sha256: str
    count: int
    read: Callable[[int, int], Arrays]
    labels: npt.NDArray[np.int64] | None = None
    folders: tuple[str, ...] = ()
    picture: Callable[[int], Array] | None = None

    def __len__(self) -> int:
        return self.count

    def batches(self, size: int | None = None) -> Iterator[tuple[int, Arrays]]:
        """(index of the first sample, inputs), in order; by default as many as memory allows."""
        size = size or self.together()
        for start in range(0, self.count, size):
            yield start, self.read(start, min(start + size, self.count))

    def together(self) -> int:
        """How many may be run together."""
        numbers = sum(array.size for array in self.read(0, 1).values())
        return max(1, min(BATCH, BATCH_NUMBERS // max(numbers, 1)))

    def pick(self, count: int) -> list[int]:
        """At most ``count`` indices, evenly spread."""
        if self.count <= count:
            return list(range(self.count))
        return [round(i * (self.count - 1) / (count - 1)) for i in range(count)]

    def at(self, indices: Sequence[int]) -> dict[str, Array]:
        """The inputs of some samples, together."""
        rows = [self.read(i, i + 1) for i in indices]
        return {name: np.concatenate([row[name] for row in rows]) for name in rows[0]}


def read_samples(
    data: str | Path | Mapping[str, Any],
    signature: Signature,
    *,
    preprocess: Preprocess | None = None,
    postprocess: Postprocess | None = None,
    labels: Sequence[str] = (),
) -> Samples:
    """Read DATA for a model of that signature.

    Raises:
        UsageError: missing, unreadable, empty, or its names, shapes, types or labels do not fit.
    """
    scores = scores_output(signature, postprocess, labelled=True)
    limit = class_count(signature, scores, labels)
    samples = _read(data, signature, preprocess, labels, limit)
    if samples.labels is None:
        return samples
    if scores is None and postprocess is None:
        names = ", ".join(map(repr, (t.name for t in signature.outputs)))
        raise UsageError(
            f"{samples.source} has a class for each sample, and it is not said which output holds "
            f"the scores: {names}.",
            "Declare it: --preprocess SPEC.toml with a [postprocess] table: "
            "kind = 'classification', output = '…'; or leave the classes out.",
        )
    low, high = int(samples.labels.min()), int(samples.labels.max())
    if limit is not None and not 0 <= low <= high < limit:
        raise UsageError(
            f"{samples.source}: y goes from {low} to {high}, but there are {limit} classes.",
            "Number the classes from 0 in the order of the model's outputs.",
        )
    return samples


def _read(
    data: str | Path | Mapping[str, Any],
    signature: Signature,
    preprocess: Preprocess | None,
    labels: Sequence[str],
    limit: int | None,
) -> Samples:
    if isinstance(data, Mapping):
        return _from_arrays(data, "the mapping", signature)
    if not isinstance(data, (str, Path)):
        raise UsageError(
            f"A {type(data).__name__} is not data that edgeloop reads.",
            "Give a path, or arrays by name: {'x': array, 'y': classes}.",
        )
    path = Path(data)
    if path.is_dir():
        return _from_folder(path, signature, preprocess, labels, limit)
    if path.suffix == ".npz":
        return _from_npz(path, signature)
    module, colon, function = str(data).partition(":")
    if colon and not path.exists():
        return _from_function(module, function, signature)
    raise UsageError(
        f"{data} is not data that edgeloop reads.",
        "Name a folder of pictures, an .npz, or module:function.",
    )


def random_samples(signature: Signature, count: int = 64) -> Samples:
    """Seeded noise, for a model that came without any data.

    Numbers of 0 to 1; 0 to 255 for bytes, which are pictures; 0 to 9 for other integers, which
    may be indices.
    """
    rng = np.random.default_rng(0)
    arrays: dict[str, Array] = {}
    for tensor in signature.inputs:
        shape = (count, *(d if isinstance(d, int) else 1 for d in _sample_shape(tensor)))
        dtype = numpy_dtype(tensor.dtype)
        top = 256 if dtype == np.uint8 else 10
        noise = rng.random(shape) if dtype.kind == "f" else rng.integers(0, top, shape)
        arrays[tensor.name] = noise.astype(dtype)
    return _samples("random numbers", _digest(arrays), arrays, None)


_UNREADABLE = (
    ValueError,
    OSError,
    EOFError,
    KeyError,
    RuntimeError,
    MemoryError,
    zipfile.BadZipFile,
    zlib.error,
)
"""What numpy and zipfile raise of files that are damaged, encrypted, or promise absurd sizes."""


def _from_npz(path: Path, signature: Signature) -> Samples:
    if not path.is_file():
        raise UsageError(f"There is no {path}.", "Check the path.")
    try:
        with zipfile.ZipFile(path):  # np.load takes other files for pickles
            pass
        check_archive(path)
        arrays = read_npz(path)
    except _UNREADABLE as error:
        raise UsageError(
            f"{path} is not a readable .npz: {error}", "Write it with numpy.savez(path, x=…, y=…)."
        ) from error
    return _from_arrays(arrays, str(path), signature)


def _from_function(module: str, function: str, signature: Signature) -> Samples:
    where = f"{module}:{function}"
    here = str(Path.cwd())
    sys.path.insert(0, here)
    try:
        found = getattr(importlib.import_module(module), function)
        arrays = found()
    except Exception as error:
        # Any exception: it is the caller's code that raises it.
        raise UsageError(
            f"{where} failed: {type(error).__name__}: {error}",
            f'python -c "import {module}; {module}.{function}()"   # shows where',
        ) from error
    finally:
        sys.path.remove(here)
    if not isinstance(arrays, Mapping):
        raise UsageError(
            f"{where} returned a {type(arrays).__name__}, not a mapping.",
            "Return {'x': array} or {'x': array, 'y': classes}.",
        )
    return _from_arrays(arrays, where, signature)


def _from_arrays(arrays: Mapping[str, Any], where: str, signature: Signature) -> Samples:
    try:
        given = {n: a if isinstance(a, Rows) else np.asarray(a) for n, a in arrays.items()}
    except ValueError as error:  # rows of different lengths
        raise UsageError(
            f"{where} holds what is no array: {error}", "Give numpy arrays."
        ) from error
    y = given.pop("y", None) if "y" not in {t.name for t in signature.inputs} else None
    if isinstance(y, Rows):
        y = y[:]
    wanted = [t.name for t in signature.inputs]
    if "x" in given and len(wanted) == 1 and wanted[0] not in given:
        given[wanted[0]] = given.pop("x")
    if set(given) != set(wanted):
        raise UsageError(
            f"{where} holds {sorted(arrays) or 'nothing'}; the model's inputs are {wanted}.",
            "Give x for a model of one input, else one array per input name; y for the classes.",
        )
    fitted = {t.name: _fitted(given[t.name], t, where) for t in signature.inputs}
    counts = {len(array) for array in fitted.values()}
    if len(counts) != 1 or 0 in counts:
        raise UsageError(
            f"{where} is empty or its arrays differ in length ({sorted(counts)}).",
            "Give every array one row per sample.",
        )
    classes = None if y is None else _classes(y, counts.pop(), where)
    digest = _digest(fitted if classes is None else {**fitted, "y": classes})
    return _samples(where, digest, fitted, classes)


def _samples(
    where: str,
    digest: str,
    arrays: Mapping[str, Array | Rows],
    labels: npt.NDArray[np.int64] | None,
) -> Samples:
    return Samples(
        source=where,
        sha256=digest,
        count=len(next(iter(arrays.values()))),
        read=lambda start, stop: {name: array[start:stop] for name, array in arrays.items()},
        labels=labels,
    )


def _fitted(array: Array | Rows, tensor: TensorSpec, where: str) -> Array | Rows:
    """The array, if it holds batches of ``tensor``; float64 is narrowed, nothing else is cast."""
    dtype = numpy_dtype(tensor.dtype)
    if array.dtype == np.float64 and dtype == np.float32:
        array = array.astype(dtype)
    if array.dtype != dtype:
        hint = "Give the numbers it was trained on, or pictures in a folder and --preprocess."
        if array.dtype.kind == dtype.kind:
            hint = f"They are of one kind: x.astype(numpy.{dtype})"
        raise UsageError(
            f"{where}: {tensor.name} has dtype {array.dtype}; the model takes {tensor.dtype}.", hint
        )
    one = TensorSpec(name=tensor.name, dtype=tensor.dtype, shape=_sample_shape(tensor))
    if not array.ndim or not one.accepts(array.shape[1:]):
        wanted = "x".join(map(str, ("N", *one.shape)))
        hint = "N counts the samples; the other axes must be the model's."
        for turn, found in (((0, 2, 3, 1), "channels first"), ((0, 3, 1, 2), "channels last")):
            if array.ndim == 4 and one.accepts(tuple(array.shape[axis] for axis in turn[1:])):
                hint = f"The pictures are {found}, the model's are not: x.transpose{turn}"
        raise UsageError(
            f"{where}: {tensor.name} has shape {'x'.join(map(str, array.shape)) or 'scalar'}; "
            f"{wanted} is needed.",
            hint,
        )
    if dtype.kind == "f" and not all(np.isfinite(block).all() for block in blocks(array)):
        raise UsageError(f"{where}: {tensor.name} holds NaN or infinity.", "Clean the data.")
    return array if isinstance(array, Rows) else np.ascontiguousarray(array)


def _sample_shape(tensor: TensorSpec) -> tuple[Dim, ...]:
    """The shape of one sample, without the axis that counts them."""
    return tensor.shape[1:] if has_batch_axis(tensor) else tensor.shape


def _classes(y: Array, count: int, where: str) -> npt.NDArray[np.int64]:
    if y.shape != (count,) or y.dtype.kind not in "iu":
        mend = "y.argmax(axis=1)" if y.ndim == 2 and y.shape[1] > 1 else "y.reshape(-1).astype(int)"
        raise UsageError(
            f"{where}: y is {y.dtype} of shape {'x'.join(map(str, y.shape)) or 'scalar'}; "
            f"there are {count} samples.",
            f"Give one whole number, the class, for each sample: {mend}",
        )
    return y.astype(np.int64)


def _from_folder(
    folder: Path,
    signature: Signature,
    preprocess: Preprocess | None,
    labels: Sequence[str],
    limit: int | None,
) -> Samples:
    if not isinstance(preprocess, ImageInput) or len(signature.inputs) != 1:
        raise UsageError(
            f"{folder} holds pictures, and it is not said how they become the model's input.",
            "Declare it: --preprocess SPEC.toml with a [preprocess] table of kind 'image'.",
        )
    names = sorted(p.name for p in folder.iterdir() if p.is_dir() and p.name[0] != ".")
    if not labels and limit is not None and len(names) > limit:
        raise UsageError(
            f"{folder} holds {len(names)} class folders, but there are {limit} classes.",
            "Name the classes in the model's order: --labels FILE",
        )
    if names:
        order = {name: i for i, name in enumerate(labels or names)}
        for name in names:
            if labels.count(name) > 1:
                raise UsageError(
                    f"{folder / name}: the labels name that class {labels.count(name)} times.",
                    "Give each class a name of its own, in the labels and as a folder.",
                )
            if name not in order:
                raise UsageError(
                    f"{folder / name} is no class of the labels.",
                    f"Name the folders as the labels file does: {', '.join(list(order)[:8])} …",
                )
        pairs = [(p, order[name]) for name in names for p in _pictures(folder / name)]
    else:
        pairs = [(p, -1) for p in _pictures(folder)]
    tensor = signature.inputs[0]
    preparer = ImagePreprocessor(preprocess, tensor)

    def read(start: int, stop: int) -> Arrays:
        batch = [preparer.prepare(read_picture(path))[0] for path, _ in pairs[start:stop]]
        return {tensor.name: np.concatenate(batch)}

    digest = hashlib.sha256(repr(preprocess).encode())
    for path, label in pairs:
        digest.update(f"{path.relative_to(folder)} {label} {sha256_file(path)}\n".encode())
    return Samples(
        source=str(folder),
        sha256=digest.hexdigest(),
        count=len(pairs),
        read=read,
        labels=np.array([label for _, label in pairs], np.int64) if names else None,
        folders=() if labels else tuple(names),
        picture=lambda index: read_picture(pairs[index][0]),
    )


def _pictures(folder: Path) -> list[Path]:
    return [source.path for source in open_sources([folder])]


def _digest(arrays: Mapping[str, Array | Rows]) -> str:
    digest = hashlib.sha256()
    for name in sorted(arrays):
        array = arrays[name]
        digest.update(f"{name} {array.dtype} {array.shape}\n".encode())
        for block in blocks(array):
            digest.update(block.data)
    return digest.hexdigest()

"""Arrays from files, for models that take no pictures: ``.npy`` holds one input, ``.npz`` many."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from edge_sdk.errors import UsageError
from edge_sdk.spec import Signature, TensorSpec
from edge_sdk.text import nearest

SUFFIXES = (".npy", ".npz")


def read_arrays(path: Path, signature: Signature) -> Iterator[dict[str, npt.NDArray[Any]]]:
    """The runs that a file holds: inputs by name, one dict a run.

    An array of an input's own shape is one run; one without the batch axis gets it; one with more
    rows than the model's batch of 1 is run row by row.

    Args:
        path: the file.
        signature: names and shapes as the loaded build takes them
            (``session.engine_signature``): an original may leave the batch open that a build fixes
            to 1.

    Raises:
        UsageError: not such a file, wrong names, shapes that fit no input, or different counts.
    """
    arrays = _load(path, signature)
    specs = {spec.name: spec for spec in signature.inputs}
    for name in arrays:
        if name not in specs:
            raise UsageError(
                f"{path}: the model has no input {name!r}.", nearest(name, list(specs))
            )
    if missing := [name for name in specs if name not in arrays]:
        raise UsageError(
            f"{path} holds nothing for the input {missing[0]!r}.",
            f"numpy.savez('{path.name}', {', '.join(f'{name}=…' for name in specs)})",
        )
    runs = {name: _runs(path, array, specs[name]) for name, array in arrays.items()}
    counts = {name: len(found) for name, found in runs.items()}
    if len(set(counts.values())) > 1:
        raise UsageError(
            f"{path} holds different numbers of runs: "
            f"{', '.join(f'{count} of {name!r}' for name, count in counts.items())}.",
            "Give every input as many rows as the others.",
        )
    for at in range(next(iter(counts.values()))):
        yield {name: found[at] for name, found in runs.items()}


def _load(path: Path, signature: Signature) -> dict[str, npt.NDArray[Any]]:
    try:
        with path.open("rb") as file:  # numpy leaves a broken file open if it opened it itself
            loaded = np.load(file, allow_pickle=False)
            single = isinstance(loaded, np.ndarray)
            arrays = {"": loaded} if single else {name: loaded[name] for name in loaded.files}
    except OSError as error:
        raise UsageError(
            f"{path} cannot be read: {error.strerror or error}.", "Check the path."
        ) from error
    except (ValueError, EOFError, KeyError, zipfile.BadZipFile) as error:
        raise UsageError(
            f"{path} is not a whole {path.suffix} file of plain arrays: {error}.",
            "Write it with numpy.save or numpy.savez.",
        ) from error
    if "" in arrays:
        if len(signature.inputs) != 1:
            names = [spec.name for spec in signature.inputs]
            raise UsageError(
                f"{path} holds one array, but the model has {len(names)} inputs: "
                f"{', '.join(names)}.",
                f"numpy.savez('inputs.npz', {', '.join(f'{name}=…' for name in names)})",
            )
        arrays = {signature.inputs[0].name: arrays.pop("")}
    return arrays


def _runs(path: Path, array: npt.NDArray[Any], spec: TensorSpec) -> list[npt.NDArray[Any]]:
    if spec.accepts(array.shape):
        return [array]
    if spec.accepts((1, *array.shape)):
        return [array[None]]
    if array.ndim and len(array) and spec.accepts((1, *array.shape[1:])):
        return [row[None] for row in array]
    raise UsageError(
        f"{path} holds {'x'.join(map(str, array.shape)) or 'a single number'} for {spec}.",
        "Reshape it to the input's shape; more rows than one are run one by one.",
    )

"""Many rows through a model that takes a certain number of them at once.

Most models on devices are built for one picture at a time: their first axis is a batch of 1. Rows
are then run one after the other and put together again. A model that is built for more gets full
batches, the last one filled up with its last row, whose surplus answers are dropped.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from edge_sdk.backends.base import Array
from edge_sdk.errors import UsageError
from edge_sdk.spec import Signature

if TYPE_CHECKING:
    from edge_sdk.runtime import Session

Run = Callable[[Mapping[str, Array]], dict[str, Array]]
"""One run of a model: ``Session.run``, or what that is without its guard."""


def run_batch(
    run: Run, signature: Signature, inputs: Mapping[str, Array], rows: int | None
) -> dict[str, Array]:
    """See ``Session.run_batch``.

    Args:
        run: of one batch, or of one row.
        signature: what it takes, as the engine sees it.
        inputs, rows: as there.
    """
    if rows is not None and rows < 1:
        raise UsageError(f"{rows} rows at once are too few.", "Give 1 or more, or None for all.")
    arrays = _arrays(run, signature, inputs)
    count = _count(arrays)
    if all(arrays[t.name].ndim == len(t.shape) + 1 for t in signature.inputs):
        parts = [run({n: a[row] for n, a in arrays.items()}) for row in range(count)]
        return {name: np.stack([part[name] for part in parts]) for name in parts[0]}
    size = _rows_at_once(signature)
    step = size or min(rows or count, count)
    parts = []
    for start in range(0, count, step):
        part = {name: array[start : start + step] for name, array in arrays.items()}
        here = min(step, count - start)
        if size and here < size:
            part = {name: _filled(array, size) for name, array in part.items()}
        outputs = run(part)
        if parts == []:
            _check_rows(outputs, size or here)
        parts.append({name: array[:here] for name, array in outputs.items()})
    if len(parts) == 1:
        return parts[0]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def answer_many(session: Session, pictures: Sequence[tuple[Any, Any]]) -> list[Any]:
    """What a session says of each picture (with its colour order), as one batch where it can be.

    Its guard is not asked.
    """
    if not pictures:
        return []
    processing = session.processing
    fed = [processing.before(picture, colour) for picture, colour in pictures]
    if len(fed) == 1 or len(session.engine_signature.inputs) != 1:
        return [processing.after(session.run(inputs), geometry) for inputs, geometry in fed]
    (name,) = fed[0][0]
    outputs = session.run_batch({name: np.concatenate([inputs[name] for inputs, _ in fed])})
    return [
        processing.after({key: rows[at : at + 1] for key, rows in outputs.items()}, geometry)
        for at, (_, geometry) in enumerate(fed)
    ]


def _arrays(run: Run, signature: Signature, inputs: Mapping[str, Array]) -> Mapping[str, Array]:
    """The inputs, if they are arrays under the right names; if not, ``run`` says what is wrong."""
    wanted = {tensor.name for tensor in signature.inputs}
    if (
        not isinstance(inputs, Mapping)
        or set(inputs) != wanted
        or not all(isinstance(array, np.ndarray) and array.ndim for array in inputs.values())
    ):
        run(inputs)
        raise UsageError("There are no rows in the inputs.", "Give arrays with a first axis.")
    return inputs


def _count(arrays: Mapping[str, Array]) -> int:
    counts = {name: len(array) for name, array in arrays.items()}
    if len(set(counts.values())) > 1:
        said = ", ".join(f"{name} {count}" for name, count in counts.items())
        raise UsageError(
            f"The inputs differ in their number of rows: {said}.", "Give each as many."
        )
    count = next(iter(counts.values()))
    if not count:
        raise UsageError("There are no rows in the inputs.", "Give at least one.")
    return count


def _rows_at_once(signature: Signature) -> int | None:
    """How many rows the model is built for; None where it leaves that open."""
    lengths = {tensor.shape[0] for tensor in signature.inputs if tensor.shape}
    fixed = {length for length in lengths if isinstance(length, int)}
    if len(fixed) > 1 or not all(tensor.shape for tensor in signature.inputs):
        takes = ", ".join(map(str, signature.inputs))
        raise UsageError(
            f"The model's inputs have no number of rows in common: {takes}.",
            "Put an axis before all of the model's own, or run them one by one.",
        )
    return next(iter(fixed), None)


def _filled(array: Array, size: int) -> Array:
    return np.concatenate([array, np.repeat(array[-1:], size - len(array), axis=0)])


def _check_rows(outputs: Mapping[str, Array], size: int) -> None:
    for name, array in outputs.items():
        if not array.ndim or len(array) != size:
            shape = "x".join(map(str, array.shape)) or "scalar"
            raise UsageError(
                f"The output {name!r} is {shape} for {size} rows: it has no axis of rows.",
                "Put an axis before all of the model's own, and each input is run by itself.",
            )

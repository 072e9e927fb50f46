"""What a record says of a decision: digests in place of what was asked, the answer in words."""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import sha256
from typing import Any

import msgspec
import numpy as np

from edge_sdk.errors import UsageError
from edge_sdk.processing import Mask
from edge_sdk.spec import Area, ArrayDigest, Boxes, Classes, OutputDigests, Placed, Placement


def placed(found: Placement) -> Placed:
    """Where it was answered."""
    return Placed(
        backend=found.backend,
        backend_version=found.backend_version,
        requested=found.requested,
        actual=found.actual,
        threads=found.threads,
        fallback=found.fallback,
    )


def digests(inputs: Any) -> dict[str, ArrayDigest]:
    """Of a picture, or of each array."""
    arrays = inputs if isinstance(inputs, Mapping) else {"picture": inputs}
    return {str(name): _digest(np.asarray(array)) for name, array in arrays.items()}


def in_words(answer: Any) -> Classes | Boxes | Area | OutputDigests:
    """What ``predict`` or ``run`` gave. Raises UsageError for anything else."""
    if isinstance(answer, Mask):
        return answer.area()
    if isinstance(answer, Mapping):
        return OutputDigests(outputs={n: _digest(np.asarray(a)) for n, a in answer.items()})
    if isinstance(answer, Classes | Boxes | Area):
        return answer
    raise UsageError(
        f"A {type(answer).__name__} is no answer of a session's.", "Pass what predict or run gave."
    )


def _digest(array: np.ndarray[Any, Any]) -> ArrayDigest:
    text = array.dtype.hasobject
    data = msgspec.json.encode(array.tolist()) if text else np.ascontiguousarray(array).data
    return ArrayDigest(
        dtype="string" if text else array.dtype.name,
        shape=array.shape,
        sha256=sha256(data).hexdigest(),
    )

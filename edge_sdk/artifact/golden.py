"""Golden vectors: a few real inputs with the original's answers; any machine can check itself.

``golden.npz`` is an ordinary ``.npz`` (in the container's canonical, uncompressed form) of arrays
``inputs/NAME`` and ``outputs/NAME``, one row per sample along a new first axis, and
``tolerance/VARIANT/OUTPUT``: how far, in the output's own units, that variant may be from the
original on these very inputs. Tensor names are percent-encoded, since engines put anything in them.

Reading accepts only what ``pack`` writes: numpy's own reader would evaluate a header's text, and
believe the sizes in it.

Format: numpy's NEP 1, version 1.0.
"""

from __future__ import annotations

import io
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, get_args
from urllib.parse import quote, unquote

import numpy as np
import numpy.typing as npt

from edge_sdk.artifact import container
from edge_sdk.errors import ArtifactError, UsageError
from edge_sdk.spec import DType
from edge_sdk.spec.contents import GOLDEN

MAX_SAMPLES = 16
FILE = GOLDEN

Arrays = Mapping[str, npt.NDArray[Any]]

_NUMBERS = frozenset(get_args(DType)) - {"int4", "string"}
_DTYPES = {np.dtype(name).newbyteorder("<").str: np.dtype(name) for name in _NUMBERS}
"""What the file calls a type, always in little-endian order, to the type."""
_HEADER = re.compile(
    rb"\x93NUMPY\x01\x00(?s:..)"
    rb"\{'descr': '([<|]\w\d)', 'fortran_order': False, "
    rb"'shape': \((\d{1,12}(?:, \d{1,12})*),?\), \} *\n"
)


@dataclass(frozen=True)
class Golden:
    """Inputs, the original's outputs, and each variant's tolerance.

    Attributes:
        inputs, outputs: by tensor name; shape (samples, *tensor shape), at most ``MAX_SAMPLES``.
        tolerance: variant id to output name to the greatest absolute difference allowed.
    """

    inputs: Arrays
    outputs: Arrays
    tolerance: Mapping[str, Mapping[str, float]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for problem in self._problems():
            raise UsageError(
                f"These golden vectors prove nothing: {problem}.",
                f"Give 1 to {MAX_SAMPLES} samples, a row each, or leave them out: --golden none",
            )

    def _problems(self) -> Iterator[str]:
        if not self.inputs or not self.outputs:
            yield "they need inputs and outputs"
        arrays = (*self.inputs.items(), *self.outputs.items())
        for name, array in arrays:
            if array.dtype.name not in _NUMBERS:
                yield f"{name!r} is of type {array.dtype}, not of numbers"
            if not array.ndim:
                yield f"{name!r} has no axis of samples"
        counts = {len(array) for _, array in arrays}
        if len(counts) > 1:
            yield f"all arrays need one row per sample, but have {sorted(counts)}"
        if not 1 <= len(self) <= MAX_SAMPLES:
            yield f"they have {len(self)} samples, not 1 to {MAX_SAMPLES}"
        for variant, limits in self.tolerance.items():
            for output, limit in limits.items():
                if not 0 <= limit < math.inf:
                    yield f"the tolerance of {variant} for {output!r} is {limit}"

    def __len__(self) -> int:
        return len(next(iter(self.inputs.values())))


def pack(golden: Golden) -> bytes:
    """The bytes of ``golden.npz``: the same vectors give the same bytes."""
    arrays: dict[str, npt.NDArray[Any]] = {
        **{f"inputs/{_encoded(name)}": array for name, array in golden.inputs.items()},
        **{f"outputs/{_encoded(name)}": array for name, array in golden.outputs.items()},
        **{
            f"tolerance/{variant}/{_encoded(output)}": np.array([limit], np.float64)
            for variant, limits in golden.tolerance.items()
            for output, limit in limits.items()
        },
    }
    contents: dict[str, container.Content] = {}
    for name in sorted(arrays):
        little = arrays[name].dtype.newbyteorder("<")
        member = io.BytesIO()
        np.lib.format.write_array(
            member,
            np.ascontiguousarray(arrays[name], dtype=little),
            version=(1, 0),
            allow_pickle=False,
        )
        contents[f"{name}.npy"] = member.getvalue()
    archive = io.BytesIO()
    container.write(archive, contents)
    return archive.getvalue()


def unpack(data: bytes, where: str) -> Golden:
    """Read ``golden.npz``. Raises ArtifactError if it is not what ``pack`` writes."""
    archive = container.Container(data, where)
    groups: dict[str, dict[str, npt.NDArray[Any]]] = {"inputs": {}, "outputs": {}}
    tolerance: dict[str, dict[str, float]] = {}
    for member in archive:
        parts = member.removesuffix(".npy").split("/")
        array = _read_array(archive.read(member), f"{where}: {member}")
        match parts:
            case [("inputs" | "outputs") as group, name]:
                groups[group][unquote(name)] = array
            case ["tolerance", variant, output] if array.shape == (1,):
                tolerance.setdefault(variant, {})[unquote(output)] = float(array[0].real)
            case _:
                raise ArtifactError(f"{where} holds {member!r}, which is no golden array.")
    try:
        golden = Golden(groups["inputs"], groups["outputs"], tolerance)
    except UsageError as error:
        raise ArtifactError(f"{where}: {error.message}") from error
    if pack(golden) != data:
        raise ArtifactError(f"{where} is not as edgeloop writes it.")
    return golden


def _encoded(tensor: str) -> str:
    return quote(tensor, safe="").replace("~", "%7E")


def _read_array(data: bytes, where: str) -> npt.NDArray[Any]:
    """One ``.npy`` whose header must promise exactly the bytes that follow it."""
    header = _HEADER.match(data)
    dtype = _DTYPES.get(header[1].decode()) if header else None
    if header is None or dtype is None:
        raise ArtifactError(f"{where} is not a plain array of numbers.")
    shape = tuple(int(length) for length in header[2].split(b","))
    try:
        return np.frombuffer(data, dtype.newbyteorder("<"), offset=header.end()).reshape(shape)
    except ValueError as error:  # more or fewer numbers, or axes that numpy does not have
        raise ArtifactError(f"{where} is not a readable array: {error}") from error

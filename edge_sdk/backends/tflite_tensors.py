"""What a TFLite file says of the tensors that go in and come out, read from the file itself.

LiteRT's CompiledModel tells their names, types and shapes, and nothing of quantization and open
lengths. An Interpreter would, and making one costs a tenth of the load; so where a model has been
looked at before, these few tables are read here. A .tflite is a FlatBuffer: tables whose fields are
found by number (TFLite's ``schema.fbs``), where a field that is not there has its default.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from struct import calcsize, unpack_from
from struct import error as StructError
from typing import Any

from edge_sdk.spec import Quantization, TensorSpec

_Bytes = bytes | mmap.mmap

_DTYPES: tuple[Any, ...] = (
    *("float32", "float16", "int32", "uint8", "int64", "string", "bool", "int16", "complex64"),
    *("int8", "float64", "complex128", "uint64", "resource", "variant", "uint32", "uint16"),
    *("int4", "bfloat16"),
)
"""In the order of ``TensorType``."""


@dataclass(frozen=True)
class Tensors:
    """Those of the first subgraph, of a model that has no other entry point.

    Attributes:
        named: inputs and outputs, by the names of its signature, or their own where it has none.
        shapes: as they are stored, 1 where a length is open; by the same names.
        signature: whether it has one that has a name.
    """

    named: dict[str, TensorSpec]
    shapes: dict[str, tuple[int, ...]]
    signature: bool


def read(model: Path | bytes) -> Tensors | None:
    """The tensors of a model; None where an engine has to be asked.

    That is where there are several signatures, and of what is no model or a damaged one, as an
    engine will say better.
    """
    try:
        if isinstance(model, bytes):
            return _tensors(model)
        with (
            model.open("rb") as file,
            mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content,
        ):
            return _tensors(content)
    except (OSError, StructError, ValueError, IndexError):
        return None


@dataclass(frozen=True, slots=True)
class _Table:
    """One table: where it begins."""

    data: _Bytes
    at: int

    def field(self, number: int) -> int:
        """Where a field is; 0 if it is not there."""
        rules = self.at - unpack_from("<i", self.data, self.at)[0]
        slot = 4 + 2 * number
        if rules < 0 or slot >= unpack_from("<H", self.data, rules)[0]:
            return 0
        offset = unpack_from("<H", self.data, rules + slot)[0]
        return self.at + int(offset) if offset else 0

    def number(self, number: int, kind: str) -> int:
        """A field that is one number, 0 by default; ``kind`` as ``struct`` has it."""
        field = self.field(number)
        return int(unpack_from(f"<{kind}", self.data, field)[0]) if field else 0

    def numbers(self, number: int, kind: str) -> tuple[Any, ...]:
        """A field that is a vector of numbers."""
        place, count = self._vector(number)
        if place + count * calcsize(kind) > len(self.data):
            raise ValueError("a vector ends outside")
        return unpack_from(f"<{count}{kind}", self.data, place) if count else ()

    def text(self, number: int) -> str:
        """A field that is text."""
        place, count = self._vector(number)
        return bytes(self.data[place : place + count]).decode()

    def table(self, number: int) -> _Table | None:
        """A field that is a table."""
        field = self.field(number)
        return self._referred(field) if field else None

    def tables(self, number: int) -> Iterator[_Table]:
        """A field that is a vector of tables."""
        place, count = self._vector(number)
        if place + 4 * count > len(self.data):
            raise ValueError("a vector ends outside")
        return (self._referred(place + 4 * n) for n in range(count))

    def one_of(self, number: int, index: int) -> _Table:
        """One table of a vector of tables."""
        place, count = self._vector(number)
        if not 0 <= index < count:
            raise IndexError(index)
        return self._referred(place + 4 * index)

    def _vector(self, number: int) -> tuple[int, int]:
        """Where a vector's elements begin, and how many there are."""
        if not (field := self.field(number)):
            return 0, 0
        vector = field + unpack_from("<I", self.data, field)[0]
        return vector + 4, int(unpack_from("<I", self.data, vector)[0])

    def _referred(self, place: int) -> _Table:
        return _Table(self.data, place + int(unpack_from("<I", self.data, place)[0]))


def _tensors(data: _Bytes) -> Tensors:
    if data[4:8] != b"TFL3":
        raise ValueError("no TFL3")
    model = _Table(data, unpack_from("<I", data)[0])
    graph = model.one_of(2, 0)
    names: dict[int, str] = {}
    signatures = list(model.tables(7))
    if len(signatures) > 1 or any(each.number(4, "I") or not each.text(2) for each in signatures):
        raise ValueError("there are other entry points")
    for signature in signatures:
        maps = (*signature.tables(0), *signature.tables(1))
        names = {each.number(1, "I"): each.text(0) for each in maps}
    specs, shapes = {}, {}
    for index in (*graph.numbers(1, "i"), *graph.numbers(2, "i")):
        tensor = graph.one_of(0, index)
        name = names.get(index) or tensor.text(3)
        shapes[name] = tensor.numbers(0, "i")
        specs[name] = TensorSpec(
            name=name,
            dtype=_DTYPES[tensor.number(1, "B")],
            shape=tuple(
                n if n >= 0 else f"dim{axis}"
                for axis, n in enumerate(tensor.numbers(7, "i") or shapes[name])
            ),
            quantization=_quantization(tensor.table(4)),
        )
    return Tensors(specs, shapes, bool(signatures))


def _quantization(table: _Table | None) -> Quantization | None:
    """One scale for all of the tensor; None if there is none, or one for every channel."""
    if table is None:
        return None
    scales, zeros = table.numbers(2, "f"), table.numbers(3, "q")
    if len(scales) != 1 or len(zeros) != 1 or not scales[0]:
        return None
    return Quantization(scale=scales[0], zero_point=zeros[0])

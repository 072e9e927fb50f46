"""Whether every reference in a TFLite file stays inside it.

tflite-runtime looks at nothing of the kind, nor does TensorFlow of a file that it maps: of one that
was cut short they die by a segmentation fault. LiteRT verifies by itself. A .tflite is a
FlatBuffer: tables that refer to each other by offsets. This follows those that an engine follows
when it opens a model (TFLite's ``schema.fbs``).
"""

from __future__ import annotations

import mmap
from collections.abc import Mapping
from pathlib import Path
from struct import error as StructError
from struct import unpack_from

from edge_sdk.errors import UsageError

_Field = tuple[str, int | str]
"""``("vector", bytes an element)``, ``("tables", name)``, ``("table", name)``; text is a vector."""

_TEXT: _Field = ("vector", 1)
_INTS: _Field = ("vector", 4)
_TABLES: Mapping[str, Mapping[int, _Field]] = {
    "Model": {
        1: ("tables", "OperatorCode"),
        2: ("tables", "SubGraph"),
        3: _TEXT,
        4: ("tables", "Buffer"),
        5: _INTS,
        6: ("tables", "Metadata"),
        7: ("tables", "SignatureDef"),
    },
    "OperatorCode": {1: _TEXT},
    "SubGraph": {0: ("tables", "Tensor"), 1: _INTS, 2: _INTS, 3: ("tables", "Operator"), 4: _TEXT},
    "Tensor": {0: _INTS, 3: _TEXT, 4: ("table", "Quantization"), 7: _INTS},
    "Quantization": {0: _INTS, 1: _INTS, 2: _INTS, 3: ("vector", 8)},
    "Operator": {
        1: _INTS,
        2: _INTS,
        4: ("table", "Options"),
        5: ("vector", 1),
        7: ("vector", 1),
        8: _INTS,
    },
    "Options": {},
    "Buffer": {0: ("vector", 1)},
    "Metadata": {0: _TEXT},
    "SignatureDef": {0: ("tables", "TensorMap"), 1: ("tables", "TensorMap"), 2: _TEXT},
    "TensorMap": {0: _TEXT},
}


def check(model: Path | bytes) -> None:
    """Follow a model's references.

    Raises:
        UsageError: one leads outside, or this is no TFLite model at all.
    """
    try:
        if isinstance(model, bytes):
            _walk(model)
        else:
            with (
                model.open("rb") as file,
                mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content,
            ):
                _walk(content)
    except (StructError, ValueError) as error:  # read beyond the end; an empty file is not mapped
        raise UsageError(
            "This is not a TFLite model, or it was cut short.",
            "Check the file: a .tflite has TFL3 at byte 4.",
        ) from error


def _walk(data: bytes | mmap.mmap) -> None:
    if data[4:8] != b"TFL3":
        raise ValueError("no TFL3")
    waiting, seen = [("Model", unpack_from("<I", data)[0])], set()
    while waiting:
        name, table = waiting.pop()
        if table in seen:
            continue
        seen.add(table)
        for field, (kind, what) in _fields(data, name, table):
            target = field + unpack_from("<I", data, field)[0]
            if kind == "table":
                waiting.append((str(what), target))
                continue
            count = unpack_from("<I", data, target)[0]
            each = 4 if kind == "tables" else int(what)
            if target + 4 + count * each > len(data):
                raise ValueError(f"a vector of {name} ends outside")
            if kind == "tables":
                places = range(target + 4, target + 4 + 4 * count, 4)
                waiting += [(str(what), at + unpack_from("<I", data, at)[0]) for at in places]


def _fields(data: bytes | mmap.mmap, name: str, table: int) -> list[tuple[int, _Field]]:
    """The places of the references that a table has, and what they refer to."""
    rules = table - unpack_from("<i", data, table)[0]
    if rules < 0:
        raise ValueError(f"a table of {name} has its rules outside")
    size, length = unpack_from("<HH", data, rules)
    if rules + size > len(data) or table + length > len(data):
        raise ValueError(f"a table of {name} ends outside")
    found = []
    for number, field in _TABLES[name].items():
        if 4 + 2 * number + 2 <= size:
            offset = unpack_from("<H", data, rules + 4 + 2 * number)[0]
            if offset:
                found.append((table + offset, field))
    return found

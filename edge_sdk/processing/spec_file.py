"""SPEC.toml: pre- and postprocessing of a model that has no manifest to declare them.

    [preprocess]            # kind = "image"; the fields of edge_sdk.spec.ImageInput
    input = "image"
    size = [224, 224]

    [postprocess]           # kind = "classification", "detection" or "segmentation"; its fields
    kind = "classification"
    output = "probabilities"

A file is read strictly: a key that nobody knows is a mistake of the writer's, and is refused with
the nearest right one. (A manifest is read leniently: there it may come from a newer edgeloop.)
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from edge_sdk.errors import UsageError
from edge_sdk.spec import (
    Classification,
    Detection,
    ImageInput,
    Postprocess,
    Preprocess,
    Segmentation,
    Word,
)
from edge_sdk.text import nearest
from edge_sdk.toml_file import read_text, read_toml

_TABLES: dict[str, dict[str, type[Word]]] = {
    "preprocess": {"image": ImageInput},
    "postprocess": {
        "classification": Classification,
        "detection": Detection,
        "segmentation": Segmentation,
    },
}


def read_processing(path: Path | str) -> tuple[Preprocess | None, Postprocess | None]:
    """Read a spec file; a table that is not there is None.

    Raises:
        UsageError: missing, unreadable, not TOML, an unknown key or a value of the wrong type.
        UnavailableError: Python 3.10 without ``tomli``.
    """
    path = Path(path)
    document = read_toml(path)
    if not document:
        raise UsageError(
            f"{path} declares nothing.", "Write a [preprocess] or a [postprocess] table in it."
        )
    for key in document:
        if key not in _TABLES:
            raise UsageError(f"{path} has an unknown table [{key}].", nearest(key, list(_TABLES)))
    words = {name: _word(path, name, document[name]) for name in _TABLES if name in document}
    return words.get("preprocess"), words.get("postprocess")


def read_labels(path: Path | str) -> tuple[str, ...]:
    """Class names, one a line, in the order of the classes; blank lines at the end are ignored.

    Raises:
        UsageError: missing, unreadable, empty, not UTF-8 text, or with a blank line in the middle.
    """
    path = Path(path)
    labels = tuple(line.strip() for line in read_text(path).rstrip().splitlines())
    if not labels:
        raise UsageError(f"{path} holds no labels.", "Write one class name a line.")
    if "" in labels:
        raise UsageError(
            f"Line {labels.index('') + 1} of {path} is blank.", "Write one class name a line."
        )
    return labels


def _word(path: Path, table: str, values: Any) -> Any:
    kinds = _TABLES[table]
    if not isinstance(values, dict):
        raise UsageError(f"{path}: {table} is not a table.", f"Begin it with [{table}].")
    kind = values.get("kind", next(iter(kinds)) if len(kinds) == 1 else None)
    if kind not in kinds:
        said = "has no kind" if kind is None else f"has kind {kind!r}, which there is not"
        raise UsageError(f"{path}: [{table}] {said}.", f"kind = {' or '.join(map(repr, kinds))}")
    refuse_unknown(f"{path}: [{table}]", values, kinds[kind])
    try:
        return msgspec.convert(values, kinds[kind])
    except msgspec.ValidationError as error:
        raise UsageError(
            f"{path}: [{table}] {plain(error)}.",
            "python -m pydoc edge_sdk.spec.processing   # explains each field",
        ) from error


def refuse_unknown(where: str, values: dict[str, Any], kind: type[msgspec.Struct]) -> None:
    """Hold the keys of a table against a word's fields. Raises UsageError naming the nearest."""
    fields = {field.encode_name: field.type for field in msgspec.structs.fields(kind)}
    for key, value in values.items():
        if key == "kind":
            continue
        if key not in fields:
            raise UsageError(f"{where} has an unknown key {key!r}.", nearest(key, list(fields)))
        inner = fields[key]
        if isinstance(value, dict) and isinstance(inner, type) and issubclass(inner, Word):
            refuse_unknown(f"{where} {key}", value, inner)


def plain(error: msgspec.ValidationError) -> str:
    """msgspec's words with the path first: ``size: expected `array` …``."""
    text, _, where = str(error).partition(" - at `$.")
    text = text[:1].lower() + text[1:]
    return f"{where.rstrip('`')}: {text}" if where else text

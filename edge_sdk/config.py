"""Typed configuration: default < file < environment < flag, and where each value came from.

A configuration is a frozen msgspec struct; its fields are the documentation. TOML gives it tables
for nested structs. The environment gives one variable a field, ``PREFIX`` and the path to it in
capitals, levels apart by two underscores:

    probation_s            EDGELOOP_AGENT_PROBATION_S=5
    apps.fashion.path      EDGELOOP_AGENT_APPS__FASHION__PATH=/srv/pictures

A key that nobody knows is a mistake of the writer's and is refused, in the file and in the
environment alike, with the nearest right one: a limit that is silently not set is found out at
night. (A manifest is read leniently: there it may come from a newer edgeloop.) Every limit is a
field with its unit in its name. Secrets are not values but paths of files.

A path written in the file, or left at its default, is relative to the file's folder, so that an
agent does the same wherever it is started; one from the environment or a flag is relative to where
it was typed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Generic, TypeVar

import msgspec
from msgspec import Meta, inspect

from edge_sdk.errors import UsageError
from edge_sdk.text import nearest, table
from edge_sdk.toml_file import parse_toml, read_toml

C = TypeVar("C", bound=msgspec.Struct)

PathText = Annotated[str, Meta(extra={"path": True})]
"""A field that is a path: made absolute as the module's docstring says; empty stays empty."""

DEFAULT = "default"


@dataclass(frozen=True, slots=True)
class Flag:
    """What a flag says that is not called as the key it sets.

    Attributes:
        value: of the key.
        written: the flag as it was typed, which is where the value came from: ``--app door=video``.
    """

    value: object
    written: str


@dataclass(frozen=True, slots=True)
class Configuration(Generic[C]):
    """A configuration, read.

    Attributes:
        value: the struct.
        origins: by dotted name, where each value came from: ``default``, the file's path, the
            environment variable's name, or the flag.
    """

    value: C
    origins: Mapping[str, str]

    def rows(self) -> list[tuple[str, str, str]]:
        """(dotted name, value as text, origin) of every leaf, in the struct's order."""
        plain = msgspec.to_builtins(self.value)
        return [
            (".".join(path), _text(leaf), self.origins.get(".".join(path), DEFAULT))
            for path, leaf in _leaves(plain)
        ]

    def text(self) -> str:
        """The rows as a table for people."""
        return table(("key", "value", "from"), self.rows())


def read_configuration(
    kind: type[C],
    file: Path | None,
    *,
    prefix: str,
    environment: Mapping[str, str],
    flags: Mapping[str, object],
) -> Configuration[C]:
    """Read a configuration from all its sources.

    Args:
        kind: the struct.
        file: TOML; None if there is none.
        prefix: of environment variables, with its final underscore (``EDGELOOP_AGENT_``).
        environment: the process's variables.
        flags: dotted name to value, or to a ``Flag`` where the flag has another name than
            ``--dotted.name``, for those flags that were given.

    Raises:
        UsageError: a file that cannot be read, an unknown key, or a value of the wrong type or out
            of its limits; names the key and where it was said.
        UnavailableError: Python 3.10 without ``tomli``.
    """
    described = inspect.type_info(kind)
    document: dict[str, Any] = {}
    origins: dict[str, str] = {}
    here = Path.cwd()
    said = [(path, leaf, str(file)) for path, leaf in _leaves(read_toml(file) if file else {})]
    said += [
        (*_read_variable(described, name, prefix, text), name)
        for name, text in sorted(environment.items())
        if name.startswith(prefix)
    ]
    for key, leaf in flags.items():
        flag = leaf if isinstance(leaf, Flag) else Flag(leaf, f"--{key}")
        said.append((tuple(key.split(".")), flag.value, flag.written))
    for path, leaf, origin in said:
        found = _field(described, path, origin)
        if _is_path(found) and isinstance(leaf, str) and leaf:
            base = file.parent if file and origin == str(file) else here
            leaf = str((here / base / leaf).resolve())  # noqa: PLW2901
        _put(document, path, leaf, origin)
        origins[".".join(path)] = origin
    try:
        value = msgspec.convert(document, kind)
    except msgspec.ValidationError as error:
        raise _wrong(error, kind, document, origins, file) from error
    return Configuration(_with_absolute_defaults(value, origins, file, here), origins)


def _leaves(document: object, above: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every value that is not a table, with its path; an empty table is a value."""
    if isinstance(document, dict) and (document or not above):
        for key, value in document.items():
            yield from _leaves(value, (*above, str(key)))
    else:
        yield above, document


def _field(kind: inspect.Type, path: tuple[str, ...], origin: str) -> inspect.Type:
    """The type of the field at ``path``. Raises UsageError if there is none."""
    for depth, key in enumerate(path):
        kind = _bare(kind)
        if isinstance(kind, inspect.StructType):
            fields = {field.encode_name: field.type for field in kind.fields}
            if key not in fields:
                where = f" in [{'.'.join(path[:depth])}]" if depth else ""
                raise UsageError(
                    f"{origin} has an unknown key {key!r}{where}.", nearest(key, fields)
                )
            kind = fields[key]
        elif isinstance(kind, inspect.DictType):
            kind = kind.value_type
        else:
            raise UsageError(
                f"{origin}: {'.'.join(path[:depth])} is a single value, not a table.",
                f"Write {path[depth - 1]} = …",
            )
    return kind


def _bare(kind: inspect.Type) -> inspect.Type:
    """The type under its metadata, and without its None."""
    if isinstance(kind, inspect.Metadata):
        return _bare(kind.type)
    if isinstance(kind, inspect.UnionType):
        others = [t for t in kind.types if not isinstance(t, inspect.NoneType)]
        return _bare(others[0]) if len(others) == 1 else kind
    return kind


def _is_path(kind: inspect.Type) -> bool:
    return isinstance(kind, inspect.Metadata) and bool((kind.extra or {}).get("path"))


def _read_variable(
    kind: inspect.Type, name: str, prefix: str, text: str
) -> tuple[tuple[str, ...], Any]:
    """Path and value of one environment variable: text where text is wanted, else TOML."""
    path = tuple(name[len(prefix) :].lower().split("__"))
    if isinstance(_bare(_field(kind, path, name)), inspect.StrType):
        return path, text
    try:
        return path, parse_toml(f"value = {text}", name)["value"]
    except UsageError as error:
        raise UsageError(
            f"{name}={text!r} cannot be read.", f"Write a TOML value: {name}=5 or {name}='[\"a\"]'"
        ) from error


def _put(document: dict[str, Any], path: tuple[str, ...], leaf: Any, origin: str) -> None:
    for depth, key in enumerate(path[:-1]):
        document = document.setdefault(key, {})
        if not isinstance(document, dict):
            raise UsageError(
                f"{origin}: {'.'.join(path[: depth + 1])} is a single value elsewhere, a table "
                "here."
            )
    document[path[-1]] = leaf


def _wrong(
    error: msgspec.ValidationError,
    kind: type[msgspec.Struct],
    document: dict[str, Any],
    origins: Mapping[str, str],
    file: Path | None,
) -> UsageError:
    """msgspec's words, with the key and the place it was said at before them."""
    words, _, where = str(error).partition(" - at `$")
    key = where.rstrip("`").lstrip(".")
    if "[...]" in key:
        words, key = _located(kind, document, key)
    origin = origins.get(key, str(file) if file else "the configuration")
    words = words[:1].lower() + words[1:]
    if "missing required field" in words:
        name = words.rpartition(" ")[2].strip("`")
        full = f"{key}.{name}".lstrip(".")
        return UsageError(f"{origin} lacks {full!r}.", f"Write {name} = … there.")
    return UsageError(f"{origin}: {key or 'it'}: {words}.", "Correct it and try again.")


def _located(kind: type[msgspec.Struct], document: dict[str, Any], key: str) -> tuple[str, str]:
    """The words and the key of an error in one of several tables, which msgspec does not name."""
    above, _, below = key.partition("[...]")
    path = tuple(above.split("."))
    tables: Any = document
    for part in path:
        tables = tables[part]
    described = _bare(_field(inspect.type_info(kind), (*path, next(iter(tables))), ""))
    if isinstance(described, inspect.StructType):
        for name, values in tables.items():
            try:
                msgspec.convert(values, described.cls)
            except msgspec.ValidationError as error:
                words, _, where = str(error).partition(" - at `$")
                return words, f"{above}.{name}{where.rstrip('`')}"
    return f"a key or a value is wrong{below}", above


def _with_absolute_defaults(
    value: C, origins: Mapping[str, str], file: Path | None, here: Path
) -> C:
    """The struct with the paths that nobody named made absolute."""
    base = here / file.parent if file else here
    changed = {}
    for field in inspect.type_info(type(value)).fields:  # type: ignore[attr-defined]
        text = getattr(value, field.name)
        if _is_path(field.type) and text and field.encode_name not in origins:
            changed[field.name] = str((base / text).resolve())
    return msgspec.structs.replace(value, **changed) if changed else value


def _text(leaf: object) -> str:
    return leaf if isinstance(leaf, str) else msgspec.json.encode(leaf).decode()

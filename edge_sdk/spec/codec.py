"""Words to bytes and back: one canonical JSON form, and decoding that says what is wrong.

Canonical means: fields in declaration order, mapping keys sorted, two-space indent, one final
newline. The same word always gives the same bytes, so a digest of the bytes names the word.

JSON knows no NaN and no infinity: they are written as null. And words are not checked when they
are made; so what could not be read back is refused when it is written, not on the device that
gets it.
"""

from __future__ import annotations

import threading
from typing import Annotated, Any, TypeVar

import msgspec

from edge_sdk.errors import ArtifactError, UnavailableError, UsageError
from edge_sdk.spec.manifest import SCHEMA, Manifest
from edge_sdk.spec.version import AGENT_VERSION, precedence
from edge_sdk.spec.word import Word

W = TypeVar("W", bound=Word)

UNREADABLE = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
"""What msgspec raises of bytes that it cannot read; the last two are not in its own hierarchy."""

_met: set[Any] = set()
_meeting = threading.Lock()


def meet(kind: Any) -> None:
    """Have msgspec learn a kind of word, and all that is in it, before it decodes one.

    It would do so when it first decodes one, and ends the whole process (0.22, SIGSEGV) where two
    threads come to that at the same time.
    """
    if kind in _met:
        return
    with _meeting:
        msgspec.json.Decoder(kind)
        _met.add(kind)


def encode(word: Word) -> bytes:
    """The canonical JSON of ``word``, UTF-8.

    Raises:
        UsageError: a field holds what ``decode`` would refuse: a name that is not one, text that is
            not Unicode, a number that is not finite where there must be one.
    """
    try:
        plain = msgspec.to_builtins(word, order="deterministic", str_keys=True)
        compact = msgspec.json.encode(plain)
        meet(type(word))
        msgspec.json.decode(compact, type=type(word))
    except (msgspec.MsgspecError, UnicodeEncodeError) as error:
        raise UsageError(f"This {type(word).__name__} cannot be written: {error}.") from error
    return msgspec.json.format(compact, indent=2) + b"\n"


def decode(data: bytes, kind: type[W], where: str) -> W:
    """Read a ``kind`` from JSON; fields it does not know are ignored.

    Raises:
        ArtifactError: not JSON, or not of that shape; ``where`` names the file.
    """
    meet(kind)
    try:
        return msgspec.json.decode(data, type=kind)
    except UNREADABLE as error:
        raise ArtifactError(f"{where} cannot be read: {error}.") from error


class _Header(Word, frozen=True, kw_only=True):
    """The part of a manifest that every edgeloop, however old, can read."""

    schema: Annotated[int, msgspec.Meta(ge=1)]
    min_agent: str = "0.0.0"


def decode_manifest(data: bytes, where: str = "manifest.json") -> Manifest:
    """Read a manifest, refusing one that needs a newer edgeloop before reading the rest of it.

    Raises:
        UnavailableError: the artifact needs a newer edgeloop.
        ArtifactError: the manifest is malformed.
    """
    header = decode(data, _Header, where)
    if header.schema > SCHEMA or precedence(header.min_agent) > precedence(AGENT_VERSION):
        raise UnavailableError(
            f"{where} asks for edgeloop {header.min_agent} (schema {header.schema}); "
            f"this is {AGENT_VERSION} (schema {SCHEMA}).",
            "pip install --upgrade edgeloop",
        )
    return decode(data, Manifest, where)

"""Saying something on stdout before the end: a command that runs for ever has to say it is ready.

``edge`` keeps stdout for results alone (see ``edge_sdk.cli.main``), so a plain ``print`` ends up on
stderr. What is announced is a result too: one line of JSON with ``--json``, else text.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

import msgspec


@dataclass(frozen=True, slots=True)
class _Stdout:
    descriptor: int
    as_json: bool


_open: list[_Stdout] = []


@contextmanager
def announcing(descriptor: int, as_json: bool) -> Iterator[None]:
    """Announcements within go to this descriptor."""
    _open.append(_Stdout(descriptor, as_json))
    try:
        yield
    finally:
        _open.pop()


def announce(value: msgspec.Struct | dict[str, object], text: str) -> None:
    """Write one line of JSON, or the text, now; outside ``edge`` nobody listens."""
    if not _open:
        return
    stdout = _open[-1]
    line = msgspec.json.encode(value) if stdout.as_json else text.encode(errors="backslashreplace")
    rest = memoryview(line + b"\n")
    with suppress(BrokenPipeError):  # whoever started us does not listen, and we have work to do
        while rest:
            rest = rest[os.write(stdout.descriptor, rest) :]

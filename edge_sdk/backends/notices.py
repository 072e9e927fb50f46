"""Keeping an engine's birth notice off people's terminals.

LiteRT prints "INFO: Created TensorFlow Lite XNNPACK delegate for CPU." from C++ as soon as it makes
an interpreter, and offers no way to say less. For the few milliseconds that takes, descriptor 2
points at a file in memory; afterwards everything else that was written there is passed on.
"""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_FORMALITY = re.compile(rb"\s*(?:INFO:|WARNING:|[IW]\d{4} |\xe2\x94\x94)")
"""How lines begin that LiteRT's CompiledModel writes of what it does, in three styles of log."""

_NOTICES = (b"INFO: Created TensorFlow Lite XNNPACK delegate for CPU.",)
_one_at_a_time = threading.RLock()  # what is inside may listen too, and hears it alone


@contextmanager
def without_notices() -> Iterator[None]:
    """Pass on what is printed to stderr inside, less the lines that say nothing."""
    with overheard() as said:
        yield
    if told := b"".join(line for line in said if line.strip() not in _NOTICES):
        os.write(2, told)


@contextmanager
def without_formalities() -> Iterator[None]:
    """Likewise, less all that an engine logs of the course of things."""
    said: list[bytes] = []
    try:
        with overheard() as said:
            yield
    finally:
        if told := b"".join(line for line in said if not _FORMALITY.match(line)):
            os.write(2, told)


@contextmanager
def overheard() -> Iterator[list[bytes]]:
    """Keep what is printed to stderr inside; the lines are in the list afterwards."""
    said: list[bytes] = []
    with _one_at_a_time, os.fdopen(os.memfd_create("stderr"), "w+b") as file:
        try:
            real = os.dup(2)
        except OSError:  # started with stderr closed: nobody reads it
            yield said
            return
        os.dup2(file.fileno(), 2)
        try:
            yield said
        finally:
            os.dup2(real, 2)
            os.close(real)
            file.seek(0)
            said += file.read().splitlines(keepends=True)


def complaints(said: list[bytes]) -> str:
    """What LiteRT's log says beyond the course of things, on one line."""
    lines = [line for line in said if line.strip() and not _FORMALITY.match(line)]
    return " ".join(b" ".join(lines).decode(errors="replace").split())

"""Keeping an engine's birth notice off people's terminals.

LiteRT prints "INFO: Created TensorFlow Lite XNNPACK delegate for CPU." from C++ as soon as it makes
an interpreter, and offers no way to say less. For the few milliseconds that takes, descriptor 2
points at a file in memory; afterwards everything else that was written there is passed on.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_NOTICES = (b"INFO: Created TensorFlow Lite XNNPACK delegate for CPU.",)
_one_at_a_time = threading.Lock()


@contextmanager
def without_notices() -> Iterator[None]:
    """Pass on what is printed to stderr inside, less the lines that say nothing."""
    with _one_at_a_time, os.fdopen(os.memfd_create("stderr"), "w+b") as file:
        try:
            real = os.dup(2)
        except OSError:  # started with stderr closed: nobody reads it
            yield
            return
        os.dup2(file.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(real, 2)
            file.seek(0)
            lines = file.read().splitlines(keepends=True)
            told = b"".join(line for line in lines if line.strip() not in _NOTICES)
            if told:
                os.write(2, told)
            os.close(real)

"""Keeping an engine's birth notice off people's terminals.

LiteRT prints "INFO: Created TensorFlow Lite XNNPACK delegate for CPU." from C++ as soon as it makes
an interpreter, and offers no way to say less. For the time that takes, descriptor 2 points at a
file in memory. It is the whole process's descriptor: what its other threads write meanwhile, a log
say, ends up there too, and is passed on afterwards. So it is the engines' own lines that are known
here, by how they begin, and not what others may write.
"""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from edge_sdk.files import memory_file

_ENGINES = re.compile(
    rb"\s*(?:\x1b\[[\d;]*m)?"
    rb"(?:(?:INFO|WARNING|ERROR|VERBOSE|FATAL|Warning|Error): |[IWEF]\d{4} \d\d:\d\d:|\xe2\x94\x94"
    rb"|error: XDG_RUNTIME_DIR|- While |at \w+ \(third_party/"  # a Vulkan driver's, Dawn's
    rb"|\S+: Operation is not supported|.*\d operations will run on the [CG]PU"
    rb"|To enable the following instructions: |at \S+\(.*\) \(|=== Source Location|third_party/"
    rb"|\d{4}-\d\d-\d\d [\d:.]+ \[[VIWEF]:onnxruntime|$)"
)
"""How lines begin that LiteRT, its WebGPU accelerator and ONNX Runtime write; some are empty."""
_FORMALITY = re.compile(
    rb"\s*(?:INFO:|WARNING:|[IW]\d{4} |\xe2\x94\x94|To enable the following instructions: )"
)
"""How lines begin that LiteRT's CompiledModel and TensorFlow write of what they do, in three styles
of log, one of which goes on in a second line."""

_NOTICES = (b"INFO: Created TensorFlow Lite XNNPACK delegate for CPU.",)
_one_at_a_time = threading.RLock()  # what is inside may listen too, and hears it alone


@contextmanager
def without_notices() -> Iterator[None]:
    """Pass on what is printed to stderr inside, less the lines that say nothing."""
    with overheard() as said:
        yield
    _pass_on([line for line in said if line.strip() not in _NOTICES])


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
    """Keep what an engine prints to stderr inside; its lines are in the list afterwards."""
    said: list[bytes] = []
    with _one_at_a_time, memory_file() as file:
        try:
            real = os.dup(2)
        except OSError:  # started with stderr closed: nobody reads it
            yield said
            return
        os.dup2(file.fileno(), 2)
        try:
            yield said
        finally:
            # What others wrote goes on before they can write past it, or it would come too late.
            so_far = _written(file.fileno(), 0)
            so_far = so_far[: so_far.rfind(b"\n") + 1]  # whole lines
            said += _pass_on_foreign(so_far, real)
            os.dup2(real, 2)
            os.close(real)
            said += _pass_on_foreign(_written(file.fileno(), len(so_far)), 2)


def _written(descriptor: int, start: int) -> bytes:
    """What is in the file from there on. Its position stays: who writes to it shares that."""
    return os.pread(descriptor, os.fstat(descriptor).st_size - start, start)


def _pass_on_foreign(text: bytes, descriptor: int) -> list[bytes]:
    """Pass on what no engine wrote; an engine's lines."""
    said: list[bytes] = []
    foreign: list[bytes] = []
    for line in text.splitlines(keepends=True):
        (said if _ENGINES.match(line) else foreign).append(line)
    _pass_on(foreign, descriptor)
    return said


def _pass_on(lines: list[bytes], descriptor: int = 2) -> None:
    rest = b"".join(lines)
    while rest:
        try:
            rest = rest[os.write(descriptor, rest) :]
        except OSError:  # nobody reads it
            return


def complaints(said: Sequence[bytes]) -> str:
    """What LiteRT's log says beyond the course of things, on one line."""
    lines = [line for line in said if line.strip() and not _FORMALITY.match(line)]
    return " ".join(b" ".join(lines).decode(errors="replace").split())

"""Running foreign engines: their chatter kept, their crashes turned into our errors.

TensorFlow, coremltools and the quantizers print on both streams, from Python and from C++, and what
they print matters only when they fail. While one works, file descriptors 1 and 2 point at a file in
memory; if it raises, the end of that file goes into the error.
"""

from __future__ import annotations

import ctypes
import errno
import gc
import logging
import os
import re
import signal
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from types import FrameType
from typing import Any

from edge_sdk.errors import ConversionError, EdgeError, UnavailableError

TAIL_LINES = 12
MOST_SAID = 600

EXTRA_OF = {
    "tensorflow": "convert",
    "keras": "convert",
    "coremltools": "convert",
    "ai_edge_litert": "convert",
    "tf2onnx": "convert",
    "onnx": "convert",
    "onnxruntime": "convert",
    "flatbuffers": "convert",
    "litert_quantizer": "convert",
    "cv2": "vision",
    "torch": "convert,torch",
    "litert_torch": "convert,torch",
    "onnxscript": "convert,torch",
}


def engine(module: str) -> Any:
    """Import a foreign engine, quietly.

    Raises:
        UnavailableError: it is not installed or does not import; names the extra that brings it.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    root = module.partition(".")[0]
    try:
        with quiet():
            return import_module(module)
    except ImportError as error:
        raise UnavailableError(
            f"This needs {root}, which is not usable here: {error}",
            f"pip install 'edgeloop[{EXTRA_OF[root]}]'",
        ) from error


def tool_version(distribution: str) -> str:
    """The installed version of a distribution, for the provenance.

    Some builds of an engine are distributions of another name (``tensorflow-cpu``).
    """
    try:
        return version(distribution)
    except PackageNotFoundError:
        return str(getattr(engine(distribution), "__version__", "unknown"))


def give_back_memory() -> None:
    """Return to the system what was freed: TensorFlow's activations leave hundreds of megabytes.

    The C library keeps them for this process, and the engine that works next would pile its own
    upon them. Where it is not glibc, nothing is done.
    """
    gc.collect()
    with suppress(AttributeError, OSError):
        ctypes.CDLL(None).malloc_trim(0)


@contextmanager
def quiet() -> Iterator[None]:
    """Keep everything that is printed inside off both streams."""
    with _captured():
        yield


@contextmanager
def at_work(
    what: str, remedy: str = "", gist: Callable[[str], str] | None = None
) -> Iterator[None]:
    """Run a foreign engine: quiet while it works, explained when it fails.

    Args:
        what: the deed, to begin a sentence with: ``"Converting to Core ML"``.
        remedy: what a person can do about a failure.
        gist: finds what matters in the words of the engine's exception; if it finds nothing, they
            are told as they are.

    Raises:
        ConversionError: the engine raised; its own words and the end of its chatter are inside.
        UnavailableError: it ran out of disk.
    """
    with _captured() as chatter:
        try:
            yield
        except (EdgeError, KeyboardInterrupt, MemoryError):
            raise
        except Exception as error:
            # Any exception: engines raise built-in ones of every kind, and all mean the same here.
            if _is_about_disk(error):
                raise UnavailableError(
                    f"{what} failed: there is no room for its temporary files.",
                    f"df -h {os.environ.get('TMPDIR', '/tmp')}   # make room there, or set TMPDIR",
                ) from error
            matter = gist(str(error)) if gist else ""
            said = matter or _sentence(str(error)) or type(error).__name__
            tail = "" if matter else "\n".join(_telling(chatter())[-TAIL_LINES:])
            hint = "\n".join(
                part for part in (remedy, tail and f"The engine said:\n{tail}") if part
            )
            raise ConversionError(f"{what} failed: {said}", hint) from error


def _is_about_disk(error: Exception) -> bool:
    """Whether the disk was full: an OSError, or what TensorFlow and coremltools make of it."""
    codes = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
    signs = [*map(os.strerror, codes), "[MIL FileWriter]"]
    return (isinstance(error, OSError) and error.errno in codes) or any(
        sign in str(error) for sign in signs
    )


def _sentence(text: str) -> str:
    """An exception's words on one line, without colours and without the stack some have inside."""
    lines = [
        line
        for line in re.sub(r"\x1b\[[0-9;]*m", "", text).splitlines()
        if not re.match(r'\s*File "|\s*Detected at node|\s*Stack trace for op', line)
    ]
    return " ".join(" ".join(lines).split())[:MOST_SAID]


def _telling(lines: list[str]) -> list[str]:
    """What was printed, less empty lines and progress bars."""
    return [line for line in lines if line.strip() and not re.search(r"\d+%\|", line)]


@contextmanager
def _captured() -> Iterator[Any]:
    """Point descriptors 1 and 2 at a file in memory; yields a reader of its lines so far."""
    _flush()
    kept = {number: os.dup(number) for number in (1, 2)}
    memory = os.memfd_create("chatter")
    with os.fdopen(memory, "w+b") as file, warnings.catch_warnings(), _interrupts_kept():
        warnings.simplefilter("ignore")

        def lines() -> list[str]:
            file.seek(0)
            return file.read().decode(errors="replace").splitlines()

        disabled = logging.root.manager.disable
        logging.disable(logging.ERROR)
        try:
            for number in kept:
                os.dup2(file.fileno(), number)
            yield lines
        finally:
            logging.disable(disabled)
            _flush()
            for number, copy in kept.items():
                os.dup2(copy, number)
                os.close(copy)


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:  # as it is in a program that was started with it closed
            stream.flush()


@contextmanager
def _interrupts_kept() -> Iterator[None]:
    """Raise in the end the interrupt that an engine swallowed: coremltools has bare ``except``s."""
    before: dict[int, Callable[[int, FrameType | None], Any]] = {}
    caught: list[int] = []

    def note(number: int, frame: FrameType | None) -> None:
        caught.append(number)
        before[number](number, frame)

    try:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            handler = signal.getsignal(number)
            if callable(handler) and threading.current_thread() is threading.main_thread():
                before[number] = handler
                signal.signal(number, note)
        yield
    except Exception as error:
        if caught:
            raise KeyboardInterrupt from error
        raise
    finally:
        for known, handler in before.items():
            signal.signal(known, handler)
    if caught:
        raise KeyboardInterrupt

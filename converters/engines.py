"""Running foreign engines: their chatter kept, their crashes turned into our errors.

TensorFlow, coremltools and the quantizers print on both streams, from Python and from C++, and what
they print matters only when they fail. While one works, file descriptors 1 and 2 point at a
temporary file; if it raises, the end of that file goes into the error.
"""

from __future__ import annotations

import logging
import os
import sys
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from importlib.metadata import version
from typing import Any

from edge_sdk.errors import ConversionError, EdgeError, UnavailableError

TAIL_LINES = 12

EXTRA_OF = {
    "tensorflow": "convert",
    "keras": "convert",
    "coremltools": "convert",
    "tf2onnx": "convert",
    "onnx": "convert",
    "litert_quantizer": "convert",
    "cv2": "vision",
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
    """The installed version of a distribution, for the provenance."""
    return version(distribution)


@contextmanager
def quiet() -> Iterator[None]:
    """Keep everything that is printed inside off both streams."""
    with _captured():
        yield


@contextmanager
def at_work(what: str, remedy: str = "") -> Iterator[None]:
    """Run a foreign engine: quiet while it works, explained when it fails.

    Args:
        what: the deed, to begin a sentence with: ``"Converting to Core ML"``.
        remedy: what a person can do about a failure.

    Raises:
        ConversionError: the engine raised; its own words and the end of its chatter are inside.
    """
    with _captured() as chatter:
        try:
            yield
        except (EdgeError, KeyboardInterrupt, MemoryError):
            raise
        except Exception as error:
            # Any exception: engines raise built-in ones of every kind, and all mean the same here.
            said = " ".join(str(error).split()) or type(error).__name__
            tail = "\n".join(chatter()[-TAIL_LINES:])
            hint = "\n".join(
                part for part in (remedy, tail and f"The engine said:\n{tail}") if part
            )
            raise ConversionError(f"{what} failed: {said[:600]}", hint) from error


@contextmanager
def _captured() -> Iterator[Any]:
    """Point descriptors 1 and 2 at a temporary file; yields a reader of its lines so far."""
    sys.stdout.flush()
    sys.stderr.flush()
    kept = os.dup(1), os.dup(2)
    with tempfile.TemporaryFile() as file, warnings.catch_warnings():
        warnings.simplefilter("ignore")

        def lines() -> list[str]:
            file.seek(0)
            return file.read().decode(errors="replace").splitlines()

        disabled = logging.root.manager.disable
        logging.disable(logging.ERROR)
        try:
            os.dup2(file.fileno(), 1)
            os.dup2(file.fileno(), 2)
            yield lines
        finally:
            logging.disable(disabled)
            sys.stdout.flush()
            sys.stderr.flush()
            os.dup2(kept[0], 1)
            os.dup2(kept[1], 2)
            for descriptor in kept:
                os.close(descriptor)

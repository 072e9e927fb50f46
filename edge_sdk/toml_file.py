"""Reading TOML, on Pythons that can and on the one that cannot by itself."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import Any

from edge_sdk.errors import UnavailableError, UsageError


def read_toml(path: Path) -> dict[str, Any]:
    """The document in ``path``.

    Raises:
        UsageError: missing, unreadable, not UTF-8 text, or not TOML.
        UnavailableError: Python 3.10 without ``tomli``.
    """
    return parse_toml(read_text(path), str(path))


def parse_toml(text: str, where: str) -> dict[str, Any]:
    """The document that ``text`` is; ``where`` names it in errors, which are ``read_toml``'s."""
    # tomllib came with Python 3.11; tomli is the same reader for 3.10.
    reader = "tomllib" if sys.version_info >= (3, 11) else "tomli"
    try:
        toml = importlib.import_module(reader)
    except ImportError as error:
        raise UnavailableError(
            f"{where} is TOML, which Python 3.10 cannot read by itself.", "pip install tomli"
        ) from error
    try:
        document: dict[str, Any] = toml.loads(text)
    except (toml.TOMLDecodeError, RecursionError) as error:
        raise UsageError(f"{where} is not TOML: {error}.", "See https://toml.io.") from error
    return document


def read_text(path: Path) -> str:
    """A file's text. Raises UsageError if it cannot be read or is not UTF-8."""
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise UsageError(
            f"{path} cannot be read: {error.strerror or error}.", "Check the path."
        ) from error
    except UnicodeDecodeError as error:
        raise UsageError(f"{path} is not UTF-8 text.", "Is it another kind of file?") from error

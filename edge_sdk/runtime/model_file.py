"""What lies at a path: an artifact, in a file or unpacked, or a bare model, and of which format."""

from __future__ import annotations

import os
from pathlib import Path
from stat import S_ISDIR, S_ISREG
from typing import TYPE_CHECKING

from edge_sdk.errors import UsageError
from edge_sdk.spec import Format
from edge_sdk.spec.contents import MANIFEST, SUFFIX

if TYPE_CHECKING:
    from edge_sdk.artifact import Artifact

BARE_FORMATS: dict[str, Format] = {".tflite": "tflite", ".onnx": "onnx"}

_ZIP_HEADER = b"PK\x03\x04"
_ZIP_NAME_AT = 30


def is_artifact(path: Path) -> bool:
    """Whether it is an artifact: by its name, or by what is in it, whatever it is called."""
    if path.suffix == SUFFIX:
        return True
    try:
        mode = path.stat().st_mode
        if not S_ISREG(mode):  # reading from what is no file might wait for ever
            return S_ISDIR(mode) and _is_folder(path)
        with path.open("rb", buffering=0) as file:
            head = file.read(_ZIP_NAME_AT + len(MANIFEST))
    except (OSError, ValueError):  # a NUL in the name
        return False
    return head.startswith(_ZIP_HEADER) and head[_ZIP_NAME_AT:] == MANIFEST.encode()


def open_artifact(path: Path) -> Artifact:
    """The artifact, in a file or unpacked. Raises as ``Artifact`` does."""
    from edge_sdk.artifact import Artifact, ArtifactFolder

    return ArtifactFolder(path) if _is_folder(path) else Artifact(path)


def bare_format(path: Path) -> Format:
    """What a bare model file is, by its suffix. Raises UsageError if it cannot be run as it is."""
    model_format = BARE_FORMATS.get(path.suffix.lower())
    if model_format is None:
        if not os.path.lexists(path):
            raise UsageError(f"{path} does not exist.", "Check the path.")
        raise UsageError(
            f"{path} is neither an artifact nor a model that can be run as it is.",
            f"Convert it first: edge convert {path} -o model.edge",
        )
    return model_format


def bare_model(path: Path) -> Path | bytes:
    """The file itself, for the engine to map; its bytes where engines cannot be told its name.

    Raises:
        UsageError: it cannot be read, or is empty.
    """
    try:
        with path.open("rb") as file:
            empty = not os.fstat(file.fileno()).st_size
            data = None if _is_text(path) else file.read()
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}.", "Check the path.") from error
    if empty:
        raise UsageError(f"{path} is empty.", "Export the model again.")
    return path if data is None else data


def _is_folder(path: Path) -> bool:
    return (path / MANIFEST).is_file()


def _is_text(path: Path) -> bool:
    """Whether its name is Unicode, as engines want it."""
    try:
        str(path).encode()
    except UnicodeEncodeError:
        return False
    return True

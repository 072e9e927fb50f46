"""Picture files: read whole or refused, written whole or not at all."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from edge_sdk.errors import UsageError
from edge_sdk.files import whole_file
from edge_sdk.pipeline.picture_bytes import decodable
from edge_sdk.processing.opencv import import_cv2
from edge_sdk.processing.picture import Picture

_SILENT = 0
_GIF = b"GIF8"
_SEVERAL = (_GIF, b"RIFF", b"II*\0", b"MM\0*")


def read_picture(path: Path | str) -> Picture:
    """A picture file as bytes, height x width x 3, RGB, turned upright as its EXIF says.

    Sixteen-bit pictures are scaled to eight, gray ones get three equal channels, alpha is dropped.

    Raises:
        UsageError: missing, a device, empty, cut off, or not a picture that OpenCV reads.
        UnavailableError: OpenCV is not installed.
    """
    path = Path(path)
    cv2 = import_cv2("Reading a picture")
    if path.is_char_device():  # one that never ends would fill the memory
        raise UsageError(f"{path} is a device, not a picture.", "Check the path.")
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UsageError(
            f"{path} cannot be read: {error.strerror or error}.", "Check the path."
        ) from error
    if not data:
        raise UsageError(f"{path} is empty.", "Copy or export it again.")
    whole = decodable(data)
    decoded = None
    with quiet(cv2):
        try:
            if whole is not None:
                decoded = cv2.imdecode(np.frombuffer(whole, np.uint8), cv2.IMREAD_COLOR)
        except cv2.error as error:  # sizes that OpenCV finds absurd
            raise UsageError(
                f"{path} cannot be decoded: {error.err}.", "Export it again."
            ) from error
    if decoded is None:
        raise UsageError(
            f"{path} is not a whole picture: it is cut off, damaged or something else.",
            f"file {path}   # says what it is; then copy or export it again",
        )
    picture: Picture = cv2.cvtColor(decoded, cv2.COLOR_BGR2RGB)
    return picture


def pictures_in(path: Path) -> int:
    """How many pictures a file has of which ``read_picture`` reads the first; 0 if it is none.

    Animated GIF and WebP, and TIFF with pages; what others have beyond the first is no picture.
    """
    cv2 = import_cv2("Reading a picture")
    with quiet(cv2):
        if not cv2.haveImageReader(str(path)):
            return 0
        with path.open("rb") as file:
            several = file.read(4) in _SEVERAL
        return max(1, int(cv2.imcount(str(path)))) if several else 1


def is_gif(path: Path) -> bool:
    """Whether its first bytes are a GIF's."""
    with path.open("rb") as file:
        return file.read(4) == _GIF


def write_picture(path: Path | str, picture: Picture) -> None:
    """Write an RGB picture in the format that the file's suffix names.

    Raises:
        UsageError: no such format, or the folder is missing or not writable.
        UnavailableError: the disk is full, or OpenCV is not installed.
    """
    path = Path(path)
    cv2 = import_cv2("Writing a picture")
    if not can_write_picture(path):
        raise UsageError(
            f"{path} does not end as a picture that OpenCV writes.",
            f"Call it {path.with_suffix('.png').name}.",
        )
    encoded = cv2.imencode(path.suffix, cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))[1]
    with whole_file(path) as file:
        file.write(encoded.tobytes())


def can_write_picture(path: Path) -> bool:
    """Whether OpenCV writes pictures of that suffix."""
    cv2 = import_cv2("Writing a picture")
    return bool(path.suffix) and bool(cv2.haveImageWriter(path.name))


@contextmanager
def quiet(cv2: Any) -> Iterator[None]:
    """Keep OpenCV from logging what we are about to say better."""
    log = cv2 if hasattr(cv2, "setLogLevel") else cv2.utils.logging  # OpenCV 4, OpenCV 5
    level = log.setLogLevel(_SILENT)
    try:
        yield
    finally:
        log.setLogLevel(level)

"""What a device must not forget, or older words could be played to it again.

One file, replaced atomically. It belongs to one director: after an enrolment into another fleet,
what was remembered of the old one is void. A file that cannot be read counts as forgotten: whoever
can spoil it could as well delete it, and a device that refused everything from then on would be
lost for good, while the fleet will tell it the newest Desired at once.
"""

from __future__ import annotations

import logging
from pathlib import Path

from edge_sdk.errors import ArtifactError
from edge_sdk.files import disk_error, whole_file
from edge_sdk.spec import Word, decode, encode
from edge_sdk.spec.deployment import Signed

_log = logging.getLogger(__name__)


class Remembered(Word, frozen=True, kw_only=True):
    """What was learnt from one fleet.

    Attributes:
        director: id of the key by which that fleet is known.
        newest: the newest Desired accepted, as it came.
        floor_ms: it is not earlier than this, Unix milliseconds: the fleet has signed it.
    """

    director: str
    newest: Signed | None = None
    floor_ms: int = 0


def recall(path: Path, director: str) -> Remembered:
    """What is remembered of the fleet with that director; an empty memory if nothing is.

    Raises:
        UsageError: the file is there and may not be read.
    """
    empty = Remembered(director=director)
    try:
        found = decode(path.read_bytes(), Remembered, str(path))
    except FileNotFoundError:
        return empty
    except OSError as error:
        raise disk_error(error, path) from error
    except ArtifactError as error:
        _log.warning("%s Starting with an empty memory.", error.message)
        return empty
    if found.director != director:
        _log.warning("%s is of another fleet. Starting with an empty memory.", path)
        return empty
    return found


def remember(path: Path, memory: Remembered) -> None:
    """Write it down, synced. Raises UnavailableError if the disk is full."""
    with whole_file(path) as file:
        file.write(encode(memory))

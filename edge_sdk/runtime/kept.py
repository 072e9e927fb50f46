"""What a machine has found out about a model, kept from one load to the next.

Small words, one in a file of its own, under a checksum of everything that they depend on: then
nothing has to be invalidated, and what no longer holds is never asked for again. A file is written
whole or not at all, and says itself what it is about; one that is damaged, or is about something
else of the same checksum, is as good as none. A folder that cannot be written costs the memory, not
the session.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Generic, TypeVar
from zlib import crc32

import msgspec

from edge_sdk.errors import EdgeError
from edge_sdk.files import whole_file
from edge_sdk.spec import Word
from edge_sdk.spec.codec import meet

MAX_FILES = 256
SUFFIX = ".json"

W = TypeVar("W", bound=Word)


class Kept(Generic[W]):
    """Words of one kind in a folder.

    Args:
        folder: for them alone; made when the first is kept.
        kind: what they are.
    """

    def __init__(self, folder: Path, kind: type[W]) -> None:
        self._folder = folder
        self._kind = kind

    def find(self, about: Mapping[str, str]) -> W | None:
        """The word about exactly that; None if there is none, or it cannot be read."""
        try:
            found = msgspec.json.decode(self._path(about).read_bytes(), type=dict[str, msgspec.Raw])
            if msgspec.json.decode(found["about"]) != dict(about):
                return None
            meet(self._kind)
            return msgspec.json.decode(found["word"], type=self._kind)
        except (OSError, KeyError, msgspec.MsgspecError, UnicodeDecodeError):
            return None

    def keep(self, about: Mapping[str, str], word: W) -> None:
        """Remember the word, and forget the oldest beyond ``MAX_FILES``."""
        with suppress(OSError, EdgeError):
            self._folder.mkdir(parents=True, exist_ok=True)
            with whole_file(self._path(about)) as file:
                file.write(msgspec.json.encode({"about": dict(about), "word": word}))
            files = sorted(self._folder.glob(f"*{SUFFIX}"), key=lambda path: path.stat().st_mtime)
            for old in files[:-MAX_FILES]:
                old.unlink()

    def _path(self, about: Mapping[str, str]) -> Path:
        text = json.dumps(dict(about), sort_keys=True)
        return self._folder / f"{crc32(text.encode()):08x}{SUFFIX}"

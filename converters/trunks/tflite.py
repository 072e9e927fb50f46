"""The trunk of .tflite sources: the file itself, ready for a quantizer."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from converters.sources.tflite import TfliteSource


class TfliteTrunk:
    """See ``FileTrunk``."""

    def __init__(self, source: TfliteSource, folder: Path) -> None:
        self._source = source

    def build(self) -> bytes:
        """See ``FileTrunk.build``."""
        return self._source.model

    def tools(self) -> Mapping[str, str]:
        """See ``Trunk.tools``."""
        return {}

"""What output files are called: after what is in them, numbered where two would be called alike."""

from __future__ import annotations

from pathlib import Path

from edge_sdk.pipeline.picture_file import can_write_picture


class Names:
    """Names in one folder, each given once: ``face.jpg``, then ``face-2.jpg``."""

    def __init__(self) -> None:
        self._taken: set[str] = set()

    def new(self, stem: str, suffix: str = "") -> str:
        """The next name that nobody has."""
        name, count = stem + suffix, 1
        while name in self._taken:
            count += 1
            name = f"{stem}-{count}{suffix}"
        self._taken.add(name)
        return name

    def picture(self, source: Path) -> str:
        """The name of what is made of a picture: its own, in a format that can be written."""
        return self.new(source.stem, source.suffix if can_write_picture(source) else ".png")

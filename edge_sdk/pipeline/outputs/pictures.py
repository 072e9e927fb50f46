"""Frames as a folder of pictures; one for each stream, where ``{stream}`` is in its name."""

from __future__ import annotations

from pathlib import Path

from edge_sdk.errors import UsageError
from edge_sdk.files import check_writable, disk_error, same_file
from edge_sdk.pipeline.frames import Frame
from edge_sdk.pipeline.names import STREAM, Names, StreamPaths
from edge_sdk.pipeline.picture_file import can_write_picture, write_picture
from edge_sdk.processing.picture import Picture


class PictureFolder:
    """A picture a frame, called after the picture it came from, or after its place in the stream.

    A picture keeps its format; one in a format that cannot be written becomes a ``.png``. Where
    two would be called alike, the second gets a number.

    Args:
        folder: made if it is not there; ``out/{stream}`` is one for each stream.
        suffix: of pictures that come from a video.
        name: for errors and metrics.

    Raises:
        UsageError: the folder cannot be made.
    """

    def __init__(self, folder: Path | str, suffix: str = ".jpg", *, name: str = "pictures") -> None:
        self.name = name
        self.folder = Path(folder)
        self._suffix = suffix
        if not can_write_picture(Path(f"x{suffix}")):
            raise UsageError(f"OpenCV writes no {suffix}.", "PictureFolder(…, suffix='.png')")
        self._paths = StreamPaths(self.folder)
        self._names: dict[Path, Names] = {}
        if STREAM not in str(self.folder):
            self._make(self.folder)

    def take(self, frame: Frame) -> None:
        """Write the picture. Raises as ``write_picture``, and UsageError for a second stream."""
        folder = self._paths.of(frame.stream)
        if folder != self.folder and not folder.is_dir():
            self._make(folder)
        if frame.time_s is not None:
            name = f"{frame.index:06d}{self._suffix}"
        elif same_file(folder, frame.source.parent):  # whatever they are called there
            raise UsageError(
                f"The inputs are in {folder} and would be overwritten.", "Name another folder."
            )
        else:
            name = self._names.setdefault(folder, Names()).picture(frame.source)
        picture: Picture = frame.rgb()
        write_picture(folder / name, picture)

    def _make(self, folder: Path) -> None:
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise disk_error(error, folder) from error
        check_writable(folder / f"x{self._suffix}")

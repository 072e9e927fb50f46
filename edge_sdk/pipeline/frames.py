"""Frames from what a person names: picture files, folders of pictures, videos.

What is wrong with a file is found before the first frame is answered wherever its first bytes can
tell; a picture or video that turns out to be cut off is refused, or reported, when it is reached.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal, TypeAlias

from edge_sdk.errors import UsageError
from edge_sdk.pipeline.containers import container_of
from edge_sdk.pipeline.pace import UNKNOWN_FPS
from edge_sdk.pipeline.picture_file import (
    can_write_picture,
    is_gif,
    pictures_in,
    quiet,
    read_picture,
)
from edge_sdk.pipeline.pool import PicturePool
from edge_sdk.processing.opencv import import_cv2
from edge_sdk.processing.picture import Picture, interleave, turned

_MOST_MISSED = 1000
"""Frames in a row that may fail to decode before the rest of a video is given up."""


@dataclass(frozen=True, slots=True)
class Frame:
    """One picture on its way.

    Attributes:
        picture: bytes, height x width x 3, in the order of ``colour``; or height x width, in gray.
        source: the file it comes from; of a camera or a stream, its address.
        index: its place in that file or stream, from 0.
        time_s: when it is shown, in seconds from the video's beginning; None for a still picture.
        colour: order of its channels. Cameras and decoders give BGR, and turning a whole picture
            around costs more than turning the few pixels that a model sees.
        stream: which of a pipeline's sources it is from.
        taken_s: when it was taken, by the pipeline's clock; its age counts from here.
        answers: what stages found in it, by the stage's name.
    """

    picture: Picture
    source: Path | str
    index: int = 0
    time_s: float | None = None
    colour: Literal["rgb", "bgr"] = "rgb"
    stream: str = ""
    taken_s: float = 0.0
    answers: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))

    def __reduce__(self) -> tuple[Any, ...]:
        """For another process: plain words, that another version of Python reads as well."""
        words = (self.index, self.time_s, self.colour, self.stream, self.taken_s)
        of_file = isinstance(self.source, Path)
        return _frame, (self.picture, str(self.source), of_file, *words, dict(self.answers))

    @property
    def moment_s(self) -> float:
        """When it was, on the clock of its stream: as its video shows it; of a still, as taken."""
        return self.taken_s if self.time_s is None else self.time_s

    def rgb(self) -> Picture:
        """The picture in RGB order; a copy only if it has the other one."""
        return self.picture if self.colour == "rgb" and self.picture.ndim == 3 else self.turned()

    def bgr(self) -> Picture:
        """The picture in BGR order; a copy only if it has the other one."""
        return self.picture if self.colour == "bgr" and self.picture.ndim == 3 else self.turned()

    def with_colour(self) -> Picture:
        """The picture with three channels, in its order; a copy only if it is gray."""
        return self.picture if self.picture.ndim == 3 else self.turned()

    def answered(self, name: str, answer: Any) -> Frame:
        """The same frame with one more answer."""
        return replace(self, answers={**self.answers, name: answer})

    def shows(self, picture: Picture) -> Frame:
        """The same frame with another picture, of the same colour order."""
        return replace(self, picture=picture)

    def arrived(self, stream: str, taken_s: float, index: int) -> Frame:
        """The same frame with its place in a pipeline's stream."""
        return replace(self, stream=stream, taken_s=taken_s, index=index)

    def turned(self) -> Picture:
        """A copy of the picture in the other colour order; of a gray one, with three channels."""
        picture = self.picture
        return turned(picture) if picture.ndim == 3 else interleave(picture, picture, picture)


def _frame(picture: Picture, source: str, of_file: bool, *words: Any) -> Frame:
    return Frame(picture, Path(source) if of_file else source, *words)


class Still:
    """A picture file: one frame.

    Attributes:
        announced: how many pictures the file has; the frame is the first of them.
        expected: how many frames will come.
    """

    expected: int = 1

    def __init__(self, path: Path) -> None:
        self.path = path
        self.announced = max(1, pictures_in(path))

    def frames(self) -> Iterator[Frame]:
        """Its one frame.

        Raises:
            UsageError: the picture is damaged.
        """
        yield Frame(read_picture(self.path), self.path)


class Clip:
    """A video file.

    Attributes:
        announced: how many frames its header speaks of, 0 if it does not say: containers without
            a count, such as Matroska, do so only where the end of the file is missing, by their
            duration. Fewer than these is a damaged file.
        expected: about how many will come, by the decoder's guess; 0 if it has none.
        fps: frames per second, 0.0 if it does not say.
        width, height: pixels.
    """

    def __init__(self, path: Path) -> None:
        cv2 = import_cv2("Reading a video")
        self.path = path
        with _Capture(cv2, path) as video:
            self.expected = max(0, int(video.get(cv2.CAP_PROP_FRAME_COUNT)))
            self.fps = max(0.0, float(video.get(cv2.CAP_PROP_FPS)))
            self.width = int(video.get(cv2.CAP_PROP_FRAME_WIDTH))
            self.height = int(video.get(cv2.CAP_PROP_FRAME_HEIGHT))
        container = container_of(path)
        self.announced = self.expected if container.counted or container.cut else 0

    def frames(
        self, colour: Literal["rgb", "bgr"] = "rgb", threads: int | None = None
    ) -> Iterator[Frame]:
        """Its frames, those behind a damaged stretch included, as far as they can be decoded.

        Args:
            colour: the order that is wanted; the decoder's own is BGR.
            threads: of the decoder, where FFmpeg is it; None for one a core.

        Raises:
            UsageError: there is not even one.
        """
        cv2 = import_cv2("Reading a video")
        place, read, missed, last_s = 0, 0, 0, -math.inf
        pool = PicturePool()
        with _Capture(cv2, self.path, threads) as video:
            while missed <= _MOST_MISSED:
                with quiet(cv2):
                    there, decoded = pool.read(video)
                if there:
                    if colour == "rgb":
                        decoded = cv2.cvtColor(decoded, cv2.COLOR_BGR2RGB)
                    time_s = video.get(cv2.CAP_PROP_POS_MSEC) / 1000
                    if not time_s > last_s:  # a decoder that does not say, or a file of pieces
                        time_s = last_s + 1 / (self.fps or UNKNOWN_FPS)
                    last_s = time_s
                    yield Frame(decoded, self.path, place, time_s, colour)
                    read, missed = read + 1, 0
                elif place >= self.expected:
                    break
                else:
                    missed += 1
                place += 1
        if read == 0:
            raise UsageError(
                f"Not one frame of {self.path} can be decoded.",
                f"ffmpeg -i {self.path} -pix_fmt yuv420p copy.mp4   # encode it anew",
            )


Source: TypeAlias = Still | Clip


class _Capture:
    """cv2.VideoCapture as a context manager, and with an error instead of silence."""

    def __init__(self, cv2: Any, path: Path, threads: int | None = None) -> None:
        # FFmpeg writes to stderr from C; this variable is the only way to its level of logging.
        os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
        with quiet(cv2):
            self._video = cv2.VideoCapture()
            if threads is not None:
                limits = [cv2.CAP_PROP_N_THREADS, threads]
                self._video.open(str(path), cv2.CAP_FFMPEG, limits)
            if not self._video.isOpened():  # another decoder may read it
                self._video.open(str(path))
        if not self._video.isOpened():
            raise _unreadable(path)

    def __enter__(self) -> Any:
        return self._video

    def __exit__(self, *_: object) -> None:
        self._video.release()


def open_sources(paths: Iterable[Path | str]) -> list[Source]:
    """The sources behind the paths, in order; a folder stands for its pictures, sorted by name.

    An animated GIF is a video; in a folder, one of its pictures.

    Raises:
        UsageError: a path is missing, empty or neither picture nor video, or there is none.
        UnavailableError: OpenCV is not installed.
    """
    sources: list[Source] = []
    for path in map(Path, paths):
        if path.is_dir():
            stills = [p for p in sorted(path.iterdir()) if p.is_file() and _is_meant(p)]
            if not stills:
                raise UsageError(
                    f"There are no pictures in the folder {path}.", f"ls {path}   # name the files"
                )
            sources += map(Still, stills)
        elif not path.exists():
            raise UsageError(f"{path} does not exist.", f"ls {path.parent}")
        elif path.stat().st_size == 0:
            raise UsageError(f"{path} is empty.", "Copy or export it again.")
        elif count := pictures_in(path):
            sources.append(Clip(path) if count > 1 and is_gif(path) else Still(path))
        elif can_write_picture(path):  # FFmpeg would take a text called x.png for a video
            raise _unreadable(path)
        else:
            sources.append(Clip(path))
    if not sources:
        raise UsageError("There is no input.", "Name pictures, folders of pictures or videos.")
    return sources


def _is_meant(path: Path) -> bool:
    """Whether a file in a folder is one of its pictures: one that is called so and is none, since
    it is empty or damaged, is not passed over in silence. Hidden files are other programs' own.
    """
    named = can_write_picture(path) and not path.name.startswith(".")
    return named or bool(pictures_in(path))


def _unreadable(path: Path) -> UsageError:
    return UsageError(
        f"{path} is neither a picture nor a video that OpenCV reads, or it is cut off.",
        f"file {path}   # says what it is; then copy or export it again",
    )

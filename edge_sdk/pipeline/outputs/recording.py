"""Frames as a video file.

A file holds one stream. Where a pipeline has several sources, the path has ``{stream}`` in it, and
each stream gets a file of its own; without it, a second stream is refused.
"""

from __future__ import annotations

import math
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType

import numpy as np

from edge_sdk.errors import UsageError
from edge_sdk.files import check_writable
from edge_sdk.pipeline.frames import Frame
from edge_sdk.pipeline.names import StreamPaths
from edge_sdk.pipeline.outputs.fed import Fed, refuse_inputs
from edge_sdk.pipeline.pace import MOST_FPS, MOST_REPEATED_S, Pace, rate_of
from edge_sdk.pipeline.parts import FrameSource
from edge_sdk.pipeline.sinks import VideoFile
from edge_sdk.processing.opencv import import_cv2
from edge_sdk.processing.picture import Picture, check_picture

_FIRST_FRAMES = 8
"""By so many a rate is found."""


class Recording:
    """A video file; it is there, whole, once the run has ended well.

    It lasts as long as what it shows: frames are placed by their ``time_s``, repeated where they
    are few and left out, counted as missed, where they are more than ``fps`` (see ``pace``). Frames
    without a time follow each other. A video of a constant rate keeps every frame. There is no
    sound in it.

    Args:
        path: ends in ``.mp4`` or ``.avi``; ``evening-{stream}.mp4`` writes one for each stream.
        fps: frames a second; 0.0, or over a thousand as FFmpeg says where it does not know, for
            each stream's own.
        name: for errors and metrics.

    Raises:
        UsageError: it cannot be written there, or that is no rate.
    """

    def __init__(self, path: Path | str, fps: float = 0.0, *, name: str = "recording") -> None:
        self.name = name
        self.path = Path(path)
        check_writable(self.path)
        VideoFile(self.path)  # whether it can be one is told now
        if not (math.isfinite(fps) and fps >= 0):
            raise UsageError(
                f"A video of {fps:g} frames a second cannot be.", "Leave it out: Recording(PATH)"
            )
        self._fps = fps if fps <= MOST_FPS else 0.0
        self._videos: dict[str, _Video] = {}
        self._paths = StreamPaths(self.path)
        self._files = ExitStack()
        self._running: Fed | None = None

    def begin(self, running: Fed) -> None:
        """Called by the pipeline."""
        self._running = running

    def take(self, frame: Frame) -> None:
        """Write the frame.

        Raises:
            UsageError: it is no picture, a second stream, or its file would be written over.
            UnavailableError: the disk is full, or OpenCV lacks the format.
        """
        picture = check_picture(frame.picture)
        video = self._videos.get(frame.stream)
        if video is None:
            video = self._videos[frame.stream] = self._begun(frame)
        video.take(frame.shows(picture))

    def _begun(self, frame: Frame) -> _Video:
        path = self._paths.of(frame.stream)
        if self._running is not None:
            refuse_inputs(path, self._running)
        source = self._source(frame.stream)
        told = getattr(source, "fps", 0.0) or 0.0  # a source of one's own may not have it
        told = told if 0 < told <= MOST_FPS else 0.0
        video = _Video(path, told, self.name, self._running, self._files)
        if self._fps:
            video.settle(self._fps)
        elif told and source is not None and source.live:  # its first frames may come in a burst
            video.settle(told)
        return video

    def _source(self, stream: str) -> FrameSource | None:
        sources = () if self._running is None else self._running.sources
        return next((source for source in sources if source.name == stream), None)

    def __enter__(self) -> Recording:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is not None:
            self._files.__exit__(kind, error, trace)
            return
        with self._files:
            for video in self._videos.values():
                video.settle()


class _Video:
    """One stream on its way into its file.

    Args:
        path: the file.
        told: frames a second, as its source says; 0.0 if it does not.
        sink: the recording's name.
        running: what is told of what is left out.
        files: closes the file.
    """

    def __init__(
        self, path: Path, told: float, sink: str, running: Fed | None, files: ExitStack
    ) -> None:
        self._path, self._told, self._sink = path, told, sink
        self._running, self._files = running, files
        self._first: list[Frame] = []
        self._pace: Pace | None = None
        self._file = VideoFile(path)
        self._last: Picture | None = None

    def take(self, frame: Frame) -> None:
        """Write it, or keep it until the rate is known."""
        if self._pace is not None:
            self._place(frame, self._pace)
            return
        self._first.append(frame)
        if len(self._first) >= _FIRST_FRAMES:
            self.settle()

    def settle(self, fps: float = 0.0) -> None:
        """Begin the file, at this rate or that of the first frames; once."""
        if self._pace is not None:
            return
        self._pace = Pace(fps or rate_of([frame.time_s for frame in self._first], self._told))
        self._file = self._files.enter_context(VideoFile(self._path, self._pace.fps))
        for frame in self._first:
            self._place(frame, self._pace)
        self._first.clear()

    def _place(self, frame: Frame, pace: Pace) -> None:
        again = pace.repeats(frame.time_s)
        if again is None:
            if self._running is not None:
                reason = f"more than {pace.fps:.4g} a second"
                self._running.metrics.miss(self._sink, reason)
            return
        if again >= pace.most:
            self._warn(
                f"{frame.stream} gave nothing for longer than {MOST_REPEATED_S:g} s; {self._path} "
                "shows no more than that of it."
            )
        picture = self._fitted(frame.bgr(), frame.stream)
        for _ in range(again):
            self._file.write(picture if self._last is None else self._last, "bgr")
        self._file.write(picture, "bgr")
        self._last = picture

    def _fitted(self, picture: Picture, stream: str) -> Picture:
        """The picture in the size of the first: a camera may come back with another, and a video
        has but one. Bars are left where its shape is another too.
        """
        height, width = picture.shape[:2]
        if self._last is None:
            self._tell_if_cut(width, height)
            return picture
        if self._last.shape == picture.shape:
            return picture
        high, wide = self._last.shape[:2]
        self._warn(
            f"{stream} goes on with {width} x {height}: fitted into the {wide} x {high} of "
            f"{self._path}."
        )
        share = min(wide / width, high / height)
        inner = max(1, round(width * share)), max(1, round(height * share))
        cv2 = import_cv2("Writing a video")
        how = cv2.INTER_AREA if share < 1 else cv2.INTER_LINEAR
        top, left = (high - inner[1]) // 2, (wide - inner[0]) // 2
        fitted = np.zeros_like(self._last)
        fitted[top : top + inner[1], left : left + inner[0]] = cv2.resize(
            picture, inner, interpolation=how
        )
        return fitted

    def _tell_if_cut(self, width: int, height: int) -> None:
        even = width & ~1, height & ~1
        if even != (width, height):
            self._warn(
                f"{self._path} is {even[0]} x {even[1]}, and not {width} x {height}: its codec "
                "wants even sides, so the last row or column is cut."
            )

    def _warn(self, text: str) -> None:
        if self._running is not None:
            self._running.metrics.warn(text)

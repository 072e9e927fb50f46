"""Videos and folders of pictures as a pipeline's source.

A video's pictures go on as the decoder gives them, in BGR: turning each of them around would cost
more than the model's few pixels do (``Frame.colour``).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from edge_sdk.errors import UsageError
from edge_sdk.machine.cores import usable_cores
from edge_sdk.pipeline.frames import Clip, Frame, Still
from edge_sdk.pipeline.parts import FrameSource, Running
from edge_sdk.pipeline.picture_file import quiet
from edge_sdk.processing.opencv import import_cv2


class ClipSource:
    """A video file.

    Args:
        clip: the file, or a path to it.
        paced: given at its own pace, like a camera, and dropped by who is too slow.
        repeat: from the beginning again, without end.

    Raises:
        UsageError: it is no video that OpenCV reads.
    """

    def __init__(
        self, clip: Clip | Path | str, *, paced: bool = False, repeat: bool = False
    ) -> None:
        self.clip = clip if isinstance(clip, Clip) else Clip(Path(clip))
        self.name = self.clip.path.name
        self.live = paced
        self.fps = self.clip.fps
        self._repeat = repeat

    def stream(self, running: Running) -> Iterator[Frame]:
        """Its frames; a file that is cut off is told of in the report's warnings.

        Raises:
            UsageError: not one frame can be decoded.
        """
        shown = 0
        while not running.stopping:
            read = place = 0
            for frame in self._once(running, shown):
                read, place = read + 1, frame.index - shown + 1
                yield frame
            shown += place
            there = max(place, self.clip.announced)  # its place tells of those that failed before
            if read < there and not running.stopping:
                running.metrics.warn(
                    f"{self.clip.path}: {read} of {there} frames can be decoded; the file is cut "
                    "off or damaged."
                )
            if not self._repeat or not read:
                break

    def _once(self, running: Running, shown: int) -> Iterator[Frame]:
        began = running.clock.now()
        # The stages need the other half. FFmpeg's threads wait for each other, and with one for
        # each of two cores a frame of 720p costs a fifth more of the processor than with one.
        for frame in self.clip.frames("bgr", threads=max(1, usable_cores() // 2)):
            if running.stopping:
                break
            if self.live:
                running.pause(began + (frame.time_s or 0.0) - running.clock.now())
            yield frame.arrived(self.name, running.clock.now(), shown + frame.index)


class FolderSource:
    """Picture files, one after another; one that cannot be read is dropped, counted and named.

    Args:
        stills: the files.
        name: what its frames are called after.
    """

    live = False
    fps = 0.0

    def __init__(self, stills: Sequence[Still], name: str) -> None:
        self.stills = tuple(stills)
        self.name = name

    def stream(self, running: Running) -> Iterator[Frame]:
        """A frame for each picture.

        Raises:
            UsageError: none of them can be read.
        """
        failure: UsageError | None = None
        read = 0
        with quiet(import_cv2("Reading pictures")):
            for index, still in enumerate(self.stills):
                if running.stopping:
                    return
                try:
                    (frame,) = still.frames()
                except UsageError as error:
                    failure = error
                    running.metrics.take()
                    running.metrics.drop(self.name, "a damaged picture")
                    running.metrics.warn(error.message)
                    continue
                read += 1
                if still.announced > 1:
                    running.metrics.warn(
                        f"{still.path}: only the first of its {still.announced} pictures is used."
                    )
                yield frame.arrived(self.name, running.clock.now(), index)
        if failure is not None and not read:
            raise failure


def files_of(source: FrameSource) -> list[Path]:
    """The files that a source reads."""
    if isinstance(source, FolderSource):
        return [still.path for still in source.stills]
    return [source.clip.path] if isinstance(source, ClipSource) else []

"""Cameras of boards: a Raspberry Pi's by picamera2, a Jetson's and any other by GStreamer.

Neither library comes from PyPI: both belong to the board's own system. GStreamer was run with
Debian's OpenCV and its test pictures; picamera2 and NVIDIA's elements were written after their
documentation and not run by us. Where they are missing, that is said. Either may hang, so each call
has its limit (``limited``).
"""

from __future__ import annotations

import shlex
from typing import Any

from edge_sdk.errors import UnavailableError, UsageError
from edge_sdk.pipeline.picture_file import quiet
from edge_sdk.pipeline.sources.limited import OPEN_TIMEOUT_S, Limited
from edge_sdk.pipeline.sources.live import PATIENCE_S, RETRY_S, Capture, LiveSource, Quiet
from edge_sdk.processing.opencv import import_cv2
from edge_sdk.processing.picture import Picture

_SYSTEM_VENV = "python3 -m venv --system-site-packages .venv"


class PiCamera(LiveSource):
    """A camera on a Raspberry Pi's ribbon cable.

    Args:
        number: which, if there are two.
        width, height: of its pictures.
        patience_s, retry_s: as ``LiveSource``.

    Raises:
        UnavailableError: picamera2 is not installed.
    """

    def __init__(
        self,
        number: int = 0,
        *,
        width: int = 1280,
        height: int = 720,
        patience_s: float | None = PATIENCE_S,
        retry_s: float = RETRY_S,
    ) -> None:
        super().__init__(
            f"picamera{number}", f"picamera:{number}", patience_s=patience_s, retry_s=retry_s
        )
        self._number, self._size = number, (width, height)
        self._library = _picamera2()

    def open(self) -> Capture:
        """See ``LiveSource.open``."""
        try:
            return Limited(self._open)
        except TimeoutError as error:
            raise UnavailableError(
                f"Camera {self._number} of this Pi does not open within {OPEN_TIMEOUT_S:g} s.",
                "rpicam-hello --list-cameras",
            ) from error

    def _open(self) -> Capture:
        try:
            camera = self._library.Picamera2(self._number)
            # libcamera names the bytes from the last to the first: its RGB888 is our BGR.
            main = {"size": self._size, "format": "RGB888"}
            camera.configure(camera.create_video_configuration(main=main))
            camera.start()
        except (RuntimeError, IndexError, OSError) as error:
            raise UnavailableError(
                f"Camera {self._number} of this Pi does not open: {error}.",
                "rpicam-hello --list-cameras",
            ) from error
        return _PiCapture(camera)


class _PiCapture:
    def __init__(self, camera: Any) -> None:
        self._camera = camera

    def read(self) -> tuple[bool, Picture]:
        """See ``Capture.read``."""
        picture: Picture = self._camera.capture_array("main")
        return True, picture

    def release(self) -> None:
        """See ``Capture.release``."""
        self._camera.close()


def _picamera2() -> Any:
    try:
        import picamera2
    except ImportError as error:
        raise UnavailableError(
            f"A Raspberry Pi's camera needs picamera2, which does not import: {error}.",
            f"sudo apt install python3-picamera2 && {_SYSTEM_VENV}   # on a Pi",
        ) from error
    return picamera2


class GStreamerSource(LiveSource):
    """What a GStreamer pipeline gives, through an OpenCV that was built with GStreamer.

    Args:
        pipeline: as ``gst-launch-1.0`` takes it; ends in ``appsink`` and gives ``format=BGR``.
        open_timeout_s: how long it may take to start.
        patience_s, retry_s: as ``LiveSource``.

    Raises:
        UsageError: it does not end in appsink.
        UnavailableError: this OpenCV has no GStreamer.
    """

    def __init__(
        self,
        pipeline: str,
        *,
        open_timeout_s: float = OPEN_TIMEOUT_S,
        patience_s: float | None = PATIENCE_S,
        retry_s: float = RETRY_S,
    ) -> None:
        super().__init__("gstreamer", "gstreamer", patience_s=patience_s, retry_s=retry_s)
        if "appsink" not in pipeline:
            raise UsageError(
                f"The GStreamer pipeline {pipeline!r} has no appsink to take pictures from.",
                "videotestsrc ! videoconvert ! video/x-raw,format=BGR ! appsink",
            )
        self._pipeline = pipeline
        self._open_timeout_s = open_timeout_s
        cv2 = import_cv2("GStreamer")
        if "GStreamer:                   YES" not in cv2.getBuildInformation():
            raise UnavailableError(
                f"This OpenCV ({cv2.__version__}) was built without GStreamer, as all of PyPI's "
                "are.",
                f"sudo apt install python3-opencv && {_SYSTEM_VENV}   # the system's own has it",
            )

    def open(self) -> Capture:
        """See ``LiveSource.open``."""
        try:
            return Limited(self._open, open_timeout_s=self._open_timeout_s)
        except TimeoutError as error:
            within = f"within {self._open_timeout_s:g} s"
            raise self._does_not_start(f" {within}; an element may be missing") from error

    def _open(self) -> Capture:
        cv2 = import_cv2("GStreamer")
        with quiet(cv2):
            capture = cv2.VideoCapture(self._pipeline, cv2.CAP_GSTREAMER)
        if not capture.isOpened():
            raise self._does_not_start("")
        self.fps = max(0.0, float(capture.get(cv2.CAP_PROP_FPS)))
        return Quiet(cv2, capture)

    def _does_not_start(self, how: str) -> UnavailableError:
        tried = shlex.quote(self._pipeline.replace("appsink", "fakesink"))
        return UnavailableError(
            f"GStreamer does not start {self._pipeline!r}{how}.",
            f"gst-launch-1.0 {tried}   # says why",
        )


def nvargus(number: int = 0, *, width: int = 1280, height: int = 720, fps: int = 30) -> str:
    """The pipeline of a Jetson's camera: turned and scaled in its NVMM memory, copied once."""
    return (
        f"nvarguscamerasrc sensor-id={number} ! "
        f"video/x-raw(memory:NVMM),width={width},height={height},framerate={fps}/1 ! "
        "nvvidconv ! video/x-raw,format=BGRx ! videoconvert ! video/x-raw,format=BGR ! "
        "appsink drop=true max-buffers=1 sync=false"
    )

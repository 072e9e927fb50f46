"""A camera of this machine: Video4Linux, which USB webcams speak as well."""

from __future__ import annotations

import os
from pathlib import Path

from edge_sdk.errors import UnavailableError, UsageError
from edge_sdk.pipeline.picture_file import quiet
from edge_sdk.pipeline.sources.limited import OPEN_TIMEOUT_S, READ_TIMEOUT_S, Limited
from edge_sdk.pipeline.sources.live import PATIENCE_S, RETRY_S, Capture, LiveSource, Quiet
from edge_sdk.processing.opencv import import_cv2


class Camera(LiveSource):
    """A camera by number or path; when it is unplugged and plugged in again, it goes on.

    Args:
        device: 0 is ``/dev/video0``.
        width, height, fps: what to ask of it; a camera gives what it has nearest.
        read_timeout_s: how long a picture may take.
        patience_s, retry_s: as ``LiveSource``.

    Raises:
        UnavailableError: there is no such device, it may not be opened, or it gives no pictures.
        UsageError: it is a file, and no device.
    """

    def __init__(
        self,
        device: int | str,
        *,
        width: int | None = None,
        height: int | None = None,
        fps: float | None = None,
        read_timeout_s: float = READ_TIMEOUT_S,
        patience_s: float | None = PATIENCE_S,
        retry_s: float = RETRY_S,
    ) -> None:
        path = Path(f"/dev/video{device}" if str(device).isdecimal() else str(device))
        super().__init__(path.name, str(path), patience_s=patience_s, retry_s=retry_s)
        self.path = path
        self.fps = fps or 0.0
        self._wishes = (width, height, fps)
        self._read_timeout_s = read_timeout_s
        self._check()

    def open(self) -> Capture:
        """See ``LiveSource.open``. Its calls are limited: OpenCV's driver may hang."""
        self._check()
        try:
            return Limited(self._open, read_timeout_s=self._read_timeout_s)
        except TimeoutError as error:
            raise UnavailableError(
                f"{self.path} does not open within {OPEN_TIMEOUT_S:g} s.",
                "Unplug it and plug it in again.",
            ) from error

    def _open(self) -> Capture:
        cv2 = import_cv2("A camera")
        with quiet(cv2):
            capture = cv2.VideoCapture(str(self.path), cv2.CAP_V4L2)
        if not capture.isOpened():
            raise UnavailableError(
                f"{self.path} opens, but is no camera that gives pictures, or another program has "
                "it.",
                f"fuser {self.path}   # says who has it",
            )
        # Compressed pictures first: raw ones do not fit through USB 2 at 30 a second.
        capture.set(cv2.CAP_PROP_FOURCC, cv2.VideoWriter.fourcc(*"MJPG"))
        width, height, fps = self._wishes
        for wish, number in (
            (width, cv2.CAP_PROP_FRAME_WIDTH),
            (height, cv2.CAP_PROP_FRAME_HEIGHT),
            (fps, cv2.CAP_PROP_FPS),
            (1, cv2.CAP_PROP_BUFFERSIZE),  # what waits in the driver only grows old
        ):
            if wish:
                capture.set(number, wish)
        self.fps = max(0.0, float(capture.get(cv2.CAP_PROP_FPS)))
        return Quiet(cv2, capture)

    def _check(self) -> None:
        if not self.path.exists():
            others = sorted(str(path) for path in Path("/dev").glob("video*"))
            there = f"there is {', '.join(others)}" if others else "none is plugged in"
            raise UnavailableError(
                f"There is no camera {self.path}; {there}.",
                "v4l2-ctl --list-devices   # what is plugged in, by name",
            )
        if not self.path.is_char_device():
            raise UsageError(f"{self.path} is no device.", "ls -l /dev/video*")
        if not os.access(self.path, os.R_OK | os.W_OK):
            raise UnavailableError(
                f"{self.path} may not be opened by this user.",
                "sudo usermod -aG video $USER   # then log in again",
            )

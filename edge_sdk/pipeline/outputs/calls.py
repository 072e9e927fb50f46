"""Sinks of this process: a function, and a window."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from typing import Any

from edge_sdk.errors import UnavailableError
from edge_sdk.pipeline.frames import Frame
from edge_sdk.pipeline.pipeline import Running
from edge_sdk.processing.opencv import import_cv2

_ESCAPE = 27


class Callback:
    """Gives every frame to a function."""

    def __init__(self, function: Callable[[Frame], Any], name: str = "callback") -> None:
        self.name = name
        self._function = function

    def take(self, frame: Frame) -> None:
        """Call the function."""
        self._function(frame)


class Window:
    """Shows every frame in a window; Esc or q ends the run.

    Raises:
        UnavailableError: this OpenCV has no windows, or there is no screen.
    """

    name = "window"

    def __init__(self, title: str = "edgeloop") -> None:
        self._cv2 = import_cv2("A window")
        self._title = title
        self._running: Running | None = None
        gui = re.search(r"GUI:\s+(\w+)", self._cv2.getBuildInformation())
        if gui is None or gui[1] == "NONE":
            raise UnavailableError(
                f"This OpenCV ({self._cv2.__version__}) was built without windows, as all that are "
                "called headless are.",
                "pip uninstall -y opencv-python-headless && pip install opencv-python",
            )
        if not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
            raise UnavailableError(
                "There is no screen for a window: neither DISPLAY nor WAYLAND_DISPLAY is set.",
                "edge demo video --live   # shows it in a browser",
            )

    def begin(self, running: Running) -> None:
        """Called by the pipeline."""
        self._running = running

    def take(self, frame: Frame) -> None:
        """Show the frame."""
        self._cv2.imshow(self._title, frame.bgr())
        if self._cv2.waitKey(1) & 0xFF in (_ESCAPE, ord("q")) and self._running is not None:
            self._running.stop()

    def __enter__(self) -> Window:
        return self

    def __exit__(self, *_: object) -> None:
        self._cv2.destroyAllWindows()

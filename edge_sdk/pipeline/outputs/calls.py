"""Sinks of this process: a function, and a window."""

from __future__ import annotations

import os
import re
import socket
import sys
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
    """Shows every frame in a window, each stream in its own; Esc, q or closing one ends the run.

    Raises:
        UnavailableError: this OpenCV has no windows, or there is no screen.
    """

    name = "window"

    def __init__(self, title: str = "edgeloop") -> None:
        self._cv2 = import_cv2("A window")
        self._title = title
        self._titles: dict[str, str] = {}
        self._running: Running | None = None
        gui = re.search(r"GUI:\s+(\w+)", self._cv2.getBuildInformation())
        if gui is None or gui[1] == "NONE":
            raise UnavailableError(
                f"This OpenCV ({self._cv2.__version__}) was built without windows, as all that are "
                "called headless are.",
                "edge demo video --live   # shows it in a browser; or, for a window: "
                "pip uninstall -y opencv-python-headless && pip install opencv-python",
            )
        _check_screen()

    def begin(self, running: Running) -> None:
        """Called by the pipeline."""
        self._running = running

    def take(self, frame: Frame) -> None:
        """Show the frame."""
        cv2 = self._cv2
        title = self._titles.get(frame.stream)
        if title is None:
            title = self._title if not self._titles else f"{self._title}: {frame.stream}"
            self._titles[frame.stream] = title
        cv2.imshow(title, frame.bgr())
        key = cv2.waitKey(1) & 0xFF
        closed = cv2.getWindowProperty(title, cv2.WND_PROP_VISIBLE) < 1
        if (closed or key in (_ESCAPE, ord("q"))) and self._running is not None:
            self._running.stop()

    def __enter__(self) -> Window:
        return self

    def __exit__(self, *_: object) -> None:
        self._cv2.destroyAllWindows()


def _check_screen() -> None:
    """A toolkit that finds no screen ends the whole program, so it is looked for first."""
    if sys.platform == "darwin":
        return
    display = os.environ.get("DISPLAY", "")
    if not (display or os.environ.get("WAYLAND_DISPLAY")):
        raise UnavailableError(
            "There is no screen for a window: neither DISPLAY nor WAYLAND_DISPLAY is set.",
            "edge demo video --live   # shows it in a browser",
        )
    local = re.fullmatch(r":(\d+)(\.\d+)?", display)
    if local is None or os.environ.get("WAYLAND_DISPLAY"):
        return
    names = [f"/tmp/.X11-unix/X{local[1]}", f"\0/tmp/.X11-unix/X{local[1]}"]
    for name in names:
        with socket.socket(socket.AF_UNIX) as screen:
            if screen.connect_ex(name) == 0:
                return
    raise UnavailableError(
        f"There is no screen for a window: nobody answers at DISPLAY={display}.",
        "edge demo video --live   # shows it in a browser",
    )

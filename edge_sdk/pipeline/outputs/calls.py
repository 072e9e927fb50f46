"""Sinks of this process: a function, and a window."""

from __future__ import annotations

import os
import re
import socket
import sys
import threading
from collections.abc import Callable
from typing import Any

from edge_sdk.errors import UnavailableError
from edge_sdk.pipeline.frames import Frame
from edge_sdk.pipeline.parts import Running
from edge_sdk.processing.opencv import import_cv2

_ESCAPE = 27
_BREATH_S = 0.05
"""How often a window looks after itself while nothing comes."""
_PATIENCE_S = 5.0


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

    A toolkit of windows wants to be spoken to by one thread, and often: that thread is the window's
    own, so that it stays awake while no pictures come. It shows the newest; what came in between is
    counted as missed.

    Raises:
        UnavailableError: this OpenCV has no windows, or there is no screen.
    """

    name = "window"

    def __init__(self, title: str = "edgeloop") -> None:
        self._cv2 = import_cv2("A window")
        self._title = title
        self._titles: dict[str, str] = {}
        self._waiting: dict[str, Frame] = {}
        self._news = threading.Condition()
        self._ended = False
        self._failure: Exception | None = None
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
        self._thread = threading.Thread(target=self._work, name="window", daemon=True)

    def begin(self, running: Running) -> None:
        """Called by the pipeline."""
        self._running = running

    def take(self, frame: Frame) -> None:
        """Show the frame, if no newer one comes first. Raises what the toolkit did."""
        if self._failure is not None:
            raise self._failure
        with self._news:
            overtaken = self._waiting.pop(frame.stream, None)
            self._waiting[frame.stream] = frame
            self._news.notify()
        if overtaken is not None and self._running is not None:
            self._running.metrics.miss(self.name, "overtaken")

    def __enter__(self) -> Window:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        with self._news:
            self._ended = True
            self._news.notify()
        self._thread.join(_PATIENCE_S)

    def _work(self) -> None:
        try:
            while self._show_what_waits():
                pass
        except Exception as error:  # noqa: BLE001 - it is raised where the pipeline hears it
            self._failure = error
        finally:
            self._cv2.destroyAllWindows()

    def _show_what_waits(self) -> bool:
        """Whether to go on."""
        cv2 = self._cv2
        with self._news:
            self._news.wait_for(lambda: self._waiting or self._ended, _BREATH_S)
            frames, self._waiting = list(self._waiting.values()), {}
        for frame in frames:
            cv2.imshow(self._title_of(frame.stream), frame.bgr())
        if self._titles:
            key = cv2.waitKey(1) & 0xFF
            closed = any(map(self._is_closed, self._titles.values()))
            if closed or key in (_ESCAPE, ord("q")):
                if self._running is not None:
                    self._running.stop()
                return False
        return not self._ended

    def _is_closed(self, title: str) -> bool:
        try:
            visible = self._cv2.getWindowProperty(title, self._cv2.WND_PROP_VISIBLE)
        except self._cv2.error:  # Qt, after the last one was closed
            return True
        return bool(visible < 1)

    def _title_of(self, stream: str) -> str:
        if stream not in self._titles:
            name = f"{self._title}: {stream}" if self._titles else self._title
            self._cv2.namedWindow(name, self._cv2.WINDOW_AUTOSIZE | self._cv2.WINDOW_GUI_NORMAL)
            self._titles[stream] = name
        return self._titles[stream]


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

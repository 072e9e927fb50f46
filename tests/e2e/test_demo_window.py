"""A real window on a real X server, looked at where the server keeps its pixels, and closed."""

from __future__ import annotations

import ctypes
import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from edge_sdk.pipeline.sources import Synthetic

ROOT = Path(__file__).resolve().parents[2]
WIDTH, HEIGHT = 320, 240
DEADLINE_S = 60.0


@pytest.fixture(scope="module")
def python() -> str:
    """MediaPipe's Python: its OpenCV has windows, ours has none."""
    words = [ROOT / "scripts" / "mediapipe"]
    return subprocess.run(words, stdout=subprocess.PIPE, text=True, check=True).stdout.strip()


class Screen:
    """An X server without a monitor, on a display of its own."""

    def __init__(self, folder: Path) -> None:
        ours, theirs = os.pipe()
        with os.fdopen(ours) as says:
            words = ["Xvfb", "-displayfd", str(theirs), "-screen", "0", "800x600x24"]
            self.process = subprocess.Popen(
                [*words, "-nolisten", "tcp", "-fbdir", str(folder)],
                pass_fds=(theirs,),
                stderr=subprocess.DEVNULL,
            )
            os.close(theirs)
            self.name = f":{int(says.readline())}"
        self.memory = folder / "Xvfb_screen0"

    def pixels(self) -> np.ndarray:
        """What is on it, BGR (the format is xwd's: a header, a table of colours, the pixels)."""
        data = self.memory.read_bytes()
        words = np.frombuffer(data[:100], ">u4")
        header, width, height, line, colours = (int(words[at]) for at in (0, 4, 5, 12, 19))
        first = header + 12 * colours
        rows = np.frombuffer(data[first : first + line * height], np.uint8).reshape(height, line)
        return rows[:, : 4 * width].reshape(height, width, 4)[..., :3]

    def close_window(self, title: bytes) -> None:
        """Do as the cross in a window's frame does."""
        x11 = ctypes.CDLL("libX11.so.6")
        x11.XOpenDisplay.restype = ctypes.c_void_p
        x11.XInternAtom.restype = ctypes.c_ulong
        x11.XDefaultRootWindow.restype = ctypes.c_ulong
        display = ctypes.c_void_p(x11.XOpenDisplay(self.name.encode()))
        event = _ClientMessage()
        event.type, event.format = 33, 32
        event.window = _find(x11, display, x11.XDefaultRootWindow(display), title)
        event.message = x11.XInternAtom(display, b"WM_PROTOCOLS", 0)
        event.words[0] = x11.XInternAtom(display, b"WM_DELETE_WINDOW", 0)
        assert x11.XSendEvent(display, ctypes.c_ulong(event.window), 0, 0, ctypes.byref(event))
        x11.XCloseDisplay(display)


class _ClientMessage(ctypes.Structure):
    _fields_ = [
        ("type", ctypes.c_int),
        ("serial", ctypes.c_ulong),
        ("send_event", ctypes.c_int),
        ("display", ctypes.c_void_p),
        ("window", ctypes.c_ulong),
        ("message", ctypes.c_ulong),
        ("format", ctypes.c_int),
        ("words", ctypes.c_long * 5),
        ("rest", ctypes.c_long * 20),
    ]


def _find(x11: ctypes.CDLL, display: ctypes.c_void_p, root: int, title: bytes) -> int:
    """The window of that title."""
    ids, count = ctypes.POINTER(ctypes.c_ulong)(), ctypes.c_uint()
    unused = ctypes.c_ulong()
    x11.XQueryTree(
        *(display, ctypes.c_ulong(root), ctypes.byref(unused), ctypes.byref(unused)),
        *(ctypes.byref(ids), ctypes.byref(count)),
    )
    for at in range(count.value):
        name = ctypes.c_char_p()
        x11.XFetchName(display, ctypes.c_ulong(ids[at]), ctypes.byref(name))
        if name.value == title:
            return int(ids[at])
    raise AssertionError(f"there is no window {title!r}")


@pytest.fixture
def screen(tmp_path: Path) -> Iterator[Screen]:
    subprocess.run([ROOT / "scripts" / "apt", "xvfb", "libx11-6"], check=True)
    shown = Screen(tmp_path)
    yield shown
    shown.process.terminate()
    shown.process.wait()


def started(python: str, display: str, source: str, seconds: float) -> subprocess.Popen[str]:
    left_out = ("DISPLAY", "WAYLAND_DISPLAY")
    environment = {name: value for name, value in os.environ.items() if name not in left_out}
    words = [python, ROOT / "tests" / "e2e" / "windowed.py", source, str(seconds)]
    return subprocess.Popen(
        words,
        env={**environment, **({"DISPLAY": display} if display else {})},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def card_is_shown(screen: Screen) -> bool:
    """Whether the test card's colours are on the screen, pixel by pixel where no square passes."""
    card = Synthetic(WIDTH, HEIGHT).picture(0)
    middle = slice(HEIGHT // 2 - 5, HEIGHT // 2 + 5), slice(WIDTH // 2 - 30, WIDTH // 2 + 30)
    return bool(np.array_equal(screen.pixels()[:HEIGHT, :WIDTH][middle], card[middle]))


def test_frames_are_on_the_screen_and_closing_the_window_ends_the_run(
    python: str, screen: Screen
) -> None:
    with started(python, screen.name, f"synthetic:{WIDTH}x{HEIGHT}@30", 10 * DEADLINE_S) as running:
        try:
            deadline = time.monotonic() + DEADLINE_S
            while not card_is_shown(screen) and time.monotonic() < deadline:
                assert running.poll() is None, running.communicate()
                time.sleep(0.1)
            assert card_is_shown(screen)
            screen.close_window(b"shown")
            out, err = running.communicate(timeout=DEADLINE_S)
        finally:
            running.kill()
    assert running.returncode == 0, err
    assert out.startswith("over after ")


@pytest.mark.parametrize(
    ("display", "said"),
    [
        ("", "neither DISPLAY nor WAYLAND_DISPLAY is set"),
        (":987", "nobody answers at DISPLAY=:987"),
    ],
    ids=["none", "dead"],
)
def test_without_a_screen_it_is_refused(python: str, display: str, said: str) -> None:
    """Qt would end the whole program with SIGABRT."""
    with started(python, display, f"synthetic:{WIDTH}x{HEIGHT}@30", 5) as running:
        out, err = running.communicate(timeout=DEADLINE_S)
    assert (running.returncode, out) == (3, "")
    assert said in err
    assert "edge demo video --live" in err

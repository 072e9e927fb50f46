"""When a process of its own pays for a stage, and when it does not.

Two stages, of which the second is in a thread or in a process. Each pair goes through a pipeline of
test cards; the ratio is the seconds with a process over the seconds with threads alone:

    Python's own work   both count in pure Python, some 10 ms a frame: threads take turns
    OpenCV's work       both blur, which lets go of Python's lock: threads are side by side already
    next to nothing     the second only looks at a frame: what remains is the price of going over

The price of a frame's going there and back is printed too, at 720p, unchanged and changed.

    python benchmarks/stage_process.py [--quick]
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from time import perf_counter
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from edge_sdk.pipeline import Frame, Pipeline
from edge_sdk.pipeline.sources import Synthetic
from edge_sdk.pipeline.stages import OwnProcess

LIMITS = {"640x480, Python's own work": 0.8}
"""Twice as fast were perfect; and it must be worth it at all."""


class Counts:
    """Pure Python: 250,000 additions."""

    def __init__(self, name: str) -> None:
        self.name = name

    def process(self, frame: Frame) -> Frame:
        total = 0
        for number in range(250_000):
            total += number & frame.index
        return frame.answered(self.name, total)


class Blurs:
    """OpenCV, on one of its threads."""

    def __init__(self, name: str) -> None:
        import cv2

        cv2.setNumThreads(1)
        self.name, self._cv2 = name, cv2

    def process(self, frame: Frame) -> Frame:
        return frame.shows(self._cv2.GaussianBlur(frame.picture, (31, 31), 0))


class Looks:
    """Next to nothing."""

    def __init__(self, name: str) -> None:
        self.name = name

    def process(self, frame: Frame) -> Frame:
        return frame.answered(self.name, frame.picture.shape)


class Turns:
    """A changed picture, cheaply."""

    def __init__(self, name: str) -> None:
        self.name = name

    def process(self, frame: Frame) -> Frame:
        return frame.shows(frame.picture.copy())


WORK = {"Python's own work": Counts, "OpenCV's work": Blurs, "next to nothing": Looks}


def main() -> None:
    parser = argparse.ArgumentParser(prog="stage_process")
    parser.add_argument("--quick", action="store_true", help="one round, fewer frames")
    args = parser.parse_args()
    rounds, frames = (1, 60) if args.quick else (4, 150)
    ratios: dict[str, float] = {}
    for what, make in WORK.items():
        best: dict[bool, float] = {}
        for _ in range(rounds):
            for apart in (False, True):
                best[apart] = min(best.get(apart, 1e9), seconds(make, apart, frames))
        ratios[f"640x480, {what}"] = best[True] / best[False]
    result = {
        "about": "two stages, the second in a process of its own",
        "peer": "the seconds of the same two stages in threads",
        "ratios": {name: round(ratio, 3) for name, ratio in ratios.items()},
        "limits": LIMITS,
        "price_ms_720p": {"unchanged": price(Looks), "changed": price(Turns)},
    }
    print(json.dumps(result))


def seconds(make: Any, apart: bool, frames: int) -> float:
    second = OwnProcess(make, "second", name="second") if apart else make("second")
    source = Synthetic(640, 480, frames=frames, live=False)
    report = Pipeline(source, [make("first"), second]).run()
    return report.seconds


def price(make: Any, frames: int = 60) -> float:
    """Milliseconds that a frame of 720p takes there and back, the best."""
    source = Synthetic(1280, 720, frames=1, live=False)
    taken: list[float] = []
    with OwnProcess(make, "over", name="over") as stage:
        stage.begin(Pipeline(source))
        frame = Frame(source.picture(0), Path("card"), colour="bgr")
        for _ in range(frames):
            started = perf_counter()
            stage.process(frame)
            taken.append(perf_counter() - started)
    return round(1000 * min(taken), 2)


if __name__ == "__main__":
    main()

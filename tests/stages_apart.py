"""Stages that tests put into processes of their own; the other process finds them here."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from edge_sdk.errors import UnavailableError
from edge_sdk.pipeline import Frame, Refused, Running
from edge_sdk.processing import Geometry, Mask


class Changes:
    """Answers who it is and what it got, with a mask; turns the picture upside down."""

    name = "changes"

    def process(self, frame: Frame) -> Frame:
        scores = np.full((8, 8), frame.index / 100, np.float32)
        answered = frame.answered("mask", Mask(scores, Geometry(), 0.5))
        answered = answered.answered("pid", os.getpid())
        return answered.shows(np.ascontiguousarray(frame.picture[::-1]))


class Picky:
    """Refuses the second of every three frames."""

    name = "picky"

    def process(self, frame: Frame) -> Frame:
        if frame.index % 3 == 1:
            raise Refused("every third")
        return frame


class PickyBatch(Picky):
    """The same, for several at once."""

    def process_many(self, frames: list[Frame]) -> list[Frame | Refused]:
        return [Refused("every third") if each.index % 3 == 1 else each for each in frames]


class DrawsInPlace:
    """Paints a corner of the very picture it was given, as a person would."""

    name = "draws"

    def process(self, frame: Frame) -> Frame:
        if frame.index % 2:
            cv2.rectangle(frame.picture, (0, 0), (9, 9), (255, 0, 255), cv2.FILLED)
        return frame


class Remembers:
    """Says whether the picture of the frame before is still what it was."""

    name = "remembers"

    def __init__(self) -> None:
        self.before: tuple[np.ndarray, np.ndarray] | None = None

    def process(self, frame: Frame) -> Frame:
        same = self.before is None or bool(np.array_equal(*self.before))
        self.before = frame.picture, frame.picture.copy()
        return frame.answered("remembers", same)


@dataclass
class Trouble:
    """Does something bad at certain frames."""

    what: str
    at: tuple[int, ...] = (3,)
    name: str = "trouble"

    def process(self, frame: Frame) -> Frame:
        return self.does(frame) if frame.index in self.at else frame

    def does(self, frame: Frame) -> Any:
        if self.what == "raise":
            raise ValueError(f"frame {frame.index} is odd")
        if self.what == "unpicklable":
            raise Unpicklable(frame.index, "seven")
        if self.what == "ours":
            raise UnavailableError("The lens is gone.", "Screw it on.")
        if self.what == "refuse":
            raise Refused("odd")
        if self.what == "lock":
            return frame.answered("lock", threading.Lock())
        if self.what == "nothing":
            return None
        if self.what == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        if self.what == "exit":
            os._exit(7)
        if self.what == "hang":
            time.sleep(3600)
        if self.what == "print":
            print("on stdout", flush=True)
        return frame


class Unpicklable(Exception):
    def __init__(self, index: int, name: str) -> None:
        super().__init__(f"{name} at {index}")


class Tells:
    """Uses all that a stage may ask of a pipeline."""

    name = "tells"

    def begin(self, running: Running) -> None:
        self.running = running

    def process(self, frame: Frame) -> Frame:
        if frame.index == 2:
            self.running.metrics.warn("the second")
        if frame.index == 4:
            self.running.stop()
        return frame


class Batch:
    """Answers with how many frames it was given at once."""

    name, most = "batch", 4

    def process(self, frame: Frame) -> Frame:
        return self.process_many([frame])[0]

    def process_many(self, frames: list[Frame]) -> list[Frame]:
        time.sleep(0.01)
        return [frame.answered("batch", len(frames)) for frame in frames]


class Closes:
    """A context manager that leaves a note when it is left."""

    name = "closes"

    def __init__(self, note: str) -> None:
        self.note = Path(note)

    def __enter__(self) -> Closes:
        return self

    def __exit__(self, *_: object) -> None:
        self.note.write_text("closed", encoding="utf-8")

    def process(self, frame: Frame) -> Frame:
        return frame


def fails_to_be_made(reason: str) -> Any:
    if reason == "exit":
        sys.exit(3)
    if reason == "none":
        return None
    if reason == "die":
        os._exit(9)
    raise UnavailableError(f"There is no {reason}.", "Fetch it.")


def face_model(name: str) -> Any:
    """A real model, loaded where it is used."""
    import edge_sdk
    from edge_sdk.pipeline.stages import Model
    from edge_sdk.processing import read_processing
    from examples.assets import asset

    spec = Path(__file__).parents[1] / "examples" / "face_detection" / "face.toml"
    before, after = read_processing(spec)
    model = asset("face-detection-short-range")
    return Model(edge_sdk.load(model, preprocess=before, postprocess=after, labels=["face"]), name)

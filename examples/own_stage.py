"""A stage of your own: pictures in which nothing moves go no further.

    .venv/bin/python -m examples.own_stage clip.mp4

A stage is a name and ``process``. It may keep what it has seen, add an answer, change the picture,
or raise ``Refused`` with a reason, which the report then counts.
"""

import cv2
import numpy as np

from edge_sdk.pipeline import Frame, Pipeline, Refused
from edge_sdk.pipeline.outputs import Callback
from edge_sdk.pipeline.sources import open_source
from examples.shell import from_shell


class Motion:
    """Answers how much of the picture differs from the one before."""

    name = "motion"

    def __init__(self, least: float) -> None:
        self.least = least
        self.before: np.ndarray | None = None

    def process(self, frame: Frame) -> Frame:
        """The frame with its share of moving pixels."""
        small = cv2.resize(cv2.cvtColor(frame.bgr(), cv2.COLOR_BGR2GRAY), (64, 48))
        before, self.before = self.before, small
        share = 0.0 if before is None else float((cv2.absdiff(small, before) > 16).mean())
        if share < self.least:
            raise Refused("nothing moves")
        return frame.answered("motion", share)


def main(source: str) -> None:
    """Run it."""
    moved: list[tuple[float, float]] = []
    sink = Callback(lambda frame: moved.append((frame.answers["motion"], frame.time_s or 0.0)))
    report = Pipeline(open_source(source), [Motion(0.05)], [sink]).run()
    print(f"{report.done} of {report.taken} frames move; {report.dropped}")
    if moved:
        share, at = max(moved)
        print(f"most at {at:.1f} s: {share:.0%} of the picture")


if __name__ == "__main__":
    from_shell(main)

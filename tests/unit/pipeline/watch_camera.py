"""Watch a camera, pull its plug, put it in again: ``python watch_camera.py PATH``.

Run with ``v4l2_camera.c`` preloaded; prints what was seen as one JSON object.
"""

from __future__ import annotations

import json
import os
import sys
import threading
from pathlib import Path

from edge_sdk.errors import EdgeError
from edge_sdk.pipeline import Frame, Pipeline
from edge_sdk.pipeline.outputs import Callback
from edge_sdk.pipeline.sources import Camera

UNPLUGGED_AT, COMES_BACK_S, ENDS_AT = 8, 1.0, 25


def main(path: Path) -> dict[str, object]:
    camera = Camera(str(path), width=64, height=48, retry_s=0.1, patience_s=20)
    frames: list[Frame] = []

    def look(frame: Frame) -> None:
        frames.append(frame)
        if frame.index == UNPLUGGED_AT and len(frames) <= UNPLUGGED_AT + 1:
            path.unlink()
            threading.Timer(COMES_BACK_S, path.symlink_to, ["/dev/null"]).start()
        if frame.index == ENDS_AT:
            pipeline.stop()

    if "CAMERA_FAILS" in os.environ:
        return {"indices": [], "gone": gone(path)}
    pipeline = Pipeline(camera, [], [Callback(look)])
    report = pipeline.run()
    return {
        "indices": [frame.index for frame in frames],
        "pixel": frames[0].picture[40, 60].tolist(),
        "shape": frames[0].picture.shape,
        "fps": camera.fps,
        "taken": report.taken,
        "done": report.done,
        "dropped": report.dropped,
        "warnings": report.warnings,
        "gone": gone(path),
    }


def gone(path: Path) -> str:
    """What is said of a camera that is unplugged at its first picture."""
    camera = Camera(str(path), read_timeout_s=0.5, retry_s=0.1, patience_s=0.5)
    unplugged = Callback(lambda frame: path.unlink(missing_ok=True))
    try:
        return f"it ended by itself: {Pipeline(camera, [], [unplugged]).run()}"
    except EdgeError as error:
        return error.message


if __name__ == "__main__":
    print(json.dumps(main(Path(sys.argv[1]))))

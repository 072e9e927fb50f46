"""A pipeline with MediaPipe Tasks as its stage, in MediaPipe's own Python.

    python tasks_stage.py X.edge FOLDER

It reads the pictures in FOLDER/pictures, and writes found.jsonl and masks.npz beside them.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[2]))

from edge_sdk.backends.mediapipe import open_tasks
from edge_sdk.errors import EdgeError
from edge_sdk.pipeline import Frame, Pipeline
from edge_sdk.pipeline.outputs import Callback, JsonLines
from edge_sdk.pipeline.sources import open_source
from edge_sdk.pipeline.stages.tasks import Tasks
from edge_sdk.processing import Mask


def main(artifact: str, folder: Path) -> None:
    masks: dict[str, np.ndarray] = {}

    def keep(frame: Frame) -> None:
        found = frame.answers["tasks"]
        if isinstance(found, Mask):
            masks[frame.source.stem] = found.over(*frame.picture.shape[:2])

    with open_tasks(artifact) as model:
        sinks = [JsonLines(folder / "found.jsonl"), Callback(keep)]
        report = Pipeline(open_source(folder / "pictures"), [Tasks(model)], sinks).run()
    assert report.done, report
    np.savez(folder / "masks.npz", **masks)


if __name__ == "__main__":
    try:
        main(sys.argv[1], Path(sys.argv[2]))
    except EdgeError as error:
        print(error, file=sys.stderr)
        sys.exit(error.exit_code)

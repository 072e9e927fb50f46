"""MediaPipe Tasks on model files, in MediaPipe's own Python: one job a line, one answer a line.

    {"task": "classify", "model": "m.tflite", "pictures": "in.npz", "answers": "out.npz"}

The answer is an empty line, or why the task was refused. It imports nothing of ours: what it knows
of a model, the file says itself.
"""

from __future__ import annotations

import json
import sys

import mediapipe
import numpy as np
from mediapipe.tasks.python import BaseOptions, vision


def classify(options: BaseOptions, pictures: list) -> dict[str, np.ndarray]:
    """All scores in the order of the classes, and the classes' names."""
    with vision.ImageClassifier.create_from_options(
        vision.ImageClassifierOptions(base_options=options)
    ) as task:
        rows = [task.classify(picture).classifications[0].categories for picture in pictures]
    rows = [sorted(row, key=lambda category: category.index) for row in rows]
    return {
        "scores": np.array([[category.score for category in row] for row in rows]),
        "names": np.array([category.category_name for category in rows[0]]),
    }


def segment(options: BaseOptions, pictures: list) -> dict[str, np.ndarray]:
    """The confidence mask of each picture, at its size."""
    with vision.ImageSegmenter.create_from_options(
        vision.ImageSegmenterOptions(base_options=options, output_confidence_masks=True)
    ) as task:
        masks = [task.segment(picture).confidence_masks[0].numpy_view() for picture in pictures]
        return {f"mask{at}": np.array(mask).squeeze() for at, mask in enumerate(masks)}


def detect(options: BaseOptions, pictures: list) -> dict[str, np.ndarray]:
    """left, top, right, bottom in pixels and the score of every face, by picture."""
    found = {}
    with vision.FaceDetector.create_from_options(
        vision.FaceDetectorOptions(base_options=options)
    ) as task:
        for at, picture in enumerate(pictures):
            rows = []
            for face in task.detect(picture).detections:
                box = face.bounding_box
                left, top = box.origin_x, box.origin_y
                right, bottom = left + box.width, top + box.height
                rows.append([left, top, right, bottom, face.categories[0].score])
            found[f"faces{at}"] = np.array(rows, np.float64).reshape(-1, 5)
    return found


def do(task: str, model: str, pictures: str, answers: str) -> None:
    """Run the task over the pictures."""
    with np.load(pictures) as archive:
        images = [
            mediapipe.Image(
                image_format=mediapipe.ImageFormat.SRGB, data=np.ascontiguousarray(archive[name])
            )
            for name in archive.files
        ]
    run = {"classify": classify, "segment": segment, "detect": detect}[task]
    np.savez(answers, **run(BaseOptions(model_asset_path=model), images))


if __name__ == "__main__":
    for line in sys.stdin:
        try:
            do(**json.loads(line))
        except (
            RuntimeError,
            ValueError,
            OSError,
        ) as error:  # of any kind
            print(" ".join(str(error).split()), flush=True)
        else:
            print(flush=True)

"""A clip through MediaPipe Tasks' video mode, in MediaPipe's own Python; prints the seconds.

    python _tasks_video.py segment|detect MODEL.tflite CLIP

It draws as cheaply as we do: blur at a small size, one blend. It imports nothing of ours.
"""

from __future__ import annotations

import sys
from time import perf_counter

import cv2
import mediapipe
from mediapipe.tasks.python import BaseOptions, vision

SMALL = 72


def segment(model: str, clip: str) -> float:
    options = vision.ImageSegmenterOptions(
        base_options=BaseOptions(model_asset_path=model),
        running_mode=vision.RunningMode.VIDEO,
        output_confidence_masks=True,
    )
    with vision.ImageSegmenter.create_from_options(options) as task:
        return timed(clip, task.segment_for_video, blend)


def detect(model: str, clip: str) -> float:
    options = vision.FaceDetectorOptions(
        base_options=BaseOptions(model_asset_path=model), running_mode=vision.RunningMode.VIDEO
    )
    with vision.FaceDetector.create_from_options(options) as task:
        return timed(clip, task.detect_for_video, boxes)


def timed(clip: str, ask, draw) -> float:
    ask(mediapipe.Image(image_format=mediapipe.ImageFormat.SRGB, data=first(clip)), 0)
    started = perf_counter()
    video = cv2.VideoCapture(clip)
    at = 0
    while True:
        there, frame = video.read()
        if not there:
            return perf_counter() - started
        at += 1
        rgb = cv2.cvtColor(frame, cv2.COLOR_BGR2RGB)
        image = mediapipe.Image(image_format=mediapipe.ImageFormat.SRGB, data=rgb)
        draw(rgb, ask(image, at * 33))


def first(clip: str):
    return cv2.cvtColor(cv2.VideoCapture(clip).read()[1], cv2.COLOR_BGR2RGB)


def blend(picture, result):
    person = result.confidence_masks[0].numpy_view().squeeze()
    height, width = picture.shape[:2]
    shrink = max(1, min(height, width) // SMALL)
    small = cv2.resize(picture, (width // shrink, height // shrink), interpolation=cv2.INTER_AREA)
    for _ in range(3):
        small = cv2.blur(small, (5, 5))
    return cv2.blendLinear(picture, cv2.resize(small, (width, height)), person, 1 - person)


def boxes(picture, result):
    for face in result.detections:
        box = face.bounding_box
        corner = box.origin_x + box.width, box.origin_y + box.height
        cv2.rectangle(picture, (box.origin_x, box.origin_y), corner, (76, 217, 100), 2)
    return picture


if __name__ == "__main__":
    print({"segment": segment, "detect": detect}[sys.argv[1]](*sys.argv[2:]))

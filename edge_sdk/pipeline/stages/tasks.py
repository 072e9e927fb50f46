"""MediaPipe Tasks as a stage: the same answers, by another engine.

Two further copies of a picture are made, since Tasks wants RGB in an image of its own.
"""

from __future__ import annotations

from edge_sdk.backends.mediapipe import TasksModel
from edge_sdk.pipeline.frames import Frame


class Tasks:
    """Asks a task about every frame; its answer is ``frame.answers[name]``.

    Args:
        model: by ``edge_sdk.backends.mediapipe.open_tasks``; stays the caller's to close. One that
            was opened for video serves one stream.
        name: of the stage and of its answers.
    """

    def __init__(self, model: TasksModel, name: str = "tasks") -> None:
        self.name = name
        self._model = model

    def process(self, frame: Frame) -> Frame:
        """The frame with the task's answer."""
        time_ms = round(1000 * (frame.taken_s if frame.time_s is None else frame.time_s))
        return frame.answered(self.name, self._model.predict(frame.rgb(), time_ms))

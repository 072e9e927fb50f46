"""MediaPipe Tasks as a stage: the same answers, by another engine.

MediaPipe lives in a Python of its own: ``OpenedTasks`` is what ``OwnProcess`` makes there.
"""

from __future__ import annotations

from edge_sdk.backends.mediapipe import TasksModel, open_tasks
from edge_sdk.errors import UsageError
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
        self._stream: str | None = None

    def process(self, frame: Frame) -> Frame:
        """The frame with the task's answer. Raises UsageError for a second stream of a video."""
        if self._stream is None:
            self._stream = frame.stream
        elif self._model.video and self._stream != frame.stream:
            raise UsageError(
                f"A task that was opened for the video {self._stream!r} got a frame of "
                f"{frame.stream!r}.",
                "open_tasks(…)   # without video=True; or one for each stream",
            )
        time_ms = round(1000 * (frame.taken_s if frame.time_s is None else frame.time_s))
        return frame.answered(self.name, self._model.predict(frame.picture, time_ms, frame.colour))


class OpenedTasks(Tasks):
    """``Tasks`` that opens its model and closes it at the end of the run.

        OwnProcess(OpenedTasks, "faces-1.0.0.edge", "faces", name="faces", python="…/python")

    Args:
        path, video: as for ``open_tasks``.
        name: as for ``Tasks``.
    """

    def __init__(self, path: str, name: str = "tasks", video: bool = False) -> None:
        super().__init__(open_tasks(path, video=video), name)

    def __enter__(self) -> OpenedTasks:
        return self

    def __exit__(self, *_: object) -> None:
        self._model.close()

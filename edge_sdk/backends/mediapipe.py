"""MediaPipe Tasks: from a picture to an answer in one engine, on the same model file.

Unlike the others, this is no ``Backend`` of ``edge_sdk.backends.MODULES``: Tasks takes pictures,
gives answers and never shows a tensor, so there is nothing for a ``Session`` to feed or to read.
It answers in the words of ``session.predict``: ``Boxes``, ``Mask``, ``Classes``.

How bytes become numbers it reads out of the file's own metadata (``NormalizationOptions``), which
every ``.tflite`` of an artifact carries, or gets by ``edge convert --metadata``. A file without it
is refused; wrong numbers in it are believed.

Pictures are fitted before Tasks gets them, as the artifact declares it, and answers are mapped
back. Left to itself, Tasks samples a picture at its pixels' corners, not at their centres
(``warpPerspective`` from corner to corner), which moves it by up to half of one of the model's
pixels; and it letterboxes or stretches by task, whatever the artifact says. With a picture of the
model's own size it does neither, so that the answers are a session's, for pictures of any shape.

It brings an OpenCV of its own: install it in a venv of its own, never beside ``edgeloop[vision]``.
"""

from __future__ import annotations

import tempfile
from contextlib import nullcontext
from pathlib import Path
from typing import Any, Literal

import msgspec
import numpy as np

from edge_sdk.artifact import Artifact
from edge_sdk.backends.notices import without_formalities
from edge_sdk.closing import Closing
from edge_sdk.errors import UnavailableError, UsageError
from edge_sdk.processing import Geometry, ImagePreprocessor, Mask
from edge_sdk.processing.picture import Picture, check_picture, turned
from edge_sdk.spec import (
    Box,
    Boxes,
    Classes,
    Classification,
    ClassScore,
    Detection,
    ImageInput,
    Manifest,
    Segmentation,
    TensorSpec,
)

_ROUNDED = 1024
"""Boxes come in whole pixels: for a detector each pixel is repeated, to about so many a side."""
FACE_KEYPOINTS = 6
"""A face of BlazeFace has eyes, nose, mouth and ears; ``FaceDetector`` knows no other detector."""


class TasksModel(Closing):
    """A task, ready to answer. Made by ``open_tasks``; use as a context manager, or ``close``.

    Attributes:
        manifest: of the artifact.
        variant: id of the build that runs.
        video: whether pictures are frames of one video.
    """

    def __init__(self, manifest: Manifest, variant: str, file: Path, *, video: bool) -> None:
        self.manifest = manifest
        self.variant = variant
        self._mediapipe = _import()
        self.video = video
        self._fitting = _fitting(manifest)
        self._last_ms = -1
        self._asked = False
        self._task: Any = None
        try:
            with without_formalities():
                self._task = self._open(file)
        except (RuntimeError, ValueError, OSError) as error:
            said = " ".join(str(error).split())
            raise UsageError(
                f"MediaPipe Tasks refuses {variant} of {manifest.name}: {said}",
                "edge convert MODEL.tflite --metadata …   # writes what Tasks asks for",
            ) from error

    def predict(
        self, picture: Picture, time_ms: int | None = None, colour: Literal["rgb", "bgr"] = "rgb"
    ) -> Boxes | Mask | Classes:
        """The answer to a picture.

        Args:
            picture: uint8, height x width x 3, or height x width in gray.
            time_ms: of a video's frame; one that is not later than the last is set right.
            colour: order of the picture's channels.

        Raises:
            UsageError: it is not a picture, or the model is closed.
        """
        if self._task is None:
            raise UsageError("The model is closed.", "open_tasks(…) again")
        fitted, geometry = self._fitted(picture, colour)
        image = self._mediapipe.Image(
            image_format=self._mediapipe.ImageFormat.SRGB, data=np.ascontiguousarray(fitted)
        )
        doing, read = self._words()
        when: tuple[int, ...] = ()
        if self.video:
            self._last_ms = max(self._last_ms + 1, 0 if time_ms is None else time_ms)
            doing, when = f"{doing}_for_video", (self._last_ms,)
        with nullcontext() if self._asked else without_formalities():
            answer = getattr(self._task, doing)(image, *when)
        self._asked = True
        found: Boxes | Mask | Classes = read(answer, fitted.shape, geometry)
        return found

    def close(self) -> None:
        """Give back what the engine holds."""
        if self._task is not None:
            with without_formalities():
                self._task.close()
            self._task = None

    def _fitted(self, picture: Picture, colour: Literal["rgb", "bgr"]) -> tuple[Picture, Geometry]:
        """What Tasks gets, in RGB order, and the way back from it to the picture."""
        if self._fitting is None:
            picture = check_picture(picture)
            if picture.ndim == 2:
                return np.broadcast_to(picture[..., None], (*picture.shape, 3)), Geometry()
            return turned(picture) if colour == "bgr" else picture, Geometry()
        (fitted,), geometry = self._fitting.prepare(picture, colour)
        if isinstance(self.manifest.postprocess, Detection):
            times = max(1, _ROUNDED // max(fitted.shape))
            fitted = fitted.repeat(times, axis=0).repeat(times, axis=1)
        return fitted, geometry

    def _words(self) -> tuple[str, Any]:
        """What the task's call is named, and who reads its answer."""
        if isinstance(self.manifest.postprocess, Segmentation):
            return "segment", self._mask
        if isinstance(self.manifest.postprocess, Detection):
            return "detect", self._boxes
        return "classify", self._classes

    def _open(self, file: Path) -> Any:
        vision = self._mediapipe.tasks.vision
        options: dict[str, Any] = {
            "base_options": self._mediapipe.tasks.BaseOptions(model_asset_path=str(file)),
            "running_mode": vision.RunningMode.VIDEO if self.video else vision.RunningMode.IMAGE,
        }
        after = self.manifest.postprocess
        if isinstance(after, Segmentation):
            options["output_confidence_masks"] = True
            wishes = vision.ImageSegmenterOptions(**options)
            return vision.ImageSegmenter.create_from_options(wishes)
        if isinstance(after, Detection):
            if after.keypoints != FACE_KEYPOINTS:
                raise ValueError("its FaceDetector knows BlazeFace's models alone.")
            options["min_detection_confidence"] = after.min_score
            options["min_suppression_threshold"] = after.max_overlap
            wishes = vision.FaceDetectorOptions(**options)
            return vision.FaceDetector.create_from_options(wishes)
        if isinstance(after, Classification):
            wishes = vision.ImageClassifierOptions(max_results=after.top, **options)
            return vision.ImageClassifier.create_from_options(wishes)
        raise ValueError("it declares no postprocessing, so no task is known that it is for.")

    def _mask(self, answer: Any, shape: tuple[int, ...], geometry: Geometry) -> Mask:
        after = self.manifest.postprocess
        if not isinstance(after, Segmentation):
            raise UsageError("This is no segmentation.", "Use the artifact of one.")
        masks = answer.confidence_masks
        scores = masks[min(after.channel, len(masks) - 1)].numpy_view().squeeze()
        return Mask(np.array(scores, np.float32), geometry, after.min_score)

    def _boxes(self, answer: Any, shape: tuple[int, ...], geometry: Geometry) -> Boxes:
        size = np.array([shape[1], shape[0]], np.float64)
        scale = np.array([geometry.scale_x, geometry.scale_y])
        shift = np.array([geometry.shift_x, geometry.shift_y])
        label = self.manifest.labels[0] if self.manifest.labels else "0"
        found = []
        for each in answer.detections:
            box = each.bounding_box
            near = np.array([box.origin_x, box.origin_y])
            far = near + np.array([box.width, box.height])
            corners = np.stack([near, far]) / size * scale + shift
            (left, top), (right, bottom) = corners.clip(0, 1).tolist()
            if left < right and top < bottom:
                points = [np.array([p.x, p.y]) * scale + shift for p in each.keypoints or ()]
                found.append(
                    Box(
                        left=left,
                        top=top,
                        right=right,
                        bottom=bottom,
                        score=float(each.categories[0].score),
                        index=0,
                        label=label,
                        keypoints=tuple((float(x), float(y)) for x, y in points),
                    )
                )
        return Boxes(found=tuple(sorted(found, key=lambda each: -each.score)))

    def _classes(self, answer: Any, shape: tuple[int, ...], geometry: Geometry) -> Classes:
        rows = answer.classifications[0].categories
        labels = self.manifest.labels
        return Classes(
            top=tuple(
                ClassScore(
                    index=row.index,
                    label=labels[row.index] if labels else str(row.index),
                    score=float(row.score),
                )
                for row in rows
            )
        )


def open_tasks(path: Path | str, *, variant: str | None = None, video: bool = False) -> TasksModel:
    """Open an artifact's ``.tflite`` in MediaPipe Tasks.

    Args:
        path: the artifact.
        variant: id of the build; None takes the first whose file describes itself.
        video: pictures are frames of one video, in order: Tasks may track between them.

    Raises:
        UsageError: no build of it is a described ``.tflite``, or Tasks refuses it.
        UnavailableError: MediaPipe is not installed.
    """
    _import()
    with Artifact(Path(path)) as artifact, tempfile.TemporaryDirectory() as folder:
        manifest = artifact.manifest
        fitting = [each for each in manifest.variants if each.format == "tflite" and each.described]
        if variant is not None:
            fitting = [each for each in fitting if each.id == variant]
        if not fitting:
            raise UsageError(
                f"{path} has no .tflite{f' {variant!r}' if variant else ''} that describes itself.",
                "edge convert MODEL.tflite --metadata …   # else it stays as it was",
            )
        chosen = fitting[0]
        return TasksModel(manifest, chosen.id, artifact.extract(chosen, Path(folder)), video=video)


def _fitting(manifest: Manifest) -> ImagePreprocessor | None:
    """What makes of a picture one of the model's size, in bytes; None if no size is declared."""
    declared = manifest.preprocess
    if not isinstance(declared, ImageInput):
        return None
    bytes_only = msgspec.structs.replace(
        declared, mean=(0.0,), std=(1.0,), channels="rgb", layout="hwc"
    )
    fed = TensorSpec(name=declared.input, dtype="uint8", shape=(1, *declared.size, 3))
    return ImagePreprocessor(bytes_only, fed)


def _import() -> Any:
    try:
        import mediapipe
    except ImportError as error:
        raise UnavailableError(
            f"MediaPipe Tasks does not import: {error}.",
            "python3 -m venv tasks && tasks/bin/pip install 'edgeloop[mediapipe]'   # of its own",
        ) from error
    return mediapipe

"""The joint between pictures and tensors: what a session does around ``run`` to ``predict``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, TypeAlias

import numpy.typing as npt

from edge_sdk.errors import UsageError
from edge_sdk.processing.classification import classify
from edge_sdk.processing.detection import Detector
from edge_sdk.processing.geometry import Geometry
from edge_sdk.processing.image import ImagePreprocessor
from edge_sdk.processing.segmentation import Mask, check_segmentation, segment
from edge_sdk.spec import (
    Boxes,
    Classes,
    Classification,
    Detection,
    Postprocess,
    Preprocess,
    Segmentation,
    Signature,
    TensorSpec,
)
from edge_sdk.text import nearest

Array: TypeAlias = npt.NDArray[Any]


class Processing:
    """A model's declared pre- and postprocessing, checked against its signature and ready to go.

    Args:
        signature: the model's inputs and outputs in the original's terms; answers are read so.
        engine_signature: the same as the loaded build sees them; it is fed so, quantized integers
            included.
        preprocess, postprocess: as the manifest or a spec file declares them; None where it does
            not.
        labels: one per class, or none.

    Raises:
        UsageError: the declaration does not fit the model.
    """

    def __init__(
        self,
        *,
        signature: Signature,
        engine_signature: Signature,
        preprocess: Preprocess | None = None,
        postprocess: Postprocess | None = None,
        labels: Sequence[str] = (),
    ) -> None:
        self.preprocess = preprocess
        self.postprocess = postprocess
        self.labels = tuple(labels)
        self._image: ImagePreprocessor | None = None
        self._detector: Detector | None = None
        if preprocess is not None:
            self._image = _image_preprocessor(engine_signature, preprocess)
        if isinstance(postprocess, Classification):
            _check_classification(signature, postprocess, self.labels)
        elif isinstance(postprocess, Detection):
            self._detector = _detector(signature, preprocess, postprocess, self.labels)
        elif isinstance(postprocess, Segmentation):
            tensor = _named(postprocess.output, signature.outputs, "output", "postprocess.output")
            check_segmentation(postprocess, tensor)

    def before(
        self, frame: Array, colour: Literal["rgb", "bgr"] = "rgb"
    ) -> tuple[dict[str, Array], Geometry]:
        """What to feed for a picture, and what ``after`` will need to find the way back.

        Args:
            frame: the picture.
            colour: order of its channels.

        Raises:
            UsageError: it is not a picture (see ``ImagePreprocessor.prepare``), or no preprocessing
                is declared.
            UnavailableError: it must be resized and OpenCV is not installed.
        """
        if self._image is None:
            raise UsageError(
                "This model declares no preprocessing, so it cannot take a picture.",
                "Run it on arrays, or declare one: edge_sdk.load(…, preprocess=ImageInput(…))",
            )
        tensor, geometry = self._image.prepare(frame, colour)
        return {self._image.spec.input: tensor}, geometry

    def after(
        self, outputs: dict[str, Array], geometry: Geometry | None = None
    ) -> Classes | Boxes | Mask | dict[str, Array]:
        """The answer in the application's terms; without a declared postprocess, the outputs.

        Args:
            outputs: real numbers by output name.
            geometry: what ``before`` gave.

        Raises:
            UsageError: the outputs are not of the declared shapes.
            UnavailableError: the model answered something that is not a number.
        """
        if isinstance(self.postprocess, Classification):
            return classify(outputs[self.postprocess.output], self.postprocess, self.labels)
        if self._detector is not None:
            spec = self._detector.spec
            return self._detector.detect(
                outputs[spec.boxes], outputs[spec.scores], geometry or Geometry()
            )
        if isinstance(self.postprocess, Segmentation):
            output = outputs[self.postprocess.output]
            return segment(output, self.postprocess, geometry or Geometry())
        return outputs


def _image_preprocessor(signature: Signature, preprocess: Preprocess) -> ImagePreprocessor:
    tensor = _named(preprocess.input, signature.inputs, "input", "preprocess.input")
    others = [spec.name for spec in signature.inputs if spec.name != preprocess.input]
    if others:
        raise UsageError(
            f"A picture feeds {preprocess.input!r}, but the model has more inputs: "
            f"{', '.join(others)}.",
            "Leave [preprocess] out and run the model on arrays: session.run({name: array, …}).",
        )
    return ImagePreprocessor(preprocess, tensor)


def _check_classification(
    signature: Signature, postprocess: Classification, labels: tuple[str, ...]
) -> None:
    _check_top(postprocess.top)
    output = _named(postprocess.output, signature.outputs, "output", "postprocess.output")
    _check_labels(labels, output)


def _detector(
    signature: Signature,
    preprocess: Preprocess | None,
    postprocess: Detection,
    labels: tuple[str, ...],
) -> Detector:
    if preprocess is None:
        raise UsageError(
            "Detection needs the size of the model's picture, and no preprocessing is declared.",
            "Declare [preprocess] with kind = 'image' and its size.",
        )
    _check_top(postprocess.top)
    if not (0 <= postprocess.min_score <= 1 and 0 <= postprocess.max_overlap <= 1):
        raise UsageError(
            f"postprocess.min_score is {postprocess.min_score} and max_overlap "
            f"{postprocess.max_overlap}.",
            "Both are between 0 and 1.",
        )
    detector = Detector(postprocess, preprocess.size, labels)
    boxes = _named(postprocess.boxes, signature.outputs, "output", "postprocess.boxes")
    scores = _named(postprocess.scores, signature.outputs, "output", "postprocess.scores")
    _check_labels(labels, scores)
    detector.check(boxes.shape, scores.shape)
    return detector


def _check_labels(labels: tuple[str, ...], scores: TensorSpec) -> None:
    classes = scores.shape[-1] if scores.shape else 1
    if labels and isinstance(classes, int) and classes != len(labels):
        raise UsageError(
            f"There are {len(labels)} labels for {classes} classes (output {scores}).",
            "Give one label per class, in the order of the model's outputs.",
        )


def _named(name: str, specs: tuple[TensorSpec, ...], role: str, field: str) -> TensorSpec:
    for spec in specs:
        if spec.name == name:
            return spec
    raise UsageError(
        f"{field} names {name!r}, and the model has no such {role}.",
        nearest(name, [spec.name for spec in specs]),
    )


def _check_top(top: int) -> None:
    if top < 1:
        raise UsageError(f"postprocess.top is {top}.", "Ask for at least one.")

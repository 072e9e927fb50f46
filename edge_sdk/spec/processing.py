"""What happens to a picture before a model sees it, and to tensors after: declared, not coded.

Both travel in the manifest, so that the numbers a model is judged by in the laboratory and those it
is fed on a roof come from one description. The arithmetic is in ``edge_sdk.processing``.
"""

from typing import Literal

from edge_sdk.spec.word import Word


class ImageInput(Word, frozen=True, kw_only=True, tag_field="kind", tag="image"):
    """A picture (height x width x channels, bytes 0..255) becomes one input tensor.

    ``value = (byte - mean) / std``, so that 0..1 is mean 0, std 255 and -1..1 is 127.5 and 127.5.

    Attributes:
        input: the tensor's name.
        size: (height, width) in pixels that the model sees.
        channels: the order in which the model wants them.
        resize: ``stretch`` to the size; ``letterbox`` keeps the aspect ratio and pads with zero
            bytes; ``crop`` keeps it and cuts the longer side, centred.
        interpolation: how pixels are resampled.
        mean, std: one number for all channels or one per channel, in byte units.
        layout: order of the axes behind the batch axis.
    """

    input: str
    size: tuple[int, int]
    channels: Literal["rgb", "bgr", "gray"] = "rgb"
    resize: Literal["stretch", "letterbox", "crop"] = "stretch"
    interpolation: Literal["nearest", "bilinear", "area"] = "bilinear"
    mean: tuple[float, ...] = (0.0,)
    std: tuple[float, ...] = (255.0,)
    layout: Literal["hwc", "chw"] = "hwc"


class Classification(Word, frozen=True, kw_only=True, tag_field="kind", tag="classification"):
    """One output holds a score per class, along its last axis.

    Attributes:
        output: the tensor's name.
        activation: what turns the tensor into probabilities; ``none`` where the model already did.
        top: how many classes an answer lists.
    """

    output: str
    activation: Literal["none", "softmax", "sigmoid"] = "none"
    top: int = 3


class SsdAnchors(Word, frozen=True, kw_only=True):
    """MediaPipe's fixed-size anchor grid: one centre per cell, several anchors on it.

    Attributes:
        strides: one per layer, in input pixels; layers of equal stride share a grid and their
            anchors interleave on its cells.
        per_cell: anchors that each layer puts on a cell.
    """

    strides: tuple[int, ...]
    per_cell: int = 2


class Detection(Word, frozen=True, kw_only=True, tag_field="kind", tag="detection"):
    """Two outputs hold boxes and scores, one row per anchor, as MediaPipe's detectors answer.

    A box row is ``x, y, width, height`` (centre and size, in input pixels, relative to the anchor's
    centre) followed by ``keypoints`` pairs ``x, y``.

    Attributes:
        boxes, scores: names of the tensors, shapes 1 x anchors x (4 + 2 * keypoints) and
            1 x anchors x classes.
        anchors: the grid the rows refer to.
        keypoints: how many points follow each box.
        activation: what turns a raw score into a probability.
        min_score: detections below it are dropped.
        max_overlap: intersection over union above which two boxes are one object; the survivor is
            their average weighted by score (BlazeFace's blending), which is steadier on video than
            plain suppression.
        top: how many detections an answer lists.
    """

    boxes: str
    scores: str
    anchors: SsdAnchors
    keypoints: int = 0
    activation: Literal["none", "sigmoid"] = "sigmoid"
    min_score: float = 0.5
    max_overlap: float = 0.3
    top: int = 100


class Segmentation(Word, frozen=True, kw_only=True, tag_field="kind", tag="segmentation"):
    """One output holds, pixel by pixel, how sure the model is of what is looked for.

    Attributes:
        output: the tensor's name, of shape 1 x height x width (x classes, or classes first).
        activation: what turns it into 0..1; softmax is over the classes.
        layout: order of the axes behind the batch axis.
        channel: the class that is looked for.
        min_score: from which on a pixel counts as belonging to it.
    """

    output: str
    activation: Literal["none", "sigmoid", "softmax"] = "none"
    layout: Literal["hwc", "chw"] = "hwc"
    channel: int = 0
    min_score: float = 0.5


Preprocess = ImageInput
Postprocess = Classification | Detection | Segmentation

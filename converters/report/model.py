"""The model's part of the page: what goes in, what comes out, what is declared around it."""

from __future__ import annotations

from typing import assert_never

from converters.identity import Identity
from converters.report import figures
from converters.report.markup import Html, foreign, join, tag
from edge_sdk.guard import describe_limits
from edge_sdk.spec import (
    Classification,
    Detection,
    ImageInput,
    Postprocess,
    Segmentation,
    Signature,
    TensorSpec,
)

SHOWN_LABELS = 24
"""More labels than these are folded away."""
_TIMES = f" {figures.TIMES} "


def model_section(signature: Signature, identity: Identity) -> Html:
    """Signature, pre- and postprocessing, limits and labels, as the artifact declares them."""
    return tag(
        "dl",
        _entry("Inputs", _tensors(signature.inputs)),
        _entry("Outputs", _tensors(signature.outputs)),
        _entry("Preprocessing", _preprocess(identity.preprocess)),
        _entry("Postprocessing", _postprocess(identity.postprocess)),
        _entry("Guard", _guard(identity)),
        _entry("Labels", _labels(identity.labels)),
    )


def _entry(name: str, content: Html) -> Html:
    return tag("div", tag("dt", name), tag("dd", content))


def _tensors(tensors: tuple[TensorSpec, ...]) -> Html:
    if not tensors:
        return _none()
    return tag("ul", *(tag("li", _tensor(tensor)) for tensor in tensors), class_="tensors")


def _tensor(tensor: TensorSpec) -> Html:
    shape = _TIMES.join(str(length) for length in tensor.shape) or "scalar"
    stored = ""
    if tensor.quantization:
        zero = str(tensor.quantization.zero_point).replace("-", figures.MINUS)
        stored = f"scale {tensor.quantization.scale:.6g}, zero point {zero}"
    return join(
        [
            tag("code", foreign(tensor.name)),
            tag("span", tensor.dtype, class_="dtype"),
            tag("span", foreign(shape), class_="shape"),
            tag("small", stored) if stored else None,
        ],
        " ",
    )


def _guard(identity: Identity) -> Html:
    if identity.guard is None:
        return _none()
    pictures = identity.preprocess is not None
    told = describe_limits(identity.guard, pictures=pictures) or "nothing"
    return tag(
        "p", "Wherever it runs, it is asked only about what keeps: ", tag("code", foreign(told))
    )


def _preprocess(declared: ImageInput | None) -> Html:
    if declared is None:
        return _none()
    height, width = declared.size
    fitted = {
        "stretch": "stretched to",
        "letterbox": "fitted with a border into",
        "crop": "cropped at its centre to",
    }[declared.resize]
    colours = {"rgb": "RGB", "bgr": "BGR", "gray": "gray"}[declared.channels]
    axes = {"hwc": "channels last", "chw": "channels first"}[declared.layout]
    return join(
        [
            tag("p", f"A picture, {fitted} {height}{_TIMES}{width} (height{_TIMES}width), ",
                f"{declared.interpolation} interpolation, {colours}, {axes}, becomes ",
                tag("code", foreign(declared.input)), "."),
            tag("p", tag("code", f"value = (byte {figures.MINUS} {_vector(declared.mean)}) / "
                                 f"{_vector(declared.std)}")),
        ]
    )  # fmt: skip


def _postprocess(declared: Postprocess | None) -> Html:
    match declared:
        case None:
            return _none()
        case Classification():
            activation = "" if declared.activation == "none" else f" through {declared.activation}"
            return tag(
                "p",
                "Classification: ",
                tag("code", foreign(declared.output)),
                f"{activation} gives the scores; an answer lists the best {declared.top}.",
            )
        case Detection():
            activation = "" if declared.activation == "none" else f" through {declared.activation}"
            grid = ", ".join(str(stride) for stride in declared.anchors.strides)
            points = f", {figures.counted(declared.keypoints, 'keypoint')} each"
            return tag(
                "p",
                "Detection: boxes from ",
                tag("code", foreign(declared.boxes)),
                f"{points if declared.keypoints else ''}, scores from ",
                tag("code", foreign(declared.scores)),
                f"{activation}, on anchors of strides {grid} with "
                f"{declared.anchors.per_cell} to a cell. Kept: scores from "
                f"{declared.min_score:g}, overlapping by at most {declared.max_overlap:g}, "
                f"the best {declared.top}.",
            )
        case Segmentation():
            return tag(
                "p",
                "Segmentation: ",
                tag("code", foreign(declared.output)),
                f" through {declared.activation}" if declared.activation != "none" else "",
                f", class {declared.channel}; pixels from {declared.min_score:g} on belong to it.",
            )
        case _:
            assert_never(declared)


def _labels(labels: tuple[str, ...]) -> Html:
    if not labels:
        return _none()
    parts = [
        tag("p", f"{figures.count(len(labels))} {'class' if len(labels) == 1 else 'classes'}"),
        _numbered(labels[:SHOWN_LABELS], 0),
    ]
    if rest := labels[SHOWN_LABELS:]:
        summary = tag("summary", f"{figures.count(len(rest))} more")
        parts.append(tag("details", summary, _numbered(rest, SHOWN_LABELS)))
    return join(parts)


def _numbered(labels: tuple[str, ...], first: int) -> Html:
    items = (
        tag("li", tag("small", str(index)), foreign(label))
        for index, label in enumerate(labels, first)
    )
    return tag("ul", *items, class_="labels")


def _vector(numbers: tuple[float, ...]) -> str:
    shown = [f"{number:.10g}".replace("-", figures.MINUS) for number in numbers]
    return shown[0] if len(shown) == 1 else f"[{', '.join(shown)}]"


def _none() -> Html:
    return tag("p", "none declared", class_="empty")

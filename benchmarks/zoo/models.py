"""The models of the zoo: where each is, and how it is fed. All of them are assets."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from examples.assets import asset

INPUTS = "benchmarks.zoo.inputs"
PLAIN = "fp32,fp16,int8-weights"


@dataclass(frozen=True)
class Animal:
    """One model.

    Attributes:
        name: what a person calls it, and the key of its results.
        place: gives the source as it is typed: a path, or ``module:function``.
        feed: the function of ``benchmarks.zoo.inputs`` that gives real inputs; empty for noise.
        options: what else is typed: the shapes that the model leaves open.
        recipes: what is asked for.
        wrapped: the target that takes the file as it is; empty where everything is made anew.
    """

    name: str
    place: Callable[[], str]
    feed: str = ""
    options: tuple[str, ...] = ()
    recipes: str = PLAIN
    wrapped: str = ""


def _in(name: str, file: str = "") -> Callable[[], str]:
    """A file of an asset; the asset is fetched when the source is asked for."""

    def place() -> str:
        path = asset(name)
        return str(Path(path) / file if file else path)

    return place


def _shapes(*shapes: str) -> tuple[str, ...]:
    return tuple(word for shape in shapes for word in ("--input", shape))


SILERO = _shapes("input:1x576", "state:2x1x128")

ANIMALS = (
    Animal(
        "EfficientNet-Lite0 (PyTorch)",
        lambda: "examples.efficientnet.model:lite0",
        "photos",
        recipes="fp32,fp16,int8,int8-dynamic,int8-weights",
    ),
    Animal(
        "PP-OCRv4 det",
        _in("ppocr", "ch_PP-OCRv4_det_infer.onnx"),
        "pages",
        _shapes("x:1x3x320x320"),
    ),
    Animal(
        "PP-OCRv4 rec",
        _in("ppocr", "ch_PP-OCRv4_rec_infer.onnx"),
        "words",
        _shapes("x:1x3x48x320"),
    ),
    Animal(
        "PP-OCR cls",
        _in("ppocr", "ch_ppocr_mobile_v2.0_cls_infer.onnx"),
        "signs",
        _shapes("x:1x3x48x192"),
    ),
    Animal(
        "silero-vad (If on a shape)",
        _in("silero-vad", "silero_vad_16k_op15.onnx"),
        "speech_and_rate",
        SILERO,
    ),
    Animal(
        "silero-vad (without If)",
        _in("silero-vad", "silero_vad_op18_ifless.onnx"),
        "speech_and_rate",
        SILERO,
    ),
    Animal(
        "silero-vad (two rates)",
        _in("silero-vad-more", "silero_vad.onnx"),
        "speech_and_rate",
        SILERO,
    ),
    Animal(
        "silero-vad (for OpenVINO)",
        _in("silero-vad-more", "silero_vad_openvino_16k.onnx"),
        "speech",
    ),
    Animal(
        "silero-vad (half precision)",
        _in("silero-vad-more", "silero_vad_half.onnx"),
        "speech",
        SILERO,
    ),
    Animal(
        "silero-vad (sequence)",
        _in("silero-vad-more", "silero_vad_16k_sequence.onnx"),
        "speech_in_sequence",
        _shapes("input:1x576"),
    ),
    Animal("magika", _in("magika"), "file_beginnings", _shapes("bytes:1x2048")),
    Animal(
        "basic-pitch (ONNX)",
        _in("basic-pitch", "nmp.onnx"),
        "sound_for_onnx",
        _shapes("serving_default_input_2:0:1x43844x1"),
    ),
    Animal(
        "basic-pitch (.tflite)",
        _in("basic-pitch", "nmp.tflite"),
        "sound",
        _shapes("input_2:1x43844x1"),
    ),
    Animal(
        "basic-pitch (SavedModel)",
        _in("basic-pitch-trees", "nmp"),
        "sound",
        _shapes("input_2:1x43844x1"),
    ),
    Animal("basic-pitch (Core ML)", _in("basic-pitch-trees", "nmp.mlpackage"), "sound"),
    Animal("MediaPipe face, short range", _in("face-detection-short-range"), "faces_near"),
    Animal("MediaPipe face, full range", _in("face-detection-full-range"), "faces_far"),
    Animal(
        "MediaPipe face, full range, sparse",
        _in("face-detection-full-range-sparse"),
        "faces_far_sparse",
    ),
    Animal("MediaPipe selfie", _in("selfie-segmentation"), "people"),
    Animal(
        "textgenrnn (weights alone)", _in("textgenrnn", "textgenrnn_weights.hdf5"), recipes="fp32"
    ),
    Animal("textgenrnn (Keras)", lambda: "examples.predictive_text.letters:model", "letters"),
    *(
        Animal(f"wake word {name}", _in("wake-words", f"{name}.tflite"), wrapped="tflite")
        for name in ("alexa", "hey_jarvis", "hey_mycroft", "okay_nabu")
    ),
)

"""Real inputs for the zoo's models, as ``edge convert --evaluate module:function`` takes them."""

from __future__ import annotations

import json
import wave
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge_sdk.pipeline import read_picture
from edge_sdk.processing import ImagePreprocessor, read_processing
from edge_sdk.spec import ImageInput, TensorSpec
from examples.assets import asset

Arrays = dict[str, NDArray[np.generic]]
Numbers = NDArray[np.float32]

RATE = 16_000
ALBUMS = ("imagenet-photos", "photos", "more-photos", "opencv-photos")
PEOPLE = ("astronaut.png", "messi5.jpg", "basketball1.png", "basketball2.png", "squirrel_cls.jpg")
ROOT = Path(__file__).resolve().parents[2]


def photo_files() -> list[Path]:
    """All photographs there are, about a hundred."""
    found = (path for album in ALBUMS for path in asset(album).rglob("*"))
    return sorted(path for path in found if path.suffix in (".jpg", ".png"))


def photos() -> Arrays:
    """Every photograph as EfficientNet-Lite0 takes it: 224 x 224, channels first, normalised."""
    preprocess, _ = read_processing(ROOT / "examples" / "efficientnet" / "photo.toml")
    if not isinstance(preprocess, ImageInput):
        raise TypeError("photo.toml declares no picture")
    tensor = TensorSpec(name="inputs", dtype="float32", shape=(1, 3, 224, 224))
    preparer = ImagePreprocessor(preprocess, tensor)
    return {
        "x": np.concatenate([preparer.prepare(read_picture(file))[0] for file in photo_files()])
    }


def pages() -> Arrays:
    """Photographs with words in them for a text detector: 320 x 320, normalised as in training."""
    pixels = _pixels(_named("text", "cards", "board", "box", "page", "sudoku"), 320, 320)
    normal = (pixels / 255 - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]
    return {"x": normal.transpose(0, 3, 1, 2).astype(np.float32)}


def words() -> Arrays:
    """Strips of photographs, words among them, for a text reader: 48 x 320 in -1..1."""
    return {"x": _strips(320)}


def signs() -> Arrays:
    """The same for the net that says which way up: 48 x 192."""
    return {"x": _strips(192)}


def speech() -> Arrays:
    """Chunks of read speech, 512 samples behind 64 old ones, and the state of silence."""
    chunks = _chunks()
    return {"input": chunks, "state": np.zeros((len(chunks), 2, 1, 128), np.float32)}


def speech_and_rate() -> Arrays:
    """The same for exports that are told the rate."""
    arrays = speech()
    return {**arrays, "sr": np.full(len(arrays["input"]), RATE, np.int64)}


def speech_in_sequence() -> Arrays:
    """The same for the export with two states."""
    chunks, state = _chunks(), np.zeros((64, 1, 128), np.float32)
    return {"input": chunks, "h": state, "c": state}


def sound() -> Arrays:
    """Two seconds of speech at 22,050 Hz, eight times."""
    return {"input_2": _long_sound()}


def sound_for_onnx() -> Arrays:
    """The same by the ONNX export's name."""
    return {"serving_default_input_2:0": _long_sound()}


def file_beginnings() -> Arrays:
    """Begin and end of this repository's own files, of many kinds, as magika reads them."""
    files = [path for path in sorted(ROOT.glob("*")) if path.is_file()]
    files += sorted((ROOT / "docs").rglob("*.*"))[:24] + sorted(asset("ppocr").glob("*.onnx"))
    files += sorted(asset("photos").iterdir())
    rows = []
    for path in files:
        content = path.read_bytes()
        sides = content[:4096].lstrip()[:1024], content[-4096:].rstrip()[-1024:]
        row = np.full(2048, 256, np.int32)
        row[: len(sides[0])] = np.frombuffer(sides[0], np.uint8)
        row[2048 - len(sides[1]) :] = np.frombuffer(sides[1], np.uint8)
        rows.append(row)
    return {"bytes": np.stack(rows)}


def faces_near() -> Arrays:
    """People, 128 x 128 in -1..1."""
    return {"input": _faces(128)}


def faces_far() -> Arrays:
    """People, 192 x 192 in -1..1."""
    return {"input": _faces(192)}


def faces_far_sparse() -> Arrays:
    """The same by the sparse model's name."""
    return {"input_1": _faces(192)}


def people() -> Arrays:
    """People, 256 x 256 in 0..1."""
    return {"input_1": (_pixels(_people(), 256, 256) / 255).astype(np.float32)}


def letters() -> Arrays:
    """Forty letters of English each, as textgenrnn counts them."""
    vocabulary = json.loads((asset("textgenrnn") / "textgenrnn_vocab.json").read_text())
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    codes = [vocabulary.get(letter, 0) for letter in text]
    rows = [codes[at : at + 40] for at in range(0, 40 * 64, 40)]
    return {"input": np.asarray(rows, np.float32)}


def _strips(width: int) -> Numbers:
    pixels = _pixels(_named("text", "cards", "board", "box", "page", "licenseplate"), 48, width)
    return (pixels / 127.5 - 1).transpose(0, 3, 1, 2).astype(np.float32)


def _faces(side: int) -> Numbers:
    return (_pixels(_people(), side, side) / 127.5 - 1).astype(np.float32)


def _named(*beginnings: str) -> list[Path]:
    marks = (*beginnings, "scene")
    return [path for path in photo_files() if path.name.startswith(marks)]


def _people() -> list[Path]:
    return [path for path in photo_files() if path.name in PEOPLE] + photo_files()[:24]


def _pixels(files: list[Path], height: int, width: int) -> Numbers:
    import cv2

    pictures = [cv2.resize(read_picture(file), (width, height)) for file in files]
    return np.stack(pictures).astype(np.float32)


def _chunks() -> Numbers:
    heard = np.concatenate(list(_recordings()))
    step = max(1, (len(heard) - 576) // 64)
    return np.stack([heard[at * step : at * step + 576] for at in range(64)])


def _long_sound() -> Numbers:
    heard = np.concatenate(list(_recordings()))
    faster = np.interp(np.arange(8 * 43_844) * RATE / 22_050, np.arange(len(heard)), heard)
    return faster.astype(np.float32).reshape(8, 43_844, 1)


def _recordings() -> Iterator[Numbers]:
    for path in sorted(asset("speech").iterdir()):
        if path.suffix == ".raw":
            content = path.read_bytes()
        elif path.suffix == ".wav":
            with wave.open(str(path)) as file:
                content = file.readframes(file.getnframes())
        else:
            continue
        yield np.frombuffer(content, np.int16).astype(np.float32) / 32768

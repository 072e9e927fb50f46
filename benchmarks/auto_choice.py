"""Whether ``delegates="auto"`` finds what one would have found by trying everything by hand.

For ten real nets, ``auto`` chooses with an empty memory. Then its choice and what one would pick by
hand (the engine's defaults on one thread and on two) are measured together, in turns, three times.
A net's ratio is the median time of the choice over that of the best by hand; 1.0 is a perfect
choice, and below it is what the other engines and delegates that ``auto`` tries were worth.

    python benchmarks/auto_choice.py [--quick]
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks._models import int8_model
from edge_sdk.runtime.auto import fastest
from edge_sdk.runtime.bench import measure
from edge_sdk.runtime.configurations import Configuration
from examples.assets import asset

ROUNDS = 3
SECONDS = 2.0
LIMIT = 1.05

Shapes = dict[str, tuple[int, ...]]


def main() -> None:
    parser = argparse.ArgumentParser(prog="auto_choice")
    parser.add_argument("--quick", action="store_true", help="a rough answer in half a minute")
    quick = parser.parse_args().quick
    ratios, chosen = {}, {}
    for name, (path, shapes) in nets().items():
        with tempfile.TemporaryDirectory() as memory:
            choice = fastest(path, Path(memory), shapes=shapes)
        ratios[name] = round(compared(path, shapes, choice, 1 if quick else ROUNDS, quick), 3)
        chosen[name] = str(choice)
        print(f"{name}: {ratios[name]:.3f}x with {choice}", file=sys.stderr)
    ratios["worst"] = max(ratios.values())
    result = {
        "about": "the time of what auto chooses, ten real nets",
        "peer": "the best of the engine's defaults on one and on two threads",
        "ratios": ratios,
        "limits": {"worst": LIMIT},
        "chosen": chosen,
    }
    print(json.dumps(result))


def nets() -> dict[str, tuple[Path, Shapes]]:
    """Path and the shapes of open inputs, by name."""
    ocr = asset("ppocr")
    return {
        "MobileNetV2 int8": (int8_model("mobilenet_v2"), {}),
        "BlazeFace": (only("face-detection-short-range", "*.tflite"), {}),
        "BlazeFace, full range": (only("face-detection-full-range", "*.tflite"), {}),
        "Selfie segmentation": (only("selfie-segmentation", "*.tflite"), {}),
        "Wake word": (asset("wake-words") / "okay_nabu.tflite", {}),
        "Basic Pitch": (asset("basic-pitch") / "nmp.tflite", {}),
        "PP-OCR cls": (ocr / "ch_ppocr_mobile_v2.0_cls_infer.onnx", {"x": (1, 3, 48, 192)}),
        "PP-OCRv4 det": (ocr / "ch_PP-OCRv4_det_infer.onnx", {"x": (1, 3, 320, 320)}),
        "Silero VAD": (asset("silero-vad-more") / "silero_vad_openvino_16k.onnx", {}),
        "Magika": (only("magika", "*.onnx"), {}),
    }


def only(name: str, pattern: str) -> Path:
    """The one file of an asset that fits."""
    path = asset(name)
    return path if path.is_file() else next(path.glob(pattern))


def compared(path: Path, shapes: Shapes, choice: Configuration, rounds: int, quick: bool) -> float:
    """The choice's time over that of the best that is picked by hand."""
    engine = "onnxruntime" if path.suffix == ".onnx" else "litert"
    by_hand = [Configuration(backend=engine, threads=count) for count in (1, 2)]
    everyone = list(dict.fromkeys([choice, *by_hand]))
    times: dict[Configuration, list[float]] = {each: [] for each in everyone}
    for _ in range(rounds):
        measured, _ = measure(path, everyone, seconds=0.5 if quick else SECONDS, shapes=shapes)
        for each in measured:
            times[each.configuration].append(each.timings.p50_ms)
    medians = {each: statistics.median(found) for each, found in times.items()}
    return medians[choice] / min(medians[each] for each in by_hand)


if __name__ == "__main__":
    main()

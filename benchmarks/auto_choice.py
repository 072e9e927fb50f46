"""Whether ``delegates="auto"`` finds what one would have found by trying everything by hand.

For ten real nets, ``auto`` chooses with an empty memory. Then its choice and what one would pick by
hand (the engine's defaults on one thread and on two) take short turns, and what is held against
each other fell into the same pass through all of them. Where an instance's memory happens to lie
changes the speed of a small net by as much as a tenth, so that is done with several sets of
instances, made afresh. The ratio of a choice is its time over that of the best by hand, the median
over the sets of the median over the passes; 1.0 is a perfect choice. All of it is done three times,
since a machine that others use is another one a minute later; a net's ratio is the median of the
three, and the worst single choice is told as well.

    python benchmarks/auto_choice.py [--quick]
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from time import perf_counter_ns

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks._models import int8_model
from edge_sdk.runtime.auto import fastest
from edge_sdk.runtime.bench import Subject, take_turns
from edge_sdk.runtime.configurations import Configuration
from edge_sdk.runtime.lead import ratio
from examples.assets import asset

ROUNDS = 3
SETS, QUICK_SETS = 5, 3
SECONDS = 0.8
TURN_SECONDS = 0.02
LIMIT = 1.05

Shapes = dict[str, tuple[int, ...]]


def main() -> None:
    parser = argparse.ArgumentParser(prog="auto_choice")
    parser.add_argument("--quick", action="store_true", help="a rough answer in a minute")
    quick = parser.parse_args().quick
    ratios: dict[str, float] = {}
    chosen: dict[str, list[str]] = {}
    worst_choice = 0.0
    for name, (path, shapes) in nets().items():
        found = []
        for _ in range(1 if quick else ROUNDS):
            with tempfile.TemporaryDirectory() as memory:
                choice = fastest(path, Path(memory), shapes=shapes)
            found.append(compared(path, shapes, choice, QUICK_SETS if quick else SETS))
            chosen.setdefault(name, []).append(str(choice))
        ratios[name] = round(statistics.median(found), 3)
        worst_choice = max(worst_choice, *found)
        told = ", ".join(
            f"{ratio:.3f}x with {way}" for ratio, way in zip(found, chosen[name], strict=True)
        )
        print(f"{name}: {told}", file=sys.stderr)
    ratios["worst"] = max(ratios.values())
    ratios["worst single choice"] = round(worst_choice, 3)
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


def compared(path: Path, shapes: Shapes, choice: Configuration, sets: int) -> float:
    """The choice's time over that of the best that is picked by hand; 1.0 where it is the best."""
    engine = "onnxruntime" if path.suffix == ".onnx" else "litert"
    by_hand = [Configuration(backend=engine, threads=count) for count in (1, 2)]
    ways = list(dict.fromkeys((choice, *by_hand)))
    turns: dict[Configuration, list[list[float]]] = {way: [] for way in ways}
    for number in range(sets):
        for way, took in turns_of(path, shapes, ways[:: -1 if number % 2 else 1]).items():
            turns[way].append(took)
    return max(ratio(turns[choice], turns[way]) for way in by_hand)


def turns_of(
    path: Path, shapes: Shapes, ways: Sequence[Configuration]
) -> dict[Configuration, list[float]]:
    """What the turns of instances made afresh took, pass by pass."""
    subjects = []
    try:
        for way in ways:
            subjects.append(Subject(path, way, perf_counter_ns))
            subjects[-1].feed(shapes)
        take_turns(subjects, SECONDS, perf_counter_ns, turn_seconds=TURN_SECONDS)
        return {subject.configuration: subject.turns for subject in subjects}
    finally:
        for subject in subjects:
            subject.session.close()


if __name__ == "__main__":
    main()

"""The main job on real models, as a person would type it: ``make demo``.

    a classifier    trained here on Fashion-MNIST, converted to eight builds in three formats, each
                    proven on the 10,000 test pictures; packed, verified, run
    a detector      MediaPipe's face detection wrapped as it is, run on a video

Every step is an ``edge`` command, printed before it runs. The artifacts, the drawn video and a
picture stay in ``build/demo``. The exit code is not 0 if anything did not happen.
"""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from examples.assets import asset
from examples.fashion_mnist import dataset, train

HERE = Path(__file__).parent
OUT = HERE.parent / "build" / "demo"
EDGE = Path(sys.executable).with_name("edge")
SHEET = {"columns": 4, "rows": 2, "scale": 2}


def main() -> int:
    """Run the demo."""
    started = time.perf_counter()
    OUT.mkdir(parents=True, exist_ok=True)
    classifier()
    faces()
    print(f"\nDone in {time.perf_counter() - started:.0f} s. All of it is in {shown(OUT)}:")
    for path in sorted(p for p in OUT.iterdir() if p.suffix in (".edge", ".mp4", ".png")):
        print(f"  {path.name}")
    return 0


def classifier() -> None:
    """Train, convert, prove, verify, run."""
    say("A classifier of our own", "trained once on Fashion-MNIST, then cached")
    source = train.classifier("good")
    data = dataset.write_data(OUT / "data")
    pictures = dataset.write_images(OUT / "pictures", per_class=1)
    artifact = OUT / "fashion-1.0.0.edge"
    spec = HERE / "fashion_mnist"
    edge(
        *("convert", source, "-o", artifact),
        *("--formats", "tflite,coreml,onnx", "--recipe", "fp32,fp16,int8,int8-weights"),
        *("--calibrate", data / "calibration.npz", "--evaluate", data / "evaluation.npz"),
        *("--preprocess", spec / "classifier.toml", "--labels", spec / "labels.txt"),
    )
    say("The artifact proves itself", "digests, and golden vectors on this machine's engines")
    edge("verify", artifact)
    say("It answers", "one test picture a class, preprocessing as the artifact declares it")
    edge("run", artifact, *sorted(pictures.rglob("*.png")))
    found = edge_json("run", artifact, *sorted(pictures.rglob("*.png")))
    right = sum(
        answer["result"]["top"][0]["label"] == Path(answer["source"]).parent.name
        for answer in found["results"]
    )
    print(f"{right} of {len(found['results'])} right.")


def faces() -> None:
    """Wrap a .tflite that exists already, and run it on a video."""
    say("Faces on a video", "MediaPipe's detector as it is; its anchors and boxes declared in TOML")
    spec = HERE / "face_detection"
    artifact = OUT / "face-1.0.0.edge"
    edge(
        *("convert", asset("face-detection-short-range"), "-o", artifact),
        *("--preprocess", spec / "face.toml", "--labels", spec / "labels.txt"),
        *("--evaluate", asset("photos")),
    )
    video = OUT / "faces.mp4"
    found = edge_json("run", artifact, asset("carphone"), "--draw", video)
    with_face = len({a["index"] for a in found["results"] if a["result"]["found"]})
    print(
        f"{with_face} of {found['frames']} frames show a face; {found['fps']:.0f} frames a second, "
        f"inference p99 {found['latency_ms']['p99']:.2f} ms\n"
        f"drawn: {shown(video)}, some frames of it: {shown(contact_sheet(video))}"
    )
    if with_face < found["frames"] / 2:
        sys.exit("The detector missed most faces: that is not what it did when this was written.")


def contact_sheet(video: Path) -> Path:
    """Some frames of a video in one picture."""
    reader = cv2.VideoCapture(str(video))
    frames = []
    while True:
        read, frame = reader.read()
        if not read:
            break
        frames.append(frame)
    reader.release()
    picked = np.linspace(0, len(frames) - 1, SHEET["columns"] * SHEET["rows"]).astype(int)
    scaled = [cv2.resize(frames[i], None, fx=SHEET["scale"], fy=SHEET["scale"]) for i in picked]
    rows = [
        np.hstack(scaled[i : i + SHEET["columns"]]) for i in range(0, len(scaled), SHEET["columns"])
    ]
    picture = video.with_suffix(".png")
    cv2.imwrite(str(picture), np.vstack(rows))
    return picture


def say(title: str, about: str) -> None:
    """A heading."""
    print(f"\n\033[1m{title}\033[0m: {about}" if sys.stdout.isatty() else f"\n{title}: {about}")
    sys.stdout.flush()


def edge(*words: Any) -> None:
    """Run one ``edge`` command with its output as it comes; end the demo if it fails."""
    print(f"$ edge {shlex.join(shown(word) for word in words)}", flush=True)
    done = subprocess.run([EDGE, *map(str, words)], check=False)
    if done.returncode:
        sys.exit(done.returncode)


def edge_json(*words: Any) -> dict[str, Any]:
    """Run one ``edge`` command for its JSON."""
    done = subprocess.run([EDGE, *map(str, words), "--json"], stdout=subprocess.PIPE, check=False)
    if done.returncode:
        sys.exit(done.returncode)
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def shown(word: Any) -> str:
    """A path as short as it can be said from here."""
    if isinstance(word, Path) and word.is_relative_to(Path.cwd()):
        return os.fspath(word.relative_to(Path.cwd()))
    return str(word)


if __name__ == "__main__":
    sys.exit(main())

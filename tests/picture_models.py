"""Artifacts that look at pictures, made in milliseconds: is a picture of 4 x 4 dark or bright?

With a mean gray of m (0..1) the scores are ``dark = 1 - m`` and ``bright = m``.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import cv2
import numpy as np
from ai_edge_litert import schema_py_generated as tfl
from tiny_models import TfLite

from edge_sdk.artifact import Artifact, ArtifactFolder, Golden, golden, measure, pack
from edge_sdk.processing import Processing
from edge_sdk.spec import (
    Classification,
    ImageInput,
    InputLimits,
    Manifest,
    Provenance,
    Signature,
    TensorSpec,
    Variant,
    encode,
)
from edge_sdk.spec.contents import BASELINE
from edge_sdk.spec.sketch import Baseline
from edge_sdk.telemetry.baseline import baseline_of
from edge_sdk.telemetry.features import Probe

SIDE = 4
DARK, BRIGHT = 40, 220
IMAGE = ImageInput(input="image", size=(SIDE, SIDE), channels="gray")
SIGNATURE = Signature(
    inputs=(TensorSpec(name="image", dtype="float32", shape=(1, SIDE, SIDE, 1)),),
    outputs=(TensorSpec(name="scores", dtype="float32", shape=(1, 2)),),
)
Kind = Literal["right", "wrong", "fragile"]
"""``wrong`` says the opposite of everything; ``fragile`` answers no number of dark pictures."""


def model(kind: Kind = "right") -> bytes:
    """The TFLite file."""
    share = 1 / SIDE**2
    rows = np.array([[-share] * SIDE**2, [share] * SIDE**2], np.float32)
    offsets = np.array([1, 0], np.float32)
    if kind == "wrong":
        rows, offsets = rows[::-1], offsets[::-1]
    if kind == "fragile":  # the square root of m - 1/2, and nothing for dark
        rows[0], offsets = 0, np.array([0, -0.5], np.float32)
    made = TfLite()
    image = made.tensor("image", (1, SIDE, SIDE, 1))
    weights, bias = (
        made.tensor("w", (2, SIDE**2), value=rows),
        made.tensor("b", (2,), value=offsets),
    )
    scores = made.tensor("scores", (1, 2))
    sums = made.tensor("sums", (1, 2)) if kind == "fragile" else scores
    made.operator("FULLY_CONNECTED", [image, weights, bias], [sums], tfl.FullyConnectedOptionsT())
    if kind == "fragile":
        made.operator("SQRT", [sums], [scores])
    return made.build([image], [scores])


def baseline() -> Baseline:
    """Of pictures between dark and bright, as ``right`` answers them."""
    processing = Processing(
        signature=SIGNATURE,
        engine_signature=SIGNATURE,
        preprocess=IMAGE,
        postprocess=Classification(output="scores"),
    )
    probe, rows = Probe(processing, SIGNATURE, SIGNATURE), []
    for level in range(20, 240):
        inputs, _ = processing.before(np.full((SIDE, SIDE), level, np.uint8))
        m = level / 255
        outputs = {"scores": np.array([[1 - m, m]], np.float32)}
        rows.append(probe.measure(inputs, outputs, processing.after(outputs)))
    return baseline_of(probe.names, np.array(rows), [108, 112])


def artifact(
    path: Path,
    kind: Kind = "right",
    *,
    version: str = "1.0.0",
    golden_is_right: bool = True,
    with_golden: bool = True,
    with_baseline: bool = True,
    takes_pictures: bool = True,
    guard: InputLimits | None = None,
) -> str:
    """Write an artifact; answers its digest."""
    contents: dict[str, bytes] = {"variants/tflite-fp32/model.tflite": model(kind)}
    if with_golden:
        x = np.linspace(0.6, 1, 3, dtype=np.float32)[:, None, None, None, None]
        x = np.broadcast_to(x, (3, 1, SIDE, SIDE, 1)).copy()
        m = x.mean(axis=(2, 3))
        y = {"right": [1 - m, m], "wrong": [m, 1 - m], "fragile": [m * 0, np.sqrt(m - 0.5)]}[kind]
        outputs = np.concatenate(y, axis=-1).astype(np.float32)
        vectors = Golden(
            inputs={"image": x},
            outputs={"scores": outputs if golden_is_right else outputs + 1},
            tolerance={"tflite-fp32": {"scores": 1e-3}},
        )
        contents[golden.FILE] = golden.pack(vectors)
    if with_baseline:
        contents[BASELINE] = encode(baseline())
    manifest = Manifest(
        name="light",
        version=version,
        signature=SIGNATURE,
        variants=(
            Variant(
                id="tflite-fp32",
                format="tflite",
                recipe="fp32",
                path="variants/tflite-fp32/model.tflite",
                size=len(contents["variants/tflite-fp32/model.tflite"]),
                backends=("litert",),
                signature=SIGNATURE,
            ),
        ),
        provenance=Provenance(source="x", source_format="x", source_sha256="0" * 64, tools={}),
        files=measure(contents),
        labels=("dark", "bright"),
        preprocess=IMAGE if takes_pictures else None,
        postprocess=Classification(output="scores"),
        guard=guard,
    )
    return pack(path, manifest, contents)


def slot(folder: Path, kind: Kind = "right", **changes: object) -> tuple[str, str]:
    """An artifact unpacked as a device has it; answers the slot's path and the digest."""
    folder.mkdir(parents=True, exist_ok=True)
    packed = folder / f"{kind}.edge"
    digest = artifact(packed, kind, **changes)  # type: ignore[arg-type]
    target = folder / digest
    with Artifact(packed) as opened:
        for name in opened.manifest.files:
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            (target / name).write_bytes(opened.read(name))
        (target / "manifest.json").write_bytes(opened.manifest_bytes)
    assert ArtifactFolder(target).digest == digest
    return str(target), digest


def write_pictures(folder: Path, *levels: int) -> Path:
    """Pictures of one gray each, named by their order; what was there before goes."""
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.iterdir():
        old.unlink()
    for index, level in enumerate(levels):
        assert cv2.imwrite(str(folder / f"{index:03}.png"), np.full((8, 8, 3), level, np.uint8))
    return folder

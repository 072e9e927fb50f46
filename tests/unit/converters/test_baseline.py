"""The baseline in an artifact: of real data only, the same every time, and as a device measures."""

from pathlib import Path
from typing import Any

import numpy as np
from picture_models import IMAGE, model

from converters import convert
from edge_sdk import load
from edge_sdk.artifact import Artifact
from edge_sdk.spec import Classification, decode
from edge_sdk.spec.contents import BASELINE
from edge_sdk.spec.sketch import Baseline
from edge_sdk.telemetry.bins import BinTally
from edge_sdk.telemetry.features import Probe

RNG = np.random.default_rng(0)
PICTURES = RNG.integers(0, 256, (240, 1, 1, 1), np.uint8) // 2 + RNG.integers(
    0, 128, (240, 4, 4, 1), np.uint8
)
X = PICTURES.astype(np.float32) / np.float32(255)


def converted(folder: Path, name: str = "light", kind: Any = "right", **data: Any) -> Path:
    source = folder / "light.tflite"
    source.write_bytes(model(kind))
    output = folder / f"{name}.edge"
    found = convert(
        source,
        output,
        name="light",
        preprocess=IMAGE,
        postprocess=Classification(output="scores"),
        labels=["dark", "bright"],
        golden="none",
        latency=False,
        **data,
    )
    assert found.passed
    return output


def baseline_in(path: Path) -> Baseline | None:
    with Artifact(path) as artifact:
        if BASELINE not in artifact:
            return None
        return decode(artifact.read(BASELINE), Baseline, BASELINE)


def test_it_is_what_a_device_measures_on_the_same_pictures(tmp_path: Path) -> None:
    path = converted(tmp_path, evaluate={"x": X})
    baseline = baseline_in(path)
    assert baseline is not None
    assert baseline.samples == len(X)
    tallies = {feature.name: BinTally(feature.edges) for feature in baseline.features}
    classes = [0, 0]
    with load(path) as session:
        probe = Probe(session.processing, session.signature, session.engine_signature)
        assert set(tallies) == set(probe.names)
        for picture in PICTURES[..., 0]:
            inputs, geometry = session.processing.before(picture)
            outputs = session.run(inputs)
            result = session.processing.after(outputs, geometry)
            for name, value in zip(
                probe.names, probe.measure(inputs, outputs, result), strict=True
            ):
                tallies[name].observe(value)
            classes[result.top[0].index] += 1
    for feature in baseline.features:
        assert tallies[feature.name].word().counts == feature.reference
    assert baseline.classes == tuple(classes)


def test_the_same_data_give_the_same_bytes(tmp_path: Path) -> None:
    paths = [converted(tmp_path, name, evaluate={"x": X}) for name in ("one", "two")]
    assert paths[0].read_bytes() == paths[1].read_bytes()


def test_there_is_none_of_noise(tmp_path: Path) -> None:
    assert baseline_in(converted(tmp_path)) is None


def test_there_is_none_of_too_little(tmp_path: Path) -> None:
    assert baseline_in(converted(tmp_path, evaluate={"x": X[:99]})) is None
    assert baseline_in(converted(tmp_path, evaluate={"x": X[:100]})) is not None


def test_inputs_that_it_does_not_answer_are_left_out(tmp_path: Path) -> None:
    bright = X.mean(axis=(1, 2, 3)) >= 0.5
    x = np.concatenate([X, X[bright], X[bright]])
    baseline = baseline_in(converted(tmp_path, kind="fragile", evaluate={"x": x}))
    assert baseline is not None
    assert baseline.samples == 3 * int(bright.sum()) < len(x)


def test_without_answers_only_inputs_and_outputs_are_measured(tmp_path: Path) -> None:
    source = tmp_path / "light.tflite"
    source.write_bytes(model())
    output = tmp_path / "light.edge"
    convert(source, output, evaluate={"x": X}, golden="none")
    baseline = baseline_in(output)
    assert baseline is not None
    assert [f.name for f in baseline.features] == [
        "image.mean",
        "image.std",
        "scores.mean",
        "scores.std",
    ]
    assert baseline.classes == ()
